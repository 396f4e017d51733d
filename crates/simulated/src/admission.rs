//! Whether an order may enter: the checks that Alpaca makes, in one place and in one order. Changes nothing.

use rust_decimal::Decimal;
use uuid::Uuid;

use super::core::SimulatedMarket;
use super::listing::Listing;
use super::order::{Amount, Request};
use super::refusal::RequestRefusal;
use bot_core::instrument::Instrument;
use bot_core::order::{OrderType, Side, TimeInForce};
use bot_core::units::{Money, Price, Quantity};

/// What the checks found out on the way.
pub(super) struct Admitted {
    pub(super) asset_id: Uuid,
    pub(super) quantity: Quantity,
    /// What one share of the order holds of the buying power.
    pub(super) hold_price: Option<Price>,
    pub(super) strategy_signal: &'static str,
}

const CLIENT_ID_LEN_MAX: usize = 128;

impl SimulatedMarket {
    pub(super) fn admit(&self, request: &Request) -> Result<Admitted, RequestRefusal> {
        let listing = self
            .listings
            .get(&request.symbol)
            .ok_or_else(|| RequestRefusal::UnknownAsset(request.symbol.to_string()))?;
        self.check_client_id(request)?;
        let quantity = quantity(request, listing)?;
        check_terms(request, quantity, &listing.asset.instrument, listing.is_open(self.session()))?;
        check_worth(request, quantity, listing)?;
        self.check_wash_trade(request, listing)?;
        let opened = self.check_shares(request, listing, quantity)?;
        let hold_price = opened.is_positive().then(|| hold_price(request, listing));
        if let Some(price) = hold_price {
            self.check_buying_power(price, opened, quantity - opened)?;
        }
        let strategy_signal = match (request.side, hold_price.is_some()) {
            (Side::Buy, true) => "buy_to_open",
            (Side::Buy, false) => "buy_to_close",
            (Side::Sell, true) => "sell_to_open",
            (Side::Sell, false) => "sell_to_close",
        };
        Ok(Admitted { asset_id: listing.asset.id, quantity, hold_price, strategy_signal })
    }

    fn check_client_id(&self, request: &Request) -> Result<(), RequestRefusal> {
        let Some(id) = &request.client_order_id else { return Ok(()) };
        if id.chars().count() > CLIENT_ID_LEN_MAX {
            return Err(RequestRefusal::ClientIdTooLong);
        }
        match self.by_client_id.get(id) {
            Some(number) => {
                Err(RequestRefusal::DuplicateClientId { working: self.orders[*number].is_open() })
            }
            None => Ok(()),
        }
    }

    /// An order may not meet the account's own resting order.
    fn check_wash_trade(&self, request: &Request, listing: &Listing) -> Result<(), RequestRefusal> {
        let Some((number, resting)) = listing.matcher.best(request.side.opposite()) else { return Ok(()) };
        let meets = match (resting, request.order_type, request.side) {
            (None, _, _) | (Some(_), OrderType::Market, _) => true,
            (Some(resting), OrderType::Limit(limit), Side::Buy) => limit.get() >= resting,
            (Some(resting), OrderType::Limit(limit), Side::Sell) => limit.get() <= resting,
        };
        if meets {
            return Err(RequestRefusal::WashTrade {
                existing: self.orders[number].id,
                limit: resting.is_some(),
            });
        }
        Ok(())
    }

    /// Answers how many of its shares open a position (or add to one) rather than closing one.
    fn check_shares(
        &self,
        request: &Request,
        listing: &Listing,
        quantity: Quantity,
    ) -> Result<Quantity, RequestRefusal> {
        let instrument = &listing.asset.instrument;
        let position = self.books.shares(listing.place);
        let (closes, held) = match request.side {
            Side::Buy => (position < Quantity::ZERO, listing.held_buy),
            Side::Sell => (position.is_positive(), listing.held_sell),
        };
        if closes {
            let available = position.abs() - held;
            if quantity <= available {
                return Ok(Quantity::ZERO);
            }
            let may_open = request.side == Side::Buy || self.shorting && instrument.shorting;
            if self.flips_in_one && may_open && held.is_zero() {
                if request.side == Side::Sell && instrument.check_position(position - quantity).is_err() {
                    return Err(RequestRefusal::FractionalShort);
                }
                return Ok(quantity - available);
            }
            return Err(RequestRefusal::Shares {
                symbol: request.symbol,
                requested: quantity,
                available,
                existing: position.abs(),
                held,
                related: self.open_orders_like(request),
            });
        }
        match request.side {
            Side::Buy if listing.held_sell.is_positive() && position.is_zero() => {
                Err(RequestRefusal::BuyMeetsShort)
            }
            Side::Sell if !(self.shorting && instrument.shorting) => Err(RequestRefusal::ShortNotAllowed),
            Side::Sell if instrument.check_position(position - quantity).is_err() => {
                Err(RequestRefusal::FractionalShort)
            }
            Side::Sell if listing.held_buy.is_positive() && position.is_zero() => {
                Err(RequestRefusal::ShortMeetsBuy)
            }
            Side::Buy | Side::Sell => Ok(quantity),
        }
    }

    /// What an order closes of a position frees as much as it was worth.
    fn check_buying_power(
        &self,
        price: Price,
        opened: Quantity,
        closed: Quantity,
    ) -> Result<(), RequestRefusal> {
        let cost_basis = price * opened;
        let buying_power = self.books.buying_power() + price * closed;
        if cost_basis <= buying_power {
            return Ok(());
        }
        Err(RequestRefusal::BuyingPower { buying_power: buying_power.max(Money::ZERO), cost_basis })
    }

    fn open_orders_like(&self, request: &Request) -> Vec<Uuid> {
        let open = self.open.iter().map(|number| &self.orders[*number]);
        open.filter(|order| order.symbol == request.symbol && order.side == request.side)
            .map(|order| order.id)
            .collect()
    }
}

fn quantity(request: &Request, listing: &Listing) -> Result<Quantity, RequestRefusal> {
    let instrument = &listing.asset.instrument;
    let quantity = match request.amount {
        Amount::Quantity(quantity) => quantity,
        Amount::Notional(money) if money.get() < Decimal::ONE => {
            return Err(RequestRefusal::NotionalTooSmall);
        }
        Amount::Notional(_) if !instrument.is_fractional() => {
            return Err(RequestRefusal::NotFractionable(request.symbol));
        }
        Amount::Notional(money) => instrument.floor_lot(money.buys(hold_price(request, listing))),
    };
    if !quantity.is_positive() {
        return Err(RequestRefusal::NoQuantity);
    }
    if instrument.check_lot(quantity).is_err() {
        return Err(RequestRefusal::NotFractionable(request.symbol));
    }
    Ok(quantity)
}

fn check_worth(request: &Request, quantity: Quantity, listing: &Listing) -> Result<(), RequestRefusal> {
    let min = listing.asset.instrument.notional_min;
    let is_enough = min.is_zero() || hold_price(request, listing) * quantity >= min;
    if is_enough { Ok(()) } else { Err(RequestRefusal::CostBasis(min)) }
}

fn check_terms(
    request: &Request,
    quantity: Quantity,
    instrument: &Instrument,
    is_open: bool,
) -> Result<(), RequestRefusal> {
    let limit = match request.order_type {
        OrderType::Market => None,
        OrderType::Limit(limit) => Some(limit),
    };
    if let Some(limit) = limit.filter(|limit| !instrument.is_on_tick(*limit)) {
        return Err(RequestRefusal::SubPenny(limit.get()));
    }
    let resting = match request.time_in_force {
        TimeInForce::Day | TimeInForce::Gtc => true,
        TimeInForce::Ioc | TimeInForce::Fok => false,
    };
    if request.extended_hours && (limit.is_none() || !resting) {
        return Err(RequestRefusal::ExtendedHours);
    }
    if instrument.is_pair() {
        return match request.time_in_force {
            TimeInForce::Ioc | TimeInForce::Gtc => Ok(()),
            TimeInForce::Day | TimeInForce::Fok => Err(RequestRefusal::CoinTimeInForce),
        };
    }
    let fractional = match request.amount {
        Amount::Quantity(_) => quantity != quantity.whole(),
        Amount::Notional(_) => true,
    };
    if fractional && request.time_in_force != TimeInForce::Day {
        return Err(RequestRefusal::FractionalNotDay);
    }
    if request.time_in_force == TimeInForce::Ioc && !is_open {
        return Err(RequestRefusal::IocOutsideSession);
    }
    Ok(())
}

/// The limit, or for a market order the displayed price it would take (what a share is worth where none is displayed).
fn hold_price(request: &Request, listing: &Listing) -> Price {
    match request.order_type {
        OrderType::Limit(limit) => limit,
        OrderType::Market => {
            listing.matcher.opposite(request.side).map_or_else(|| listing.mark(), |level| level.price)
        }
    }
}
