//! The desk: books, sizing and risk behind two verbs, decide and apply. Plain, synchronous, deterministic; time is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::account::Account;
use crate::clock::Timestamp;
use crate::market::{Board, SessionClock, Snapshot};
use crate::order::{ClientOrderId, OrderReport, OrderRequest, OrderType, Side, TimeInForce};
use crate::position::Position;
use crate::risk::{self, Approved, FirmQuote, Limits, Plan, Refusal, Standing};
use crate::signal::{EntryId, Signal};
use crate::sizing::{self, BuyingMeans, SellRule, SizeRule};
use crate::symbol::Symbol;
use crate::units::{BasisPoints, Money, Price, Quantity, Weight};

/// How an order's price is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pricing {
    /// A market order.
    #[default]
    Market,
    /// A limit order this far through the quote: above the ask for a buy, below the bid for a sell.
    Marketable(BasisPoints),
}

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
}

/// What the market shows at the moment of a decision.
#[derive(Clone, Copy)]
pub struct MarketView<'a> {
    /// The latest prices.
    pub board: &'a dyn Board,
    /// Whether orders can be executed now.
    pub session: SessionClock,
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

/// Decides over signals and keeps the books.
#[derive(Debug)]
pub struct Desk {
    rules: Rules,
    weights: BTreeMap<Symbol, Weight>,
    cash: Money,
    /// Buying power less cash where the broker gives less than the cash, at the last reading; 0 or negative.
    power_gap: Money,
    holdings: BTreeMap<Symbol, Held>,
    /// Shares that orders of others hold, by the broker's last word.
    held_elsewhere: BTreeMap<Symbol, Quantity>,
    in_flight: BTreeMap<EntryId, InFlight>,
    approvals: VecDeque<Timestamp>,
    start_equity: Money,
    fills: u64,
}

/// A position and what one share of it is worth.
#[derive(Debug, Default)]
struct Held {
    position: Position,
    mark: Option<Price>,
}

/// What orders in flight will change.
#[derive(Debug, Default)]
struct Committed {
    /// Cash that is set aside, whatever the symbol.
    cash: Money,
    /// Shares of the symbol that are set aside.
    shares: Quantity,
    /// Shares of the symbol ordered and not yet filled.
    buys: Quantity,
    sells: Quantity,
}

#[derive(Debug)]
struct InFlight {
    symbol: Symbol,
    side: Side,
    quantity: Quantity,
    reserved_cash: Money,
    reserved_shares: Quantity,
    filled: Quantity,
    filled_money: Money,
}

const MINUTE: Duration = Duration::from_mins(1);

impl Desk {
    /// A desk that starts from the broker's view of the account.
    pub fn new(
        rules: Rules,
        weights: impl IntoIterator<Item = (Symbol, Weight)>,
        account: &Account,
        board: &dyn Board,
    ) -> Self {
        let mut desk = Self {
            rules,
            weights: weights.into_iter().collect(),
            cash: Money::ZERO,
            power_gap: Money::ZERO,
            holdings: BTreeMap::new(),
            held_elsewhere: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            approvals: VecDeque::new(),
            start_equity: Money::ZERO,
            fills: 0,
        };
        desk.take_over(account);
        desk.see(board);
        desk.start_equity = desk.equity();
        desk
    }

    /// The rules it works by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Decides over one signal: sizes it, passes it through the risk gate and reserves what it needs until [`Desk::release`].
    ///
    /// # Errors
    /// The reason why there is no order. Nothing is reserved then.
    pub fn decide(
        &mut self,
        signal: &Signal,
        client_order_id: &ClientOrderId,
        market: MarketView<'_>,
        now: Timestamp,
    ) -> Result<Approved, Refusal> {
        self.decide_by(self.rules.size, signal, client_order_id, market, now)
    }

    /// [`Desk::decide`] by a size rule that is not the desk's own.
    ///
    /// # Errors
    /// As [`Desk::decide`].
    pub fn decide_by(
        &mut self,
        size: SizeRule,
        signal: &Signal,
        client_order_id: &ClientOrderId,
        market: MarketView<'_>,
        now: Timestamp,
    ) -> Result<Approved, Refusal> {
        self.see_others(market.board, signal.symbol);
        let snapshot = market.board.snapshot(signal.symbol);
        if let Some(mark) = snapshot.as_ref().and_then(worth) {
            self.holdings.entry(signal.symbol).or_default().mark = Some(mark);
        }
        let quote = risk::check_market(signal, snapshot.as_ref(), market.session, &self.rules.limits, now)?;
        let order_type = self.price(signal, quote)?;
        let committed = self.committed(signal.symbol);
        let available = self.available_cash(&committed);
        let (price, quantity) = match signal.side {
            Side::Buy => (
                quote.ask,
                self.size_buy(size, signal, worst_price(order_type, quote.ask), available, &committed),
            ),
            Side::Sell => (quote.bid, self.size_sell(size, signal, quote.bid, &committed)?),
        };
        let request = OrderRequest {
            client_order_id: client_order_id.clone(),
            symbol: signal.symbol,
            side: signal.side,
            quantity,
            order_type,
            time_in_force: TimeInForce::Ioc,
        };
        let standing = self.standing(signal.symbol, available, &committed, now);
        let approved = risk::judge(Plan { request, price }, &standing, &self.rules.limits)?;
        self.reserve(signal, &approved, now);
        Ok(approved)
    }

    /// Books what a report adds to the fills known so far. Reports are cumulative, so repeats add nothing.
    pub fn apply(&mut self, signal: &EntryId, report: &OrderReport) {
        let Some(order) = self.in_flight.get_mut(signal) else { return };
        let quantity = report.filled - order.filled;
        let Some(average) = report.average_price.filter(|_| quantity.is_positive()) else { return };
        let money = average * report.filled - order.filled_money;
        order.filled += quantity;
        order.filled_money += money;
        // What is filled is spent or delivered: only the rest stays reserved.
        order.reserved_cash = (order.reserved_cash - money.abs()).max(Money::ZERO);
        order.reserved_shares = (order.reserved_shares - quantity).max(Quantity::ZERO);
        self.cash += match order.side {
            Side::Buy => -money,
            Side::Sell => money,
        };
        self.holdings.entry(order.symbol).or_default().position.fill(order.side, quantity, money);
        self.fills += 1;
    }

    /// Gives back what is still reserved for a signal; called once its order is final.
    pub fn release(&mut self, signal: &EntryId) {
        self.in_flight.remove(signal);
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
        let mut found = Vec::new();
        if self.cash.cents() != account.cash.cents() {
            found.push(format!("cash: books {}, broker {}", self.cash.cents(), account.cash.cents()));
        }
        let theirs: BTreeMap<_, _> =
            account.holdings.iter().map(|holding| (holding.symbol, holding.quantity)).collect();
        let symbols: std::collections::BTreeSet<_> =
            self.holdings.keys().chain(theirs.keys()).copied().collect();
        for symbol in symbols {
            let books = self.held(symbol);
            let broker = theirs.get(&symbol).copied().unwrap_or_default();
            if books != broker {
                found.push(format!("{symbol}: books {books} shares, broker {broker}"));
            }
        }
        found
    }

    /// Takes over the broker's view: it is the truth. Call it only while no order is in flight.
    pub fn take_over(&mut self, account: &Account) {
        self.cash = account.cash;
        self.power_gap = (account.buying_power - account.cash).min(Money::ZERO);
        self.held_elsewhere.clear();
        let mut holdings = BTreeMap::new();
        for holding in &account.holdings {
            let known = self.holdings.get(&holding.symbol);
            let mark = known.and_then(|known| known.mark);
            let known =
                known.map(|known| known.position).filter(|known| known.quantity() == holding.quantity);
            let position = known.unwrap_or_else(|| Position::held(holding.quantity, holding.average_price));
            holdings.insert(holding.symbol, Held { position, mark });
            let held = holding.quantity - holding.available;
            if held.is_positive() && holding.quantity.is_positive() {
                self.held_elsewhere.insert(holding.symbol, held);
            }
        }
        self.holdings = holdings;
    }

    /// Money and positions now.
    pub fn statement(&self) -> Statement {
        let open = self.holdings.iter().map(|(symbol, held)| (*symbol, held.position));
        Statement {
            cash: self.cash,
            equity: self.equity(),
            profit: self.equity() - self.start_equity,
            positions: open.filter(|(_, position)| !position.quantity().is_zero()).collect(),
        }
    }

    /// Values all positions at the latest prices.
    pub fn see(&mut self, board: &dyn Board) {
        self.holdings.iter_mut().for_each(|(symbol, held)| held.see(*symbol, board));
    }

    fn see_others(&mut self, board: &dyn Board, symbol: Symbol) {
        let others = self.holdings.iter_mut().filter(|(other, _)| **other != symbol);
        others.for_each(|(other, held)| held.see(*other, board));
    }

    /// Profit of all positions that it ever had: what closing made, and what is open at the latest prices.
    pub fn earned(&self) -> Money {
        self.holdings
            .values()
            .map(|held| held.position.realised() + held.value() - held.position.cost())
            .sum()
    }

    /// Takes a fee that the broker took.
    pub fn charge(&mut self, fee: Money) {
        if !fee.is_zero() {
            self.cash -= fee;
        }
    }

    fn size_buy(
        &self,
        size: SizeRule,
        signal: &Signal,
        price: Price,
        available_cash: Money,
        committed: &Committed,
    ) -> Quantity {
        if let Some(wanted) = signal.quantity {
            return wanted;
        }
        let held = self.held(signal.symbol);
        let in_flight = committed.buys;
        // A buy that closes a short position goes to flat at the most: a flip is two orders.
        let cover = if held.get().is_sign_negative() && !held.is_zero() {
            Some((-held - in_flight).max(Quantity::ZERO))
        } else {
            None
        };
        let means = BuyingMeans {
            available_cash,
            equity: self.equity(),
            weight: self.weights.get(&signal.symbol).copied().unwrap_or(Weight::ZERO),
            held_value: self.value(signal.symbol) + price * in_flight,
            price,
        };
        let wanted = sizing::buy_quantity(size, &means);
        cover.map_or(wanted, |cover| wanted.min(cover))
    }

    fn size_sell(
        &self,
        size: SizeRule,
        signal: &Signal,
        bid: Price,
        committed: &Committed,
    ) -> Result<Quantity, Refusal> {
        if self.rules.sell == SellRule::InProfit {
            let entry = self.holdings.get(&signal.symbol).and_then(|held| held.position.average_price());
            if entry.is_none_or(|entry| bid <= entry) && self.held(signal.symbol).is_positive() {
                let entry = entry.map_or_else(|| "unknown".to_owned(), |entry| entry.to_string());
                return Err(Refusal::NotInProfit { bid, entry });
            }
        }
        Ok(signal.quantity.unwrap_or_else(|| {
            let available = self.available_shares(signal.symbol, committed);
            sizing::sell_quantity(size, available, bid)
        }))
    }

    /// A signal's own limit wins. Limits are rounded to the tick on the safe side: a buy down, a sell up.
    fn price(&self, signal: &Signal, quote: FirmQuote) -> Result<OrderType, Refusal> {
        let limit = match (signal.limit, self.rules.pricing) {
            (Some(limit), _) => limit.get(),
            (None, Pricing::Market) => return Ok(OrderType::Market),
            (None, Pricing::Marketable(through)) => match signal.side {
                Side::Buy => quote.ask.get().saturating_mul(Decimal::ONE + through.fraction()),
                Side::Sell => quote.bid.get().saturating_mul(Decimal::ONE - through.fraction()),
            },
        };
        let strategy = match signal.side {
            Side::Buy => RoundingStrategy::ToNegativeInfinity,
            Side::Sell => RoundingStrategy::ToPositiveInfinity,
        };
        // Prices from a dollar up have two decimals, below it four (SEC rule 612).
        let decimals = if limit >= Decimal::ONE { 2 } else { 4 };
        // What was to be a limit is never sent as a market order.
        Price::new(limit.round_dp_with_strategy(decimals, strategy))
            .map(OrderType::Limit)
            .map_err(|_| Refusal::LimitTooLow(limit))
    }

    fn standing(
        &mut self,
        symbol: Symbol,
        available_cash: Money,
        committed: &Committed,
        now: Timestamp,
    ) -> Standing {
        while self.approvals.front().is_some_and(|at| now.since(*at) >= MINUTE) {
            self.approvals.pop_front();
        }
        Standing {
            available_cash,
            available_shares: self.available_shares(symbol, committed),
            held: self.held(symbol) + committed.buys - committed.sells,
            orders_last_minute: u32::try_from(self.approvals.len()).unwrap_or(u32::MAX),
        }
    }

    fn reserve(&mut self, signal: &Signal, approved: &Approved, now: Timestamp) {
        if self.rules.limits.orders_per_minute_max.is_some() {
            self.approvals.push_back(now);
        }
        let order = InFlight {
            symbol: signal.symbol,
            side: signal.side,
            quantity: approved.request().quantity,
            reserved_cash: approved.reserved_cash(),
            reserved_shares: approved.reserved_shares(),
            filled: Quantity::ZERO,
            filled_money: Money::ZERO,
        };
        self.in_flight.insert(signal.id.clone(), order);
    }

    fn held(&self, symbol: Symbol) -> Quantity {
        self.holdings.get(&symbol).map_or(Quantity::ZERO, |held| held.position.quantity())
    }

    /// What orders in flight will change.
    fn committed(&self, symbol: Symbol) -> Committed {
        let mut committed = Committed::default();
        for order in self.in_flight.values() {
            committed.cash += order.reserved_cash;
            if order.symbol == symbol {
                let rest = (order.quantity - order.filled).max(Quantity::ZERO);
                match order.side {
                    Side::Buy => committed.buys += rest,
                    Side::Sell => committed.sells += rest,
                }
                committed.shares += order.reserved_shares;
            }
        }
        committed
    }

    fn available_shares(&self, symbol: Symbol, committed: &Committed) -> Quantity {
        let elsewhere = self.held_elsewhere.get(&symbol).copied().unwrap_or_default();
        (self.held(symbol) - committed.shares - elsewhere).max(Quantity::ZERO)
    }

    /// Cash less what orders in flight may cost, less the buffer that market orders need at the broker.
    fn available_cash(&self, committed: &Committed) -> Money {
        let buffer = if self.rules.cash_buffer == Weight::ZERO {
            Money::ZERO
        } else {
            self.equity().max(Money::ZERO) * self.rules.cash_buffer
        };
        self.cash + self.power_gap - committed.cash - buffer
    }

    fn value(&self, symbol: Symbol) -> Money {
        self.holdings.get(&symbol).map_or(Money::ZERO, Held::value)
    }

    fn equity(&self) -> Money {
        self.cash + self.holdings.values().map(Held::value).sum()
    }
}

impl Held {
    fn see(&mut self, symbol: Symbol, board: &dyn Board) {
        if !self.position.quantity().is_zero() {
            self.mark = board.snapshot(symbol).as_ref().and_then(worth).or(self.mark);
        }
    }

    fn value(&self) -> Money {
        if self.position.quantity().is_zero() {
            return Money::ZERO;
        }
        let mark = self.mark.or_else(|| self.position.average_price());
        mark.map_or(Money::ZERO, |mark| self.position.value(mark))
    }
}

fn worth(snapshot: &Snapshot) -> Option<Price> {
    let seen = snapshot.quote.map(|quote| quote.mid()).or(snapshot.trade.map(|trade| trade.price));
    seen.and_then(|seen| Price::from_seen(seen).ok())
}

fn worst_price(order_type: OrderType, ask: Price) -> Price {
    match order_type {
        OrderType::Market => ask,
        OrderType::Limit(limit) => limit,
    }
}

#[cfg(test)]
mod tests;
