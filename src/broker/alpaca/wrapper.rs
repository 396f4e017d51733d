//! One worker's broker. It adds to the client: answers judged by proof, the request budget, and news of orders in flight.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::{debug, warn};

use super::answer::{Answered, ClientError};
use super::classify;
use super::client::{
    AlpacaClient, BarsQuery, HistoryKind, HistoryQuery, ORDERS_PER_PAGE, OrdersQuery, PAGE_OVERLAP,
};
use super::venue::Shared;
use super::wire::{NewOrder, OddOrder, WireOrder};
use super::wire_market;
use crate::broker::budget::{Budget, RequestPurpose};
use crate::broker::{
    Account, AccountReader, Broker, BrokerError, BrokerSnapshot, MINUTE, MarketData, OrderEntry, Reply,
    too_many_bars,
};
use crate::clock::Timestamp;
use crate::market::{Bar, SessionClock, Snapshot};
use crate::order::{ClientOrderId, OrderId, OrderReport, OrderRequest, Phase};
use crate::signal::CLIENT_ORDER_ID_PREFIX;
use crate::symbol::Symbol;

/// How long a read waits for room in the budget before it fails; the next one is soon.
const READ_PATIENCE: Duration = Duration::from_secs(1);
/// Free market data ends a quarter of an hour ago.
const DATA_DELAY: Duration = Duration::from_mins(16);
const DAY: Duration = Duration::from_hours(24);
/// No list is longer than this many pages, whatever the broker says.
const PAGES_MAX: usize = 100;

/// One worker's connection to an Alpaca account.
pub struct AlpacaWrapper {
    client: AlpacaClient,
    runtime: Runtime,
    shared: Arc<Shared>,
}

impl AlpacaWrapper {
    pub(super) fn new(shared: Arc<Shared>, client: AlpacaClient, runtime: Runtime) -> Self {
        Self { client, runtime, shared }
    }

    /// An order that works is looked for, where no stream tells of it.
    fn told(&self, reply: Reply) -> Reply {
        match &reply {
            Reply::Report(report) if report.status.phase() == Phase::Working => self.shared.signals.works(),
            Reply::Report(_)
            | Reply::Rejected(_)
            | Reply::RateLimited { .. }
            | Reply::Duplicate
            | Reply::NotFound
            | Reply::CancelAccepted
            | Reply::Unknown(_) => {}
        }
        reply
    }

    fn reader(&self, patience: Duration) -> BudgetedReads<'_> {
        BudgetedReads { client: &self.client, shared: &self.shared, patience }
    }
}

impl OrderEntry for AlpacaWrapper {
    fn submit(&mut self, order: &OrderRequest) -> Reply {
        if let Err(until) = self.shared.trading.admit(RequestPurpose::Order, self.shared.clock.now()) {
            return Reply::RateLimited { until };
        }
        let answer = self.runtime.block_on(self.client.submit_order(&NewOrder::from(order)));
        let retry_at = self.shared.note(&self.shared.trading, answer.as_ref().map(|answer| &answer.head));
        self.told(classify::submitted(answer, &order.client_order_id, retry_at))
    }

    fn query(&mut self, id: &ClientOrderId) -> Reply {
        if let Err(until) = self.shared.trading.admit(RequestPurpose::Lookup, self.shared.clock.now()) {
            return Reply::RateLimited { until };
        }
        let answer = self.runtime.block_on(self.client.order_by_client_id(id));
        let retry_at = self.shared.note(&self.shared.trading, answer.as_ref().map(|answer| &answer.head));
        self.told(classify::looked_up(answer, id, retry_at))
    }

    fn cancel(&mut self, id: &OrderId) -> Reply {
        if let Err(until) = self.shared.trading.admit(RequestPurpose::Order, self.shared.clock.now()) {
            return Reply::RateLimited { until };
        }
        let answer = self.runtime.block_on(self.client.cancel_order(id));
        let retry_at = self.shared.note(&self.shared.trading, answer.as_ref());
        classify::cancelled(answer, retry_at)
    }
}

impl AccountReader for AlpacaWrapper {
    fn account(&mut self) -> Result<Account, BrokerError> {
        self.runtime.block_on(self.reader(READ_PATIENCE).account())
    }

    fn open_orders(&mut self) -> Result<Vec<OrderReport>, BrokerError> {
        self.runtime.block_on(self.reader(READ_PATIENCE).open_orders())
    }

    fn orders_since(&mut self, since: Timestamp) -> Result<Vec<OrderReport>, BrokerError> {
        self.runtime.block_on(self.reader(self.shared.config.request_timeout).orders_since(since))
    }
}

impl MarketData for AlpacaWrapper {
    fn session(&mut self) -> Result<SessionClock, BrokerError> {
        self.runtime.block_on(self.reader(READ_PATIENCE).session())
    }

    fn snapshots(&mut self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError> {
        self.runtime.block_on(self.reader(READ_PATIENCE).snapshots(symbols))
    }

    fn daily_bars(
        &mut self,
        symbols: &[Symbol],
        days: usize,
    ) -> Result<Vec<(Symbol, Vec<Bar>)>, BrokerError> {
        self.runtime.block_on(self.reader(READ_PATIENCE).daily_bars(symbols, days))
    }

    fn minute_bars(
        &mut self,
        symbol: Symbol,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Bar>, BrokerError> {
        let reader = self.reader(self.shared.config.request_timeout);
        self.runtime.block_on(reader.minute_bars(symbol, from, to))
    }
}

impl Broker for AlpacaWrapper {
    /// All at once.
    fn broker_snapshot(
        &mut self,
        symbols: &[Symbol],
        daily_bars: usize,
    ) -> Result<BrokerSnapshot, BrokerError> {
        let reader = self.reader(self.shared.config.request_timeout);
        self.runtime.block_on(async {
            let (account, open_orders, session, snapshots, daily_bars) = tokio::try_join!(
                reader.account(),
                reader.open_orders(),
                reader.session(),
                reader.snapshots(symbols),
                reader.daily_bars(symbols, daily_bars),
            )?;
            Ok(BrokerSnapshot { account, open_orders, session, snapshots, daily_bars })
        })
    }
}

/// Reads that wait a little for room in the budget.
#[derive(Clone, Copy)]
struct BudgetedReads<'a> {
    client: &'a AlpacaClient,
    shared: &'a Shared,
    patience: Duration,
}

impl BudgetedReads<'_> {
    async fn account(self) -> Result<Account, BrokerError> {
        // One after the other: both use the one connection.
        let account =
            self.read(&self.shared.trading, RequestPurpose::Refresh, || self.client.account()).await?;
        let positions =
            self.read(&self.shared.trading, RequestPurpose::Refresh, || self.client.positions()).await?;
        Ok(account.to_broker(&positions))
    }

    async fn session(self) -> Result<SessionClock, BrokerError> {
        let clock = self.read(&self.shared.trading, RequestPurpose::Refresh, || self.client.clock()).await?;
        Ok(clock.into())
    }

    async fn open_orders(self) -> Result<Vec<OrderReport>, BrokerError> {
        let query = OrdersQuery { open_only: true, after: None, until: None, oldest_first: false };
        let orders = self.orders(query).await?;
        Ok(orders.iter().filter_map(|order| followed(order.report_of_anyone())).collect())
    }

    async fn orders_since(self, since: Timestamp) -> Result<Vec<OrderReport>, BrokerError> {
        let after = Some(since - PAGE_OVERLAP);
        let query = OrdersQuery { open_only: false, after, until: None, oldest_first: true };
        let mut orders = self.orders(query).await?;
        orders.retain(|order| {
            order.client_order_id.starts_with(CLIENT_ORDER_ID_PREFIX)
                && order.submitted_at.is_none_or(|at| at >= since)
        });
        Ok(orders.iter().filter_map(|order| followed(order.report())).collect())
    }

    /// All pages of a list, each order once.
    async fn orders(self, mut query: OrdersQuery) -> Result<Vec<WireOrder>, BrokerError> {
        let (mut orders, mut seen) = (Vec::new(), HashSet::new());
        for _ in 0..PAGES_MAX {
            let page = self
                .read(&self.shared.trading, RequestPurpose::Lookup, || self.client.orders(&query))
                .await?;
            let (next, is_full) = (query.next_page(&page), page.len() >= ORDERS_PER_PAGE);
            orders.extend(page.into_iter().filter(|order| seen.insert(order.id.clone())));
            match next {
                Some(next) => query = next,
                None if is_full => {
                    let fault = "a page of orders must go beyond the page before, did not";
                    return Err(BrokerError::Unreachable(fault.to_owned()));
                }
                None => return Ok(orders),
            }
        }
        Err(BrokerError::Unreachable(format!("a list of orders must end within {PAGES_MAX} pages, did not")))
    }

    async fn snapshots(self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, BrokerError> {
        if symbols.is_empty() {
            return Ok(Vec::new());
        }
        let (coins, shares): (Vec<Symbol>, Vec<Symbol>) = symbols.iter().partition(|one| one.is_pair());
        let (data, mut found) = (&self.shared.data, wire_market::Snapshots::default());
        if !shares.is_empty() {
            found = self.read(data, RequestPurpose::Lookup, || self.client.snapshots(&shares)).await?;
        }
        if !coins.is_empty() {
            let ask = || self.client.coin_snapshots(&coins);
            found.extend(self.read(data, RequestPurpose::Lookup, ask).await?.snapshots.unwrap_or_default());
        }
        let read_at = self.shared.clock.now();
        let known = |symbol: &Symbol| Some(found.get(symbol.as_str())?.as_ref()?.to_market(*symbol, read_at));
        Ok(symbols.iter().filter_map(known).collect())
    }

    async fn daily_bars(
        self,
        symbols: &[Symbol],
        days: usize,
    ) -> Result<Vec<(Symbol, Vec<Bar>)>, BrokerError> {
        let mut bars: Vec<(Symbol, Vec<Bar>)> = symbols.iter().map(|symbol| (*symbol, Vec::new())).collect();
        if days == 0 || symbols.is_empty() {
            return Ok(bars);
        }
        let now = self.shared.clock.now();
        // Five sessions in seven days, and room for holidays.
        let span = DAY * u32::try_from(days.saturating_mul(3) / 2 + 10).unwrap_or(36_500).min(36_500);
        let (coins, shares): (Vec<Symbol>, Vec<Symbol>) = symbols.iter().partition(|one| one.is_pair());
        for symbols in [&shares, &coins].into_iter().filter(|symbols| !symbols.is_empty()) {
            let query = BarsQuery { symbols, timeframe: "1Day", start: now - span, end: now - DATA_DELAY };
            match self.all_bars(&query, &mut bars).await {
                Ok(()) => {}
                // The account's plan may not include them; whoever needs them says so.
                Err(BrokerError::Refused(refusal)) => warn!(%refusal, "daily bars are not available"),
                Err(error) => return Err(error),
            }
        }
        for (_, found) in &mut bars {
            found.drain(..found.len().saturating_sub(days));
        }
        Ok(bars)
    }

    async fn all_bars(
        self,
        query: &BarsQuery<'_>,
        bars: &mut [(Symbol, Vec<Bar>)],
    ) -> Result<(), BrokerError> {
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .read(&self.shared.data, RequestPurpose::Refresh, || {
                    self.client.bars(query, token.as_deref())
                })
                .await?;
            let mut found = page.bars.unwrap_or_default();
            for (symbol, bars) in &mut *bars {
                bars.extend(found.remove(symbol.as_str()).iter().flatten().map(Bar::from));
            }
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(());
            }
        }
        Err(BrokerError::Unreachable(format!("historical bars must end within {PAGES_MAX} pages, did not")))
    }

    async fn minute_bars(
        self,
        symbol: Symbol,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Bar>, BrokerError> {
        let now = self.shared.clock.now();
        let kind = HistoryKind::Bars { timeframe: "1Min", adjustment: "split" };
        let feed = self.shared.config.endpoints.feed();
        let query = HistoryQuery { symbol, kind, feed, start: from - MINUTE, end: to.min(now) - MINUTE };
        let mut bars = Vec::new();
        if query.end < query.start {
            return Ok(bars);
        }
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let ask = || self.client.history::<wire_market::WireBar>(&query, token.as_deref());
            let page = self.read(&self.shared.data, RequestPurpose::Refresh, ask).await?;
            let found = page.rows.and_then(|mut rows| rows.remove(symbol.as_str())).flatten();
            bars.extend(found.iter().flatten().map(Bar::from).filter(|bar| {
                let known = bar.at + MINUTE;
                known >= from && known < to && known <= now
            }));
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() && bars.is_sorted_by(|one, next| one.at < next.at) {
                return Ok(bars);
            }
            if token.is_none() {
                let rule = "minute bars must be in order of time, were not";
                return Err(BrokerError::Unreachable(rule.to_owned()));
            }
        }
        Err(too_many_bars(symbol))
    }

    async fn read<T, Asked>(
        self,
        budget: &Budget,
        purpose: RequestPurpose,
        ask: impl FnOnce() -> Asked,
    ) -> Result<T, BrokerError>
    where
        Asked: Future<Output = Result<Answered<T>, ClientError>>,
    {
        self.admission(budget, purpose).await?;
        let answer = ask().await;
        self.shared.note(budget, answer.as_ref().map(|answer| &answer.head));
        answer.map(|answer| answer.value).map_err(classify::read_failed)
    }

    async fn admission(self, budget: &Budget, purpose: RequestPurpose) -> Result<(), BrokerError> {
        let begun: Timestamp = self.shared.clock.now();
        loop {
            let now = self.shared.clock.now();
            let Err(until) = budget.admit(purpose, now) else { return Ok(()) };
            if until.since(begun) > self.patience {
                return Err(BrokerError::Unreachable(format!(
                    "the request budget has no room until {until}"
                )));
            }
            tokio::time::sleep(until.since(now)).await;
        }
    }
}

fn followed(report: Result<OrderReport, OddOrder>) -> Option<OrderReport> {
    report.inspect_err(|odd| debug!(%odd, "an order is left out")).ok()
}
