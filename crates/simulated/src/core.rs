//! One account at a small market: orders in, events out. Pure: time is an argument, randomness is seeded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::{Builder, Uuid};

use super::bar_history::MINUTE;
use super::config::{Hours, MarketConfig};
use super::execution_model::Fees;
use super::listing::{Listing, level};
use super::margin_account::{AccountFill, MarginAccount};
use super::matching::{Execution, Rest};
use super::order::{FillDetail, OrderEvent, OrderEventKind, PaperOrder, Request};
use super::prices::{DisplayedQuote, PriceSource, TICK};
use super::refusal::RequestRefusal;
use bot_core::calendar;
use bot_core::clock::Timestamp;
use bot_core::market::{MarketEvent, Quote, SessionClock, Trade};
use bot_core::order::{OrderStatus, Side, TimeInForce};
use bot_core::symbol::Symbol;
use bot_core::units::{Money, Quantity};

/// A new order, as it was received and as it stands after matching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// In state `pending_new`.
    pub received: PaperOrder,
    /// Right after matching.
    pub matched: PaperOrder,
}

/// The whole simulated market with one account.
#[derive(Debug)]
pub struct SimulatedMarket {
    pub(super) now: Timestamp,
    pub(super) started: Timestamp,
    pub(super) account_id: Uuid,
    pub(super) shorting: bool,
    pub(super) flips_in_one: bool,
    pub(super) listings: BTreeMap<Symbol, Listing>,
    /// Its places are those of the listings.
    pub(super) books: MarginAccount,
    fees: Fees,
    pub(super) last_equity: Money,
    pub(super) last_maintenance_margin: Money,
    pub(super) orders: Vec<PaperOrder>,
    pub(super) by_client_id: HashMap<Arc<str>, usize>,
    pub(super) by_id: HashMap<Uuid, usize>,
    pub(super) open: BTreeSet<usize>,
    expiries: BTreeSet<(Timestamp, usize)>,
    hours: Hours,
    pub(super) session: SessionClock,
    session_since: Timestamp,
    next_tick: Timestamp,
    ids: ChaCha8Rng,
    last_event_id: u128,
    events: Vec<OrderEvent>,
    /// What the market showed since it was last asked for; `None` while nobody watches.
    shown: Option<Vec<MarketEvent>>,
}

/// A process that slept longer skips the prices it missed.
const CATCH_UP_MAX: Duration = Duration::from_mins(10);
const GTC_LIFE: Duration = Duration::from_hours(90 * 24);
const DAY: Duration = Duration::from_hours(24);

impl SimulatedMarket {
    /// Opens the market and the account at `now`.
    pub fn new(config: &MarketConfig, now: Timestamp) -> Self {
        let mut ids = ChaCha8Rng::seed_from_u64(config.seed);
        let account_id = random_id(&mut ids);
        let mut books = MarginAccount::new(config.margin, config.cash);
        let listings = config.symbols.iter().map(|(symbol, price)| {
            (*symbol, Listing::open(config, books.list(*symbol), (*symbol, *price), now))
        });
        let session = session(config.hours, now);
        let mut core = Self {
            now,
            started: now,
            account_id,
            shorting: config.shorting,
            flips_in_one: config.flips_in_one,
            listings: listings.collect(),
            books,
            fees: config.fees,
            last_equity: config.cash,
            last_maintenance_margin: Money::ZERO,
            orders: Vec::new(),
            by_client_id: HashMap::new(),
            by_id: HashMap::new(),
            open: BTreeSet::new(),
            expiries: BTreeSet::new(),
            hours: config.hours,
            session,
            session_since: now,
            next_tick: now + TICK,
            ids,
            last_event_id: 0,
            events: Vec::new(),
            shown: None,
        };
        for symbol in core.symbols().collect::<Vec<_>>() {
            core.open_prices(symbol, now);
        }
        core
    }

    /// Lets time pass: prices move, resting orders fill, orders expire. Time never goes backwards here.
    pub fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        while self.next_tick <= now {
            let at = self.next_tick;
            self.set_time(at);
            if !self.listings.values().any(|listing| listing.is_open(self.session)) {
                self.next_tick = self.session.next_open.max(at + TICK);
            } else if now.since(at) > CATCH_UP_MAX {
                self.next_tick = now - CATCH_UP_MAX;
            } else {
                self.tick(at);
                self.next_tick = at + TICK;
            }
        }
        self.set_time(now);
        self.tell_minutes(now);
    }

    /// Takes an order and matches it, when the market is open.
    ///
    /// # Errors
    /// A refusal changes nothing and leaves the client order id free.
    pub fn submit(&mut self, request: Request, now: Timestamp) -> Result<Submitted, RequestRefusal> {
        self.advance(now);
        let admitted = self.admit(&request)?;
        if let Some(last) = self.orders.last() {
            // No two orders share an instant, so that lists can be paged by time.
            self.now = self.now.max(last.submitted_at + Duration::from_nanos(1));
        }
        let at = self.now;
        let number = self.orders.len();
        let id = random_id(&mut self.ids);
        let client_order_id =
            request.client_order_id.unwrap_or_else(|| random_id(&mut self.ids).to_string().into());
        let order = PaperOrder {
            number,
            id,
            client_order_id: Arc::clone(&client_order_id),
            symbol: request.symbol,
            asset_id: admitted.asset_id,
            side: request.side,
            amount: request.amount,
            quantity: admitted.quantity,
            order_type: request.order_type,
            time_in_force: request.time_in_force,
            extended_hours: request.extended_hours,
            strategy_signal: admitted.strategy_signal,
            status: OrderStatus::PendingNew,
            filled: Quantity::ZERO,
            paid: Money::ZERO,
            submitted_at: at,
            updated_at: at,
            filled_at: None,
            cancel_requested_at: None,
            canceled_at: None,
            expired_at: None,
            expires_at: self.expiry(request.time_in_force, at),
            hold_price: admitted.hold_price,
        };
        self.by_id.insert(id, number);
        self.by_client_id.insert(client_order_id, number);
        self.open.insert(number);
        self.expiries.insert((order.expires_at, number));
        self.orders.push(order);
        self.hold(number, admitted.quantity);
        self.record(OrderEventKind::PendingNew, number, None);
        let received = self.orders[number].clone();
        self.work(number);
        Ok(Submitted { received, matched: self.orders[number].clone() })
    }

    /// Cancels an open order; cancelling a cancelled order is no error.
    ///
    /// # Errors
    /// Unknown orders and orders that ended another way are refused.
    pub fn cancel(&mut self, id: Uuid, now: Timestamp) -> Result<(), RequestRefusal> {
        self.advance(now);
        let number = *self.by_id.get(&id).ok_or_else(|| RequestRefusal::OrderNotFound(id.to_string()))?;
        let order = &mut self.orders[number];
        if order.is_open() {
            order.cancel_requested_at = Some(self.now);
            self.end(number, OrderEventKind::Canceled);
            return Ok(());
        }
        if order.status == OrderStatus::Canceled {
            return Ok(());
        }
        Err(RequestRefusal::AlreadyFinal(order.status.clone()))
    }

    /// Cancels all open orders and names them.
    pub fn cancel_all(&mut self, now: Timestamp) -> Vec<Uuid> {
        self.advance(now);
        let open: Vec<Uuid> = self.open.iter().map(|number| self.orders[*number].id).collect();
        open.into_iter().filter(|id| self.cancel(*id, now).is_ok()).collect()
    }

    /// Shows a quote by hand; from then on only further calls move this symbol's price. False for an unknown symbol.
    pub fn set_quote(&mut self, symbol: Symbol, quote: Quote) -> bool {
        let Some(listing) = self.listings.get_mut(&symbol) else { return false };
        listing.source = PriceSource::Still;
        let trade = Trade { at: quote.at, ..listing.trade };
        self.show(symbol, DisplayedQuote { quote, trade }, false);
        true
    }

    /// What happened since the last call, in order. Whoever drives the core takes it now and then: it is not bounded.
    pub fn take_events(&mut self) -> Vec<OrderEvent> {
        std::mem::take(&mut self.events)
    }

    /// Begins or ends the record of what the market shows, which is not bounded: whoever watches takes it now and then.
    pub fn watch(&mut self, watched: bool) {
        if watched != self.shown.is_some() {
            self.shown = watched.then(Vec::new);
        }
    }

    /// What the market showed since the last call, in order; nothing while it is not watched.
    pub fn take_shown(&mut self) -> Vec<MarketEvent> {
        self.shown.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn set_time(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        let boundary = if self.session.is_open { self.session.next_close } else { self.session.next_open };
        if at < self.session_since || at >= boundary || self.hours == Hours::Always {
            if self.session.is_open && self.hours == Hours::Regular {
                let account = self.account();
                self.last_equity = account.equity;
                self.last_maintenance_margin = account.maintenance_margin;
            }
            self.session = session(self.hours, at);
            self.session_since = at;
        }
        while let Some((when, number)) = self.expiries.first().copied().filter(|(when, _)| *when <= at) {
            self.expiries.remove(&(when, number));
            self.end(number, OrderEventKind::Expired);
        }
    }

    fn tick(&mut self, at: Timestamp) {
        self.tell_minutes(at);
        let mut shown = Vec::new();
        for symbol in self.listings.keys().copied().collect::<Vec<_>>() {
            let session = self.session;
            let open = self.listings.get_mut(&symbol).filter(|listing| listing.is_open(session));
            let Some(listing) = open else { continue };
            listing.source.step(at, &mut shown);
            if shown.is_empty() {
                let mut filled = Vec::new();
                listing.matcher.rematch(&mut filled);
                self.fill_all(&filled);
            }
            for one in shown.drain(..) {
                self.show(symbol, one, true);
            }
        }
    }

    fn show(&mut self, symbol: Symbol, shown: DisplayedQuote, printed: bool) {
        let Some(listing) = self.listings.get_mut(&symbol) else { return };
        let DisplayedQuote { quote, trade } = shown;
        listing.quote = quote;
        if printed {
            listing.trade = trade;
            listing.bar_history.print(trade);
        }
        if let Some(shown) = &mut self.shown {
            shown.push(MarketEvent::Quote { symbol, quote });
            shown.extend(printed.then_some(MarketEvent::Trade { symbol, trade }));
        }
        let mut filled = Vec::new();
        let (bid, ask) = (level(quote.bid, quote.bid_size), level(quote.ask, quote.ask_size));
        if listing.is_open(self.session) {
            listing.matcher.show(bid, ask, &mut filled);
        } else {
            listing.matcher.display(bid, ask);
        }
        self.books.mark(listing.place, listing.mark());
        self.fill_all(&filled);
    }

    /// Tells the minutes that are over at `now`, each once.
    fn tell_minutes(&mut self, now: Timestamp) {
        let Some(shown) = &mut self.shown else { return };
        for (symbol, listing) in &mut self.listings {
            if let Some(bar) = listing.bar_history.minute_over(now) {
                shown.push(MarketEvent::Bar { symbol: *symbol, bar, span: MINUTE });
            }
        }
    }

    fn open_prices(&mut self, symbol: Symbol, now: Timestamp) {
        let mut shown = Vec::new();
        if let Some(listing) = self.listings.get_mut(&symbol) {
            listing.source.step(now, &mut shown);
            let (quote, trade) = (listing.quote, listing.trade);
            shown.push(DisplayedQuote { quote, trade });
            shown.truncate(1);
        }
        let is_open = self.listings.get(&symbol).is_some_and(|listing| listing.is_open(self.session));
        for one in shown {
            self.show(symbol, one, is_open);
        }
    }

    /// Routes a received order: it matches, waits, or is killed.
    fn work(&mut self, number: usize) {
        let order = &mut self.orders[number];
        order.status = OrderStatus::New;
        let (working, time_in_force, symbol) = (order.working(), order.time_in_force, order.symbol);
        self.record(OrderEventKind::New, number, None);
        let Some(listing) = self.listings.get_mut(&symbol) else { return };
        let (execution, rest) = if listing.is_open(self.session) {
            listing.matcher.submit(working, time_in_force)
        } else {
            match time_in_force {
                TimeInForce::Ioc | TimeInForce::Fok => (None, Rest::Canceled),
                TimeInForce::Day | TimeInForce::Gtc => {
                    listing.matcher.rest(working);
                    (None, Rest::Waits)
                }
            }
        };
        self.fill_all(execution.as_slice());
        match rest {
            Rest::Nothing | Rest::Waits => {}
            Rest::Canceled => self.end(number, OrderEventKind::Canceled),
        }
    }

    fn fill_all(&mut self, executions: &[Execution]) {
        for execution in executions {
            self.fill(*execution);
        }
    }

    fn fill(&mut self, Execution { key: number, price, quantity }: Execution) {
        let at = self.now;
        self.release(number, quantity);
        let order = &mut self.orders[number];
        order.filled += quantity;
        order.paid += price * quantity;
        order.filled_at = Some(at);
        order.updated_at = at;
        let (symbol, side) = (order.symbol, order.side);
        let kind =
            if order.remaining().is_zero() { OrderEventKind::Fill } else { OrderEventKind::PartialFill };
        order.status =
            if kind == OrderEventKind::Fill { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        if kind == OrderEventKind::Fill {
            self.open.remove(&number);
            self.expiries.remove(&(self.orders[number].expires_at, number));
        }
        let fill = AccountFill::of(side, quantity, price, self.fees);
        let Some(listing) = self.listings.get(&symbol) else { return };
        self.books.book(listing.place, &fill);
        self.books.mark(listing.place, listing.mark());
        let position = self.books.shares(listing.place);
        self.record(kind, number, Some(FillDetail { price, quantity, position }));
    }

    /// Ends an open order that is not filled.
    fn end(&mut self, number: usize, kind: OrderEventKind) {
        let at = self.now;
        let order = &mut self.orders[number];
        if kind == OrderEventKind::Expired {
            order.status = OrderStatus::Expired;
            order.expired_at = Some(at);
        } else {
            order.status = OrderStatus::Canceled;
            order.canceled_at = Some(at);
        }
        order.updated_at = at;
        let (working, symbol, expires_at) = (order.working(), order.symbol, order.expires_at);
        self.open.remove(&number);
        self.expiries.remove(&(expires_at, number));
        if let Some(listing) = self.listings.get_mut(&symbol) {
            listing.matcher.remove(&working);
        }
        self.release(number, working.remaining);
        self.record(kind, number, None);
    }

    fn hold(&mut self, number: usize, quantity: Quantity) {
        self.release(number, -quantity);
    }

    fn release(&mut self, number: usize, quantity: Quantity) {
        let order = &self.orders[number];
        if let Some(price) = order.hold_price {
            self.books.hold(-(price * quantity));
        }
        if let Some(listing) = self.listings.get_mut(&order.symbol) {
            match order.side {
                Side::Buy => listing.held_buy -= quantity,
                Side::Sell => listing.held_sell -= quantity,
            }
        }
    }

    fn record(&mut self, kind: OrderEventKind, number: usize, fill: Option<FillDetail>) {
        let at = self.now;
        let execution_id = (kind != OrderEventKind::PendingNew).then(|| random_id(&mut self.ids));
        let millis = u128::try_from(at.millis()).unwrap_or(0) << 80;
        let id = (self.last_event_id + 1).max(millis);
        self.last_event_id = id;
        self.events.push(OrderEvent { id, kind, at, order: self.orders[number].clone(), execution_id, fill });
    }

    fn expiry(&self, time_in_force: TimeInForce, at: Timestamp) -> Timestamp {
        match (time_in_force, self.hours) {
            (TimeInForce::Gtc, _) => at + GTC_LIFE,
            (TimeInForce::Day | TimeInForce::Ioc | TimeInForce::Fok, Hours::Regular) => {
                self.session.next_close
            }
            (TimeInForce::Day | TimeInForce::Ioc | TimeInForce::Fok, Hours::Always) => at + DAY,
        }
    }
}

fn session(hours: Hours, now: Timestamp) -> SessionClock {
    match hours {
        Hours::Regular => calendar::clock_at(now),
        Hours::Always => SessionClock { is_open: true, next_open: now + DAY, next_close: now + DAY },
    }
}

fn random_id(random: &mut ChaCha8Rng) -> Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    Builder::from_random_bytes(bytes).into_uuid()
}
