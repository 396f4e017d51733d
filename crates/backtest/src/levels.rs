//! What an event offers to orders, on the terms of a run: the bid and ask that it stands for, and how many shares. Pure.

use rust_decimal::{Decimal, RoundingStrategy};

use bot_core::instrument::Instrument;
use bot_core::market::{MarketEvent, Quote};
use bot_core::order::Side;
use bot_core::units::{Price, Quantity};
use bot_simulated::matching::Level;
use bot_simulated::{ExecutionModel, FillModel};

/// Whether orders may fill at an event of this kind.
pub(super) fn fills(fill: FillModel, event: &MarketEvent) -> bool {
    match event {
        MarketEvent::Quote { .. } => true,
        MarketEvent::Trade { .. } | MarketEvent::Bar { .. } => fill != FillModel::Quote,
        MarketEvent::Number { .. } => false,
    }
}

/// The bid and ask that an event stands for; `None` for events that fill nothing.
pub(super) fn levels(
    model: &ExecutionModel,
    instrument: &Instrument,
    event: &MarketEvent,
) -> Option<(Option<Level>, Option<Level>)> {
    let (bid, ask, sizes) = match (model.fill, event) {
        (_, MarketEvent::Number { .. })
        | (FillModel::Quote, MarketEvent::Trade { .. } | MarketEvent::Bar { .. }) => return None,
        (_, MarketEvent::Quote { quote, .. }) => (quote.bid, quote.ask, quote_sizes(instrument, quote)),
        (_, MarketEvent::Trade { trade, .. }) => {
            (trade.price, trade.price, volume(model, instrument, trade.size))
        }
        (FillModel::NextOpen, MarketEvent::Bar { bar, .. }) => {
            (bar.open, bar.open, volume(model, instrument, bar.volume))
        }
        (FillModel::SameClose, MarketEvent::Bar { bar, .. }) => {
            (bar.close, bar.close, volume(model, instrument, bar.volume))
        }
    };
    let seller = Price::from_f64(bid).ok();
    let is_one_price = bid.to_bits() == ask.to_bits();
    let buyer = if is_one_price { seller } else { Price::from_f64(ask).ok() };
    let level = |side, price: Option<Price>, size| Some(Level { price: slipped(model, side, price?)?, size });
    Some((level(Side::Sell, seller, sizes.0), level(Side::Buy, buyer, sizes.1)))
}

fn quote_sizes(instrument: &Instrument, quote: &Quote) -> (Quantity, Quantity) {
    let shares = |size: f64| instrument.floor_lot(Quantity::from_f64(size).unwrap_or_default());
    (shares(quote.bid_size), shares(quote.ask_size))
}

/// How much of a bar's volume, or of a print's size, an order may fill.
fn volume(model: &ExecutionModel, instrument: &Instrument, volume: f64) -> (Quantity, Quantity) {
    let size = match model.volume_share {
        None => Quantity::MAX,
        Some(share) => {
            let volume = Quantity::from_f64(volume).unwrap_or_default();
            instrument.floor_lot(volume * share)
        }
    };
    (size, size)
}

fn slipped(model: &ExecutionModel, side: Side, price: Price) -> Option<Price> {
    if model.slippage.is_zero() {
        return Some(price);
    }
    let slippage = model.slippage.fraction();
    let (factor, strategy) = match side {
        Side::Buy => (Decimal::ONE + slippage, RoundingStrategy::ToPositiveInfinity),
        Side::Sell => (Decimal::ONE - slippage, RoundingStrategy::ToNegativeInfinity),
    };
    // As fine as prices seen.
    let decimals = if price.get() < Decimal::ONE { 9 } else { 6 };
    Price::new((price.get() * factor).round_dp_with_strategy(decimals, strategy)).ok()
}
