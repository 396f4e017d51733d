//! Round trips: fills matched first in, first out, within one strategy and symbol. Money is exact.

use std::collections::{HashMap, VecDeque};

use crate::record::{FillRecord, OrderSummary, Record};
use bot_core::clock::Timestamp;
use bot_core::order::Side;
use bot_core::signal::Tag;
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Price, Quantity};

use super::table::RoundTrip;

/// A piece's part of a fee is rounded to so many decimals; the last piece takes the rest.
const FEE_DECIMALS: u32 = 9;

/// The closed round trips in the order of their ends, then the open ones by strategy, symbol and entry.
pub(crate) fn trades(record: &Record) -> Vec<RoundTrip> {
    let mut books = LotBooks::default();
    let mut trades = Vec::new();
    for fill in &record.fills {
        let Some(order) = order_of(record, fill) else { continue };
        books.of(order).take(order, fill, &mut trades);
    }
    let end = record.marks.last().map(|mark| mark.at);
    let mut open: Vec<_> = books.0.into_iter().flat_map(|book| book.into_open(record, end)).collect();
    open.sort_by_key(|trade| (trade.strategy, trade.symbol, trade.entry_at)); // Stable: lots of one instant keep their order.
    trades.append(&mut open);
    trades
}

/// The order of a fill.
pub(crate) fn order_of<'a>(record: &'a Record, fill: &FillRecord) -> Option<&'a OrderSummary> {
    record.orders.get(usize::try_from(fill.order).ok()?)
}

/// The last known price of a traded symbol.
pub(crate) fn last_price(record: &Record, symbol: Symbol) -> Option<Price> {
    let place = record.symbols.iter().position(|known| *known == symbol)?;
    Price::from_f64(*record.prices.get(place)?.last()?).ok()
}

#[derive(Default)]
struct LotBooks(Vec<Book>, HashMap<(u16, Symbol), usize>);

impl LotBooks {
    fn of(&mut self, order: &OrderSummary) -> &mut Book {
        let Self(books, places) = self;
        let key = (order.strategy, order.symbol);
        let place = *places.entry(key).or_insert_with(|| {
            books.push(Book { strategy: key.0, symbol: key.1, side: order.side, lots: VecDeque::new() });
            books.len() - 1
        });
        &mut books[place]
    }
}

/// The shares that one strategy holds of one symbol, oldest first, all of one side.
struct Book {
    strategy: u16,
    symbol: Symbol,
    side: Side,
    lots: VecDeque<Lot>,
}

/// Shares that came together, as far as they are still there.
struct Lot {
    at: Timestamp,
    quantity: Quantity,
    price: Price,
    fee: Money,
    tag: Option<Tag>,
}

impl Lot {
    fn entry(&self) -> LotEnd {
        LotEnd { at: self.at, price: self.price, tag: self.tag.clone() }
    }

    /// Takes `quantity` shares, at most all, with their part of the fee.
    fn take(&mut self, quantity: Quantity) -> Money {
        let fee = if quantity >= self.quantity || self.fee.is_zero() {
            self.fee
        } else {
            let part = quantity.get().checked_div(self.quantity.get()).unwrap_or_default();
            Money::new((self.fee.get() * part).round_dp(FEE_DECIMALS))
        };
        self.fee -= fee;
        self.quantity -= quantity;
        fee
    }
}

impl Book {
    /// Closes what the fill closes, oldest first, and opens with the rest.
    fn take(&mut self, order: &OrderSummary, fill: &FillRecord, trades: &mut Vec<RoundTrip>) {
        let FillRecord { at, quantity, price, fee, .. } = *fill;
        let mut incoming = Lot { at, quantity, price, fee, tag: order.tag.clone() };
        if self.lots.is_empty() {
            self.side = order.side;
        }
        while self.side != order.side && incoming.quantity.is_positive() {
            let Some(oldest) = self.lots.front_mut() else { break };
            let quantity = oldest.quantity.min(incoming.quantity);
            let entry = oldest.entry();
            let fees = oldest.take(quantity) + incoming.take(quantity);
            if oldest.quantity.is_zero() {
                self.lots.pop_front();
            }
            let exit = LotEnd { at: fill.at, price: fill.price, tag: order.tag.clone() };
            trades.push(self.trade(entry, exit, quantity, fees, false));
        }
        if incoming.quantity.is_positive() {
            self.side = order.side;
            self.lots.push_back(incoming);
        }
    }

    fn into_open(mut self, record: &Record, end: Option<Timestamp>) -> Vec<RoundTrip> {
        let last = last_price(record, self.symbol);
        std::mem::take(&mut self.lots)
            .into_iter()
            .map(|lot| {
                let (at, price) = (end.unwrap_or(lot.at).max(lot.at), last.unwrap_or(lot.price));
                self.trade(lot.entry(), LotEnd { at, price, tag: None }, lot.quantity, lot.fee, true)
            })
            .collect()
    }

    fn trade(&self, entry: LotEnd, exit: LotEnd, quantity: Quantity, fees: Money, open: bool) -> RoundTrip {
        let paid = entry.price * quantity;
        let gain = exit.price * quantity - paid;
        let profit = match self.side {
            Side::Buy => gain - fees,
            Side::Sell => -gain - fees,
        };
        RoundTrip {
            strategy: self.strategy,
            symbol: self.symbol,
            side: self.side,
            quantity,
            entry_at: entry.at,
            exit_at: exit.at,
            entry_price: entry.price,
            exit_price: exit.price,
            profit,
            fees,
            gain: profit.to_f64() / paid.to_f64(),
            open,
            entry_tag: entry.tag,
            exit_tag: exit.tag,
        }
    }
}

/// How shares came or went.
struct LotEnd {
    at: Timestamp,
    price: Price,
    tag: Option<Tag>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::SampleRun;

    /// `side quantity price fee`, one fill a line.
    fn of(fills: &[&str]) -> Vec<RoundTrip> {
        trades(
            &fills.iter().fold(SampleRun::default(), |run, fill| run.fill(fill)).last_price("A", 12.0).done(),
        )
    }

    #[track_caller]
    fn check(fills: &[&str], wanted: &[&str]) {
        let found: Vec<_> = of(fills)
            .iter()
            .map(|trade| {
                let state = if trade.open { "open" } else { "closed" };
                format!(
                    "{} {} {}->{} {} fees {} {state}",
                    trade.side, trade.quantity, trade.entry_price, trade.exit_price, trade.profit, trade.fees
                )
            })
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_came_first_goes_first() {
        check(
            &["buy 10 5 0", "buy 10 6 0", "sell 15 8 0"],
            &["buy 10 5->8 30 fees 0 closed", "buy 5 6->8 10 fees 0 closed", "buy 5 6->12 30 fees 0 open"],
        );
    }

    #[test]
    fn a_fill_through_zero_closes_and_opens_the_other_way() {
        check(
            &["buy 10 5 0", "sell 30 7 0", "buy 20 6 0"],
            &["buy 10 5->7 20 fees 0 closed", "sell 20 7->6 20 fees 0 closed"],
        );
        check(&["sell 3 10 0.30"], &["sell 3 10->12 -6.3 fees 0.3 open"]);
    }

    #[test]
    fn the_fees_of_all_trades_are_the_fees_of_all_fills_to_the_last_digit() {
        let fills = ["buy 3 10 1.00", "sell 1 11 0.01", "sell 1 11 0.01", "sell 1 11 0.02", "sell 7 9 0.1"];
        let fees: Money = of(&fills).iter().map(|trade| trade.fees).sum();
        assert_eq!(fees.to_string(), "1.14");
        check(&["buy 3 10 1.00", "sell 3 11 0.02"], &["buy 3 10->11 1.98 fees 1.02 closed"]);
    }

    #[test]
    fn strategies_and_symbols_are_books_of_their_own() {
        let record = SampleRun::default()
            .fill("buy 1 5 0")
            .strategy(1)
            .fill("sell 1 6 0")
            .symbol("B")
            .fill("buy 1 3 0")
            .done();
        let found: Vec<_> = trades(&record)
            .iter()
            .map(|trade| (trade.strategy, trade.symbol.to_string(), trade.open))
            .collect();
        assert_eq!(found, [(0, "A".to_owned(), true), (1, "A".to_owned(), true), (1, "B".to_owned(), true)]);
    }

    #[test]
    fn a_trade_has_the_tags_of_both_its_ends() {
        let tag = |name: &str| bot_core::signal::Tag::new(name).ok();
        let mut record = ["buy 10 5 0", "buy 10 6 0", "sell 15 8 0"]
            .into_iter()
            .fold(SampleRun::default(), SampleRun::fill)
            .last_price("A", 12.0)
            .done();
        for (order, name) in record.orders.iter_mut().zip(["first", "", "stop"]) {
            order.tag = tag(name);
        }
        let found: Vec<_> =
            trades(&record).into_iter().map(|trade| (trade.entry_tag, trade.exit_tag)).collect();
        assert_eq!(found, [(tag("first"), tag("stop")), (None, tag("stop")), (None, None)]);
    }

    #[test]
    fn a_million_fills_into_one_book_are_matched_in_linear_time() {
        let many = (0..200_000).map(|i| if i < 100_000 { "buy 1 5 0.01" } else { "sell 1 6 0.01" });
        let record = many.fold(SampleRun::default(), SampleRun::fill).done();
        let trades = trades(&record);
        assert_eq!(
            trades.len(),
            100_000,
            "each lot is closed by one fill; a scan of lots would not end here"
        );
        assert_eq!(trades.iter().map(|trade| trade.profit).sum::<Money>().to_string(), "98000");
    }
}
