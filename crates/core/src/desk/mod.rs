//! The desk: books, sizing and risk behind three verbs, decide, apply and end. Plain, synchronous, deterministic; time is
//! an argument.

mod account;
mod at_fill;
mod cut;
mod in_flight;
mod plain;
mod pricing;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::account::Account;
use crate::clock::Timestamp;
use crate::instrument::{Instrument, Instruments};
use crate::margin::{self, Margin};
use crate::market::{LatestPrices, SessionClock, Snapshot};
use crate::order::{ClientOrderId, OrderReport, OrderRequest, Side, TimeInForce};
use crate::outcome::OutcomeKind;
use crate::portfolio::{BookChange, Draft, Ended, Ending, Portfolio, Sizing};
use crate::position::Position;
use crate::risk::{self, AccountState, Approved, BidAsk, Limits, Plan, Refusal, SESSION_CLOSED};
use crate::signal::{EntryId, Signal};
use crate::sizing::{SellRule, SizeRule};
use crate::symbol::Symbol;
use crate::units::{Money, Price, Quantity, Weight};

use account::AccountBooks;
use in_flight::{Committed, FlyingOrder, InFlightOrders};

pub use pricing::Pricing;

/// What the owner of the desk wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// How much one signal trades.
    pub size: SizeRule,
    /// When a sell signal is followed.
    pub sell: SellRule,
    /// How orders are priced.
    pub pricing: Pricing,
    /// The share of the equity that stays cash.
    pub cash_buffer: Weight,
    /// What may be traded at the most.
    pub limits: Limits,
    /// What the instruments allow.
    pub instruments: Instruments,
    /// What positions require of the equity.
    pub margin: Margin,
}

/// What the market shows at the moment of a decision.
#[derive(Clone, Copy)]
pub struct MarketView<'a> {
    /// The latest prices.
    pub latest_prices: &'a dyn LatestPrices,
    /// Whether orders can be executed now.
    pub session: SessionClock,
    /// Equal numbers show equal prices; none where that is not known.
    pub version: Option<u64>,
}

/// Money and positions, as people are shown them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Cash.
    pub cash: Money,
    /// Cash plus positions at the last prices seen.
    pub equity: Money,
    /// Equity less the equity at the start.
    pub profit: Money,
    /// Positions that are not flat, by symbol.
    pub positions: BTreeMap<Symbol, Position>,
}

/// Decides over signals and keeps the books: the account's, and the strategies' within it.
#[derive(Debug)]
pub struct Desk {
    rules: Rules,
    /// Of signals that are no strategy's: their book is the account less the strategies'.
    plain: Sizing,
    account: AccountBooks,
    portfolio: Portfolio,
    in_flight: InFlightOrders,
    /// What the strategies' books took of each order so far; kept where orders can come back.
    booked: Option<HashMap<ClientOrderId, Booked>>,
    approvals: VecDeque<Timestamp>,
    start_equity: Money,
    fills: u64,
    /// Whether it is told of every price that moves, so that a decision need not look at all that is held.
    is_told_of_moves: bool,
    /// Which prices all that is held was last valued at.
    seen_version: Option<u64>,
    /// When the session opens that was closed when it was asked last.
    next_open: Option<Timestamp>,
}

/// What the strategies' books took of one order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Booked {
    /// Shares, without their sign.
    pub filled: Quantity,
    /// When they were booked last.
    pub at: Timestamp,
}

const MINUTE: Duration = Duration::from_mins(1);
/// How long it is remembered what was booked of an order: longer than any order can come back.
const BOOKED_FOR: Duration = Duration::from_hours(24);
/// Remembered orders between two looks at which are old.
const BOOKED_STEP: usize = 4_096;

impl Desk {
    /// A desk that starts from the broker's view of the account; `weights` are those of plain signals.
    pub fn new(
        rules: Rules,
        weights: impl IntoIterator<Item = (Symbol, Weight)>,
        account: &Account,
        latest_prices: &dyn LatestPrices,
    ) -> Self {
        let plain = Sizing {
            rule: rules.size,
            is_target: false,
            short: rules.limits.short,
            position_max: None,
            within_equity: false,
            weights: weights.into_iter().collect(),
        };
        let mut desk = Self {
            account: AccountBooks::new(rules.margin),
            rules,
            plain,
            portfolio: Portfolio::default(),
            in_flight: InFlightOrders::default(),
            booked: None,
            approvals: VecDeque::new(),
            start_equity: Money::ZERO,
            fills: 0,
            is_told_of_moves: false,
            seen_version: None,
            next_open: None,
        };
        desk.reset_to(account);
        desk.mark_all(latest_prices);
        for (symbol, _) in &desk.plain.weights {
            desk.account.mark_price(*symbol, latest_prices.snapshot(*symbol).as_ref());
        }
        // What the broker gives is held against what positions are worth to it, not against what they cost.
        desk.reset_to(account);
        desk.start_equity = desk.account.equity();
        desk
    }

    /// The same with the strategies' books, which are part of the account.
    #[must_use]
    pub fn with_portfolio(mut self, portfolio: Portfolio) -> Self {
        self.portfolio = portfolio.with_instruments(self.rules.instruments.clone());
        self
    }

    /// The same for a run in which an order can come back: what was booked of each is remembered for a day.
    #[must_use]
    pub fn remembering(mut self, booked: HashMap<ClientOrderId, Booked>) -> Self {
        self.booked = Some(booked);
        self
    }

    /// The same for whoever tells it with [`Desk::moved`] of each price that moved since the last decision.
    #[must_use]
    pub fn told_of_moves(mut self) -> Self {
        self.is_told_of_moves = true;
        self
    }

    /// The price of a symbol moved.
    pub fn moved(&mut self, symbol: Symbol, latest_prices: &dyn LatestPrices) {
        self.account.moved(symbol, latest_prices);
    }

    /// The rules it works by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The limits, for a broker that liquidates positions whatever they say.
    pub fn limits_mut(&mut self) -> &mut Limits {
        &mut self.rules.limits
    }

    /// The strategies' books.
    pub fn portfolio(&self) -> &Portfolio {
        &self.portfolio
    }

    /// What one share of a symbol is worth by the last price seen.
    pub fn mark(&self, symbol: Symbol) -> Option<Price> {
        self.account.mark(symbol)
    }

    /// Decides over one signal: sizes it, passes it through the risk check and reserves what it needs until [`Desk::end`].
    /// `seen` is what the market shows of the signal's symbol.
    ///
    /// # Errors
    /// The reason why there is no order. Nothing is reserved then.
    pub fn decide(
        &mut self,
        signal: &Signal,
        client_order_id: &ClientOrderId,
        seen: Option<&Snapshot>,
        market: MarketView<'_>,
        now: Timestamp,
    ) -> Result<Approved, Refusal> {
        if signal.time_in_force != TimeInForce::Ioc {
            return Err(Refusal::StandingOrder(signal.time_in_force.as_str()));
        }
        self.mark_market(signal.symbol, seen, market);
        let instrument = self.rules.instruments.of(signal.symbol);
        let session = instrument.session(market.session);
        let quote = risk::check_market(signal, seen, session, &self.rules.limits, now)
            .inspect_err(|refusal| self.note_closed(refusal))?;
        let committed = self.committed(signal.symbol);
        let place = self.portfolio.place(&signal.strategy);
        let mut draft = self.draft(signal, place, &instrument, quote, &committed, now)?;
        let order_type = self.price(signal, &instrument, draft.side, quote)?;
        let price = match draft.side {
            Side::Buy => quote.ask,
            Side::Sell => quote.bid,
        };
        let account_state = self.account_state(signal.symbol, &committed, now);
        let worst = risk::worst_price(order_type, draft.side, price);
        if draft.is_cut_to_cash {
            self.cut_to_cash(&instrument, place, &mut draft, worst, &account_state)?;
        }
        let mut is_first_half =
            !self.rules.limits.flip_in_one && self.cut_to_flat(&instrument, &mut draft, &account_state);
        let judge = |desk: &Self, side: Side, quantity: Quantity| {
            let request = OrderRequest {
                client_order_id: client_order_id.clone(),
                symbol: signal.symbol,
                side,
                quantity,
                order_type,
                time_in_force: instrument.time_in_force(quantity),
            };
            risk::judge(Plan { request, price, instrument }, &account_state, &desk.rules.limits)
        };
        let whole = draft.quantity;
        let approved = match judge(self, draft.side, whole) {
            // Of a flip that is not carried whole the half that closes is.
            Err(refusal @ Refusal::InsufficientCash { .. }) => {
                is_first_half = self.cut_to_flat(&instrument, &mut draft, &account_state);
                if draft.quantity == whole {
                    return Err(refusal);
                }
                judge(self, draft.side, draft.quantity)?
            }
            judged => judged?,
        };
        self.reserve(signal, &approved, (place, draft.parts, is_first_half), now);
        Ok(approved)
    }

    /// Marks positions at what the market shows, as far as nobody told of it.
    fn mark_market(&mut self, symbol: Symbol, seen: Option<&Snapshot>, market: MarketView<'_>) {
        let is_new = market.version.is_none() || market.version != self.seen_version;
        if is_new && !self.is_told_of_moves {
            self.seen_version = market.version;
            self.account.mark_others(market.latest_prices, symbol);
        }
        self.account.mark_price(symbol, seen);
    }

    /// What the order would trade before limits: of a strategy's book, or of the account where no book wants it.
    fn draft(
        &mut self,
        signal: &Signal,
        place: Option<usize>,
        instrument: &Instrument,
        quote: BidAsk,
        committed: &Committed,
        now: Timestamp,
    ) -> Result<Draft, Refusal> {
        let Some(place) = place else { return self.draft_plain(signal, instrument, quote, committed) };
        let price = self.account.mark(signal.symbol).unwrap_or(quote.ask);
        let account = &self.account;
        let drafted = self.portfolio.draft(place, signal, price, &|symbol| account.mark(symbol));
        if let Err(Refusal::Crossed(_)) = drafted {
            self.cross(signal, place, now);
        }
        drafted
    }

    /// Books what a report adds to the fills known so far. Reports are cumulative, so repeats add nothing.
    pub fn apply(&mut self, signal: &EntryId, report: &OrderReport) {
        let Some(order) = self.in_flight.get(report.symbol, signal) else { return };
        let quantity = report.filled - order.filled;
        let Some(average) = report.average_price.filter(|_| quantity.is_positive()) else { return };
        let (side, money) = (order.side, average * report.filled - order.filled_money);
        self.in_flight.fill(report.symbol, signal, quantity, money);
        self.account.fill(report.symbol, side, quantity, money);
        self.fills += 1;
    }

    /// A signal is over: what is still reserved for it is given back, and a strategy's books take what it filled, once
    /// however often the same order comes back. Says what changed in them and which step is to come.
    pub fn end(
        &mut self,
        signal: &Signal,
        (kind, reason): (OutcomeKind, &str),
        report: Option<&OrderReport>,
        fee: Money,
        now: Timestamp,
    ) -> Ended {
        let flight = self.in_flight.remove(signal.symbol, &signal.id);
        let Some(place) = self.portfolio.place(&signal.strategy) else {
            return Self::end_plain(signal, kind, flight.as_ref(), now);
        };
        let side = flight.as_ref().map(|flight| flight.side).or(report.map(|report| report.side));
        let (filled, paid) = report.map_or_else(Default::default, |report| self.unbooked(report, now));
        let signed = |quantity: Quantity| if side == Some(Side::Sell) { -quantity } else { quantity };
        let (mut filled, mut paid) = (signed(filled), if side == Some(Side::Sell) { -paid } else { paid });
        let opens_at = if kind == OutcomeKind::Refused { self.opens_at(reason) } else { None };
        if flight.is_none() && (kind == OutcomeKind::Expired || report.is_some() || opens_at.is_some()) {
            // It never came to a decision here, but it is what the strategy wants.
            let account = &self.account;
            self.portfolio.note(place, signal, &|symbol| account.mark(symbol));
        }
        let (ordered, parts, goes_on) = match (&flight, report) {
            (Some(FlyingOrder { crossed_at: Some(price), parts, .. }), _) => {
                (filled, paid) = (Quantity::ZERO, *price * Quantity::ONE);
                (Quantity::ZERO, parts.clone(), false)
            }
            (Some(flight), report) => {
                let is_another = report.is_some_and(|report| report.quantity != flight.quantity);
                (signed(flight.quantity), flight.parts.clone(), flight.is_first_half || is_another)
            }
            // A process before this one sent it: it may have been the first half of a flip.
            (None, Some(_)) if filled.is_zero() => (Quantity::ZERO, None, true),
            (None, Some(report)) => {
                let ordered = signed(report.quantity);
                (ordered, self.portfolio.adopt(place, signal.symbol, ordered, now), true)
            }
            (None, _) => (Quantity::ZERO, None, false),
        };
        let ending = Ending {
            place,
            signal,
            kind,
            reason,
            ordered,
            parts: parts.as_ref(),
            goes_on,
            filled,
            paid,
            fee,
            at: now,
            opens_at,
        };
        self.portfolio.end(&ending)
    }

    fn note_closed(&mut self, refusal: &Refusal) {
        if let Refusal::SessionClosed { next_open } = refusal {
            self.next_open = Some(*next_open).filter(|next| *next < Timestamp::MAX);
        }
    }

    /// When the session opens whose being closed was the reason of a refusal; none for any other reason.
    fn opens_at(&self, reason: &str) -> Option<Timestamp> {
        let is_closed = reason.split(':').next().is_some_and(|code| code == SESSION_CLOSED);
        self.next_open.filter(|_| is_closed)
    }

    /// Books an order of the strategy at `place` that the broker knows and its book does not; none when it does.
    pub fn book_found(&mut self, place: usize, report: &OrderReport, now: Timestamp) -> Option<BookChange> {
        let (filled, paid) = self.unbooked(report, now);
        let (shares, paid) = if report.side == Side::Sell { (-filled, -paid) } else { (filled, paid) };
        let book = self.portfolio.book_mut(place);
        let target = book.target(report.symbol).cloned();
        let change = BookChange {
            strategy: place,
            symbol: report.symbol,
            shares,
            paid,
            fee: Money::ZERO,
            target,
            at: now,
        };
        (!shares.is_zero()).then(|| {
            book.apply(&change);
            change
        })
    }

    /// What the strategies' books took of each order of the last day.
    pub fn booked(&self) -> impl Iterator<Item = (&ClientOrderId, &Booked)> {
        self.booked.iter().flatten()
    }

    /// Gives back what is still reserved for a signal that stays pending or is a dead letter.
    pub fn drop_signal(&mut self, signal: &EntryId) {
        self.in_flight.drop(signal);
    }

    /// How many orders are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many reports brought new fills.
    pub fn fills(&self) -> u64 {
        self.fills
    }

    /// Compares the books with the broker's account; says each difference, nothing when they agree to the cent.
    pub fn differences(&self, account: &Account) -> Vec<String> {
        self.account.differences(account)
    }

    /// Takes over the broker's view: it is the truth. Call it only while no order is in flight.
    pub fn reset_to(&mut self, account: &Account) {
        self.seen_version = None;
        self.account.reset_to(account);
    }

    /// Money and positions now.
    pub fn statement(&self) -> Statement {
        let equity = self.account.equity();
        Statement {
            cash: self.account.cash(),
            equity,
            profit: equity - self.start_equity,
            positions: self.account.positions().filter(|(_, held)| !held.quantity().is_zero()).collect(),
        }
    }

    /// Values all positions at the latest prices.
    pub fn mark_all(&mut self, latest_prices: &dyn LatestPrices) {
        self.account.mark_all(latest_prices);
    }

    /// Profit of all positions that it ever had: what closing made, and what is open at the latest prices.
    pub fn profit(&self) -> Money {
        self.account.profit()
    }

    /// Takes a fee that the broker took.
    pub fn book_fee(&mut self, fee: Money) {
        self.account.book_fee(fee);
    }

    /// What an order in `symbol` is judged by: the account with all orders in flight, less the buffer that market orders
    /// need at the broker.
    fn account_state(&mut self, symbol: Symbol, committed: &Committed, now: Timestamp) -> AccountState {
        while self.approvals.front().is_some_and(|at| now.since(*at) >= MINUTE) {
            self.approvals.pop_front();
        }
        let held = self.account.held(symbol);
        AccountState {
            margin: self.rules.margin,
            available_cash: self.available_cash(),
            available_shares: self.account.available_shares(symbol, committed.shares),
            short_shares: margin::closing(held + committed.buys, Side::Buy),
            held: held + committed.buys - committed.sells,
            orders_last_minute: u32::try_from(self.approvals.len()).unwrap_or(u32::MAX),
        }
    }

    /// Equity that nothing requires yet, less what orders in flight reserve and the buffer.
    fn available_cash(&self) -> Money {
        let buffer = if self.rules.cash_buffer == Weight::ZERO {
            Money::ZERO
        } else {
            self.buffer(self.account.equity())
        };
        self.account.excess() - self.in_flight.reserved() - buffer
    }

    fn buffer(&self, equity: Money) -> Money {
        equity.max(Money::ZERO) * self.rules.cash_buffer
    }
}

#[cfg(test)]
mod tests;
