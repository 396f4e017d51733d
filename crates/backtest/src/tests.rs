//! The connector by hand: each case is a small play of prices and orders, and what must come of it to the cent.

use std::fmt::Write as _;
use std::time::Duration;

use super::connector::{Connector, ExecutionEnd, ExecutionReport, working};
use super::latest_prices::Slot;
use bot_core::clock::Timestamp;
use bot_core::instrument::Instrument;
use bot_core::market::{Bar, MarketEvent, Quote, Trade};
use bot_core::order::{OrderType, Side};
use bot_core::symbol::Symbol;
use bot_core::units::{BasisPoints, Weight};
use bot_simulated::{ExecutionModel, Fees, FillModel, OnShortCash};

/// One account that trades X and Y.
struct Play {
    connector: Connector,
    orders: usize,
    told: Vec<String>,
}

impl Play {
    fn new(model: ExecutionModel, cash: &str) -> Self {
        let mut connector = Connector::new(model, cash.parse().unwrap());
        for name in ["X", "Y"] {
            connector.list(Instrument::of(name.parse().unwrap()));
        }
        Self { connector, orders: 0, told: Vec::new() }
    }

    /// One line: seconds, what happens, to whom, numbers.
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [second, verb, name, ref numbers @ ..] = words[..] else { panic!("{line}") };
        let at = Timestamp::from_secs(second.parse().unwrap());
        let symbol: Symbol = name.parse().unwrap();
        let slot = Slot(usize::from(name == "Y"));
        let value = |place: usize| numbers.get(place).map_or(f64::NAN, |text| text.parse().unwrap());
        let (one, two) = (value(0), value(1));
        let event = match verb {
            "bar" => {
                let volume = if numbers.len() > 2 { value(2) } else { 1e6 };
                let (high, low) = (one.max(two), one.min(two));
                let bar = Bar { at, open: one, high, low, close: two, volume };
                MarketEvent::Bar { symbol, bar, span: Duration::from_mins(1) }
            }
            "trade" => MarketEvent::Trade { symbol, trade: Trade { at, price: one, size: two } },
            "quote" => {
                let quote = Quote { at, bid: one, bid_size: two, ask: value(2), ask_size: value(3) };
                MarketEvent::Quote { symbol, quote }
            }
            "buy" | "sell" => return self.order(slot, verb, at, numbers),
            verb => panic!("{verb}"),
        };
        let mut executions = Vec::new();
        self.connector.arrive(slot, &event, &mut |_, _| None, &mut executions);
        self.connector.show(slot, &event, event.price(), event.known_at());
        for execution in &executions {
            self.tell(execution);
        }
    }

    fn order(&mut self, slot: Slot, verb: &str, at: Timestamp, numbers: &[&str]) {
        self.orders += 1;
        let side = if verb == "buy" { Side::Buy } else { Side::Sell };
        let order_type =
            numbers.get(1).map_or(OrderType::Market, |limit| OrderType::Limit(limit.parse().unwrap()));
        let order = working(self.orders, side, order_type, numbers[0].parse().unwrap());
        if let Some(execution) = self.connector.submit(slot, order, at, &mut |_, _| None) {
            self.tell(&execution);
        }
    }

    fn tell(&mut self, execution: &ExecutionReport) {
        let mut text = format!("#{} at {}: ", execution.key, execution.at.millis() / 1_000);
        match &execution.end {
            ExecutionEnd::Filled { quantity, price, fee } if fee.is_zero() => {
                write!(text, "{quantity} for {price}")
            }
            ExecutionEnd::Filled { quantity, price, fee } => {
                write!(text, "{quantity} for {price}, fee {fee}")
            }
            ExecutionEnd::Canceled => write!(text, "nothing"),
            ExecutionEnd::Unpaid { missing } => write!(text, "short of {missing}"),
        }
        .unwrap();
        self.told.push(text);
    }

    fn account(&mut self) -> String {
        let account = self.connector.account();
        let held = |slot| self.connector.shares(Slot(slot));
        format!("cash {}, X {}, Y {}, equity {}", account.cash, held(0), held(1), account.equity)
    }
}

/// Plays `lines` and compares what became of the orders, and the account at the end.
#[track_caller]
fn check(model: ExecutionModel, cash: &str, lines: &str, told: &str, account: &str) {
    let mut play = Play::new(model, cash);
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| play.line(line));
    assert_eq!((play.told.join("; "), play.account()), (told.to_owned(), account.to_owned()));
}

/// What cannot be carried whole is rejected, unless a test says otherwise.
fn model(fill: FillModel) -> ExecutionModel {
    ExecutionModel { fill, on_short_cash: OnShortCash::Reject, ..ExecutionModel::default() }
}

const NEXT: FillModel = FillModel::NextOpen;
const SAME: FillModel = FillModel::SameClose;
const QUOTE: FillModel = FillModel::Quote;

#[test]
fn next_open_fills_at_the_first_open_that_is_not_before_the_order() {
    let nothing = "cash 1000, X 0, Y 0, equity 1000";
    check(model(NEXT), "1000", "0 bar X 100 101 \n 60 buy X 5", "", nothing);
    check(
        model(NEXT),
        "1000",
        "0 bar X 100 101
         60 buy X 5
         60 bar Y 50 51
         60 bar X 102 103",
        "#1 at 60: 5 for 102",
        "cash 490, X 5, Y 0, equity 1005",
    );
    // The bar that runs when the order comes has opened before it.
    check(
        model(NEXT),
        "1000",
        "0 bar X 100 101 \n 90 buy X 5 \n 60 bar X 102 103 \n 120 bar X 104 104",
        "#1 at 120: 5 for 104",
        "cash 480, X 5, Y 0, equity 1000",
    );
    // A gap of three bars, and orders in the order of their arrival.
    check(
        model(NEXT),
        "1000",
        "0 bar X 100 101 \n 60 buy X 5 \n 60 sell X 2 \n 240 bar X 90 95",
        "#1 at 240: 5 for 90; #2 at 240: 2 for 90",
        "cash 730, X 3, Y 0, equity 1015",
    );
    // Prints and quotes have no open: they are met themselves.
    check(
        model(NEXT),
        "1000",
        "0 trade X 100 7 \n 0 buy X 5 \n 1 trade X 101 7 \n 1 sell X 5 \n 2 quote X 99 3 100 3",
        "#1 at 1: 5 for 101; #2 at 2: 3 for 99",
        "cash 792, X 2, Y 0, equity 991",
    );
}

#[test]
fn same_close_fills_at_once_at_the_last_close() {
    check(
        model(SAME),
        "1000",
        "0 bar X 100 101 \n 60 buy X 5 \n 60 bar X 102 103 \n 150 sell X 4",
        "#1 at 60: 5 for 101; #2 at 150: 4 for 103",
        "cash 907, X 1, Y 0, equity 1010",
    );
    // Before the first bar there is nothing to meet: the order waits for it.
    check(
        model(SAME),
        "1000",
        "0 buy X 5 \n 0 bar X 100 101",
        "#1 at 60: 5 for 101",
        "cash 495, X 5, Y 0, equity 1000",
    );
}

#[test]
fn an_order_on_its_way_meets_what_is_there_when_it_arrives() {
    let late = |fill| ExecutionModel { latency: Duration::from_secs(30), ..model(fill) };
    let bars = "0 bar X 100 101 \n 60 buy X 5 \n 60 bar X 102 103 \n 120 bar X 104 105";
    check(late(NEXT), "1000", bars, "#1 at 120: 5 for 104", "cash 480, X 5, Y 0, equity 1005");
    check(late(SAME), "1000", bars, "#1 at 120: 5 for 103", "cash 485, X 5, Y 0, equity 1010");
    // It arrives at 40 and meets the quote of 35, not the one of 50, of which is heard first.
    check(
        late(QUOTE),
        "1000",
        "0 quote X 99 9 100 9 \n 10 buy X 5 \n 35 quote X 101 9 102 9 \n 50 quote X 110 9 111 9",
        "#1 at 40: 5 for 102",
        "cash 490, X 5, Y 0, equity 1042.5",
    );
}

#[test]
fn a_quote_fills_as_far_as_its_size_goes_and_only_once() {
    check(
        model(QUOTE),
        "10000",
        "0 quote X 99 4.9 100 5.9
         1 buy X 8
         2 buy X 3
         3 sell X 3
         4 sell X 3
         5 quote X 99 9 100 9
         6 buy X 2",
        "#1 at 1: 5 for 100; #2 at 2: nothing; #3 at 3: 3 for 99; #4 at 4: 1 for 99; #5 at 6: 2 for 100",
        "cash 9696, X 3, Y 0, equity 9994.5",
    );
    // Without a quote there is nothing to meet, and bars and prints are no quotes.
    check(
        model(QUOTE),
        "1000",
        "0 bar X 100 101 \n 60 buy X 5 \n 60 bar X 102 103 \n 130 trade X 104 9 \n 140 quote X 99 9 100 9",
        "#1 at 60: nothing",
        "cash 1000, X 0, Y 0, equity 1000",
    );
    check(
        model(QUOTE),
        "1000",
        "0 quote X 99 9 100 9 \n 1 quote X 0 0 101 9 \n 2 sell X 1 \n 2 buy X 1",
        "#1 at 2: nothing; #2 at 2: 1 for 101",
        "cash 899, X 1, Y 0, equity 949.5",
    );
}

#[test]
fn slippage_is_against_the_one_who_trades() {
    let bps = |points| ExecutionModel { slippage: BasisPoints::whole(points), ..model(NEXT) };
    check(
        bps(10),
        "1000",
        "0 buy X 5 \n 0 bar X 100 100 \n 60 sell X 5 \n 60 bar X 100 100",
        "#1 at 0: 5 for 100.1; #2 at 60: 5 for 99.9",
        "cash 999, X 0, Y 0, equity 999",
    );
    // What does not come out even is rounded against him too, at the sixth decimal.
    check(
        bps(10),
        "1000",
        "0 buy X 1 \n 0 bar X 33.333333 33 \n 60 sell X 1 \n 60 bar X 33.333333 33",
        "#1 at 0: 1 for 33.366667; #2 at 60: 1 for 33.299999",
        "cash 999.933332, X 0, Y 0, equity 999.933332",
    );
    // A limit is held to, slippage included.
    check(
        bps(10),
        "1000",
        "0 buy X 1 100.05 \n 0 bar X 100 100 \n 60 buy X 1 100.1 \n 60 bar X 100 100",
        "#1 at 0: nothing; #2 at 60: 1 for 100.1",
        "cash 899.9, X 1, Y 0, equity 999.9",
    );
}

#[test]
fn fees_are_taken_on_both_sides() {
    let round_trip = "0 buy X 10 \n 0 bar X 100 100 \n 60 sell X 10 \n 60 bar X 110 110";
    let fees = |fees| ExecutionModel { fees, ..model(NEXT) };
    check(
        fees(Fees::None),
        "1001",
        round_trip,
        "#1 at 0: 10 for 100; #2 at 60: 10 for 110",
        "cash 1101, X 0, Y 0, equity 1101",
    );
    check(
        fees(Fees::Bps(BasisPoints::whole(5))),
        "1001",
        round_trip,
        "#1 at 0: 10 for 100, fee 0.5; #2 at 60: 10 for 110, fee 0.55",
        "cash 1099.95, X 0, Y 0, equity 1099.95",
    );
    // 10 x 0.0000265 and 10 x 0.000166 are a cent each.
    check(
        fees(Fees::Alpaca),
        "1001",
        round_trip,
        "#1 at 0: 10 for 100, fee 0.01; #2 at 60: 10 for 110, fee 0.02",
        "cash 1100.97, X 0, Y 0, equity 1100.97",
    );
    // 100000 x 0.000166 is 16.60, but 8.30 is the most; 100000 x 0.0000265 is 2.65.
    check(
        fees(Fees::Alpaca),
        "200000",
        "0 buy X 100000 \n 0 bar X 1 1 \n 60 sell X 100000 \n 60 bar X 1 1",
        "#1 at 0: 100000 for 1, fee 2.65; #2 at 60: 100000 for 1, fee 10.95",
        "cash 199986.4, X 0, Y 0, equity 199986.4",
    );
}

#[test]
fn no_order_fills_beyond_its_share_of_the_volume() {
    let tenth = |fill| ExecutionModel { volume_share: Some(Weight::percent(10)), ..model(fill) };
    // 10 % of 55 shares are 5; two orders share what there is; of 9 shares a tenth is none.
    check(
        tenth(NEXT),
        "10000",
        "0 buy X 8 \n 0 bar X 100 100 55
         60 buy X 3 \n 60 buy X 3 \n 60 sell X 9 \n 60 bar X 100 100 50
         120 buy X 1 \n 120 bar X 100 100 9",
        "#1 at 0: 5 for 100; #2 at 60: 3 for 100; #3 at 60: 2 for 100; #4 at 60: 5 for 100; #5 at 120: nothing",
        "cash 9500, X 5, Y 0, equity 10000",
    );
    check(
        tenth(SAME),
        "10000",
        "0 bar X 100 100 50 \n 60 buy X 3 \n 60 buy X 3 \n 61 buy X 3 \n 60 bar X 100 101 50 \n 120 buy X 3",
        "#1 at 60: 3 for 100; #2 at 60: 2 for 100; #3 at 61: nothing; #4 at 120: 3 for 101",
        "cash 9197, X 8, Y 0, equity 10005",
    );
    check(
        tenth(NEXT),
        "10000",
        "0 buy X 8 \n 1 trade X 100 30",
        "#1 at 1: 3 for 100",
        "cash 9700, X 3, Y 0, equity 10000",
    );
}

#[test]
fn what_cannot_be_paid_is_refused_and_nothing_is_booked() {
    let bar = |cash, lines: &str, told, account| {
        let fees = Fees::Bps(BasisPoints::whole(1));
        check(ExecutionModel { fees, ..model(NEXT) }, cash, lines, told, account);
    };
    let buy = "0 buy X 10 \n 0 bar X 100 100";
    bar("1000", buy, "#1 at 0: short of 0.1", "cash 1000, X 0, Y 0, equity 1000");
    bar("1000.1", buy, "#1 at 0: 10 for 100, fee 0.1", "cash 0, X 10, Y 0, equity 1000");
    // The next one may be paid all the same.
    check(
        model(NEXT),
        "1000",
        "0 buy X 11 \n 0 buy X 10 \n 0 bar X 100 100",
        "#1 at 0: short of 100; #2 at 0: 10 for 100",
        "cash 0, X 10, Y 0, equity 1000",
    );
}

#[test]
fn a_limit_that_is_not_reached_fills_nothing_whatever_the_cash() {
    let bar = "0 buy X 10 40 \n 0 buy X 10 99.99 \n 0 sell X 1 100.01 \n 0 bar X 100 100";
    let told = "#1 at 0: nothing; #2 at 0: nothing; #3 at 0: nothing";
    check(model(NEXT), "500", bar, told, "cash 500, X 0, Y 0, equity 500");
    check(
        model(NEXT),
        "5000",
        "0 buy X 10 100 \n 0 bar X 99 100 \n 60 sell X 10 99 \n 60 bar X 101 101",
        "#1 at 0: 10 for 99; #2 at 60: 10 for 101",
        "cash 5020, X 0, Y 0, equity 5020",
    );
}

#[test]
fn a_short_position_is_backed_by_as_much_cash_as_it_is_worth() {
    // Selling 10 brings 1000, and 1000 of one's own stand behind it.
    let sell = |shares: u32| format!("0 sell X {shares} \n 0 bar X 100 100");
    check(model(NEXT), "1000", &sell(10), "#1 at 0: 10 for 100", "cash 2000, X -10, Y 0, equity 1000");
    check(model(NEXT), "1000", &sell(11), "#1 at 0: short of 100", "cash 1000, X 0, Y 0, equity 1000");
    // What stands behind it buys nothing else, and less when it rises; closing it is always allowed.
    check(
        model(NEXT),
        "1000",
        "0 sell X 6 \n 0 bar X 100 100
         60 buy Y 401 \n 60 buy Y 400 \n 60 bar Y 1 1
         60 bar X 100 150
         120 buy Y 1 \n 120 bar Y 1 1
         120 buy X 6 \n 120 bar X 160 160",
        "#1 at 0: 6 for 100; #2 at 60: short of 1; #3 at 60: 400 for 1; #4 at 120: short of 601; #5 at 120: 6 for 160",
        "cash 240, X 0, Y 400, equity 640",
    );
}

#[test]
fn one_order_turns_a_position_round() {
    check(
        model(NEXT),
        "2000",
        "0 buy X 10 \n 0 bar X 100 100 \n 60 sell X 20 \n 60 bar X 110 110 \n 120 buy X 15 \n 120 bar X 90 90",
        "#1 at 0: 10 for 100; #2 at 60: 20 for 110; #3 at 120: 15 for 90",
        "cash 1850, X 5, Y 0, equity 2300",
    );
    // Turned round, it must be paid as if it were new.
    check(
        model(NEXT),
        "1000",
        "0 sell X 10 \n 0 bar X 100 100 \n 60 buy X 21 \n 60 buy X 20 \n 60 bar X 100 100",
        "#1 at 0: 10 for 100; #2 at 60: short of 100; #3 at 60: 20 for 100",
        "cash 0, X 10, Y 0, equity 1000",
    );
}

#[test]
fn an_order_whose_symbol_shows_no_price_again_changes_nothing() {
    check(
        model(NEXT),
        "1000",
        "0 bar X 100 100 \n 60 buy X 5 \n 60 bar Y 5 5 \n 120 bar Y 5 5 \n 120 sell Y 3",
        "",
        "cash 1000, X 0, Y 0, equity 1000",
    );
}

#[test]
fn an_order_that_the_account_cannot_carry_is_reduced_to_what_it_can() {
    let reduce = |fees| ExecutionModel { fees, on_short_cash: OnShortCash::Reduce, ..model(NEXT) };
    // All in, and the open is a cent higher, or a fee is due.
    let buy = "0 buy X 10 \n 0 bar X 100.01 100";
    check(reduce(Fees::None), "1000", buy, "#1 at 0: 9 for 100.01", "cash 99.91, X 9, Y 0, equity 999.91");
    check(
        reduce(Fees::Bps(BasisPoints::whole(20))),
        "1000",
        "0 buy X 10 \n 0 bar X 100 100",
        "#1 at 0: 9 for 100, fee 1.8",
        "cash 98.2, X 9, Y 0, equity 998.2",
    );
    // What not even pays one share is told as before.
    let told = "#1 at 0: short of 50";
    check(reduce(Fees::None), "50", "0 buy X 1 \n 0 bar X 100 100", told, "cash 50, X 0, Y 0, equity 50");
    // A flip closes first, and opens what is left for it.
    let flip = "0 buy X 10 \n 0 bar X 100 100 \n 60 sell X 20 \n 60 bar X 90 90";
    check(
        reduce(Fees::None),
        "1000",
        flip,
        "#1 at 0: 10 for 100; #2 at 60: 20 for 90",
        "cash 1800, X -10, Y 0, equity 900",
    );
    let flip = "0 sell X 10 \n 0 bar X 100 100 \n 60 buy X 20 \n 60 bar X 110 110";
    check(
        reduce(Fees::None),
        "1000",
        flip,
        "#1 at 0: 10 for 100; #2 at 60: 18 for 110",
        "cash 20, X 8, Y 0, equity 900",
    );
}

#[test]
fn an_order_that_only_reduces_a_position_is_always_carried() {
    // Short 10 at 100, and the price has tripled: nothing is left, and it is bought back all the same.
    let lines = "0 sell X 10 \n 0 bar X 100 100 \n 60 buy X 5 \n 60 bar X 300 300 \n 120 buy X 6 \n 120 bar X 300 300";
    check(
        model(NEXT),
        "1000",
        lines,
        "#1 at 0: 10 for 100; #2 at 60: 5 for 300; #3 at 120: short of 1300",
        "cash 500, X -5, Y 0, equity -1000",
    );
}
