//! Start-up: what the account and the market look like, read in one go, computed into a desk, shown as a table.

use std::collections::HashMap;
use std::time::Duration;

use comfy_table::{Table, presets};
use thiserror::Error;

use super::backoff::Backoff;
use crate::broker::{Broker, BrokerError, BrokerSnapshot};
use crate::clock::{self, Clock, Timestamp};
use crate::data::DataError;
use crate::desk::{Desk, Rules};
use crate::history::HistoryError;
use crate::inbox::{Inbox, InboxError};
use crate::signal::CLIENT_ORDER_ID_PREFIX;
use crate::sizing::{self, WeightError, WeightRule};
use crate::spec::SpecError;
use crate::stop::Stop;
use crate::symbol::Symbol;
use crate::units::Weight;

/// Why a run failed.
#[derive(Debug, Error)]
pub enum LiveError {
    /// It never began.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The directory for recordings is not usable.
    #[error("cannot record: {0}")]
    Record(#[from] HistoryError),
    /// A thread could not be started or ended early.
    #[error("thread {0} failed")]
    Thread(String),
}

/// Why the bot cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The broker does not answer, or refuses.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The signal stream does not answer, or cannot be used.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The target weights cannot be computed.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The account may not trade.
    #[error("account {account} may not trade: {reason}")]
    Blocked {
        /// The broker's name of the account.
        account: String,
        /// The broker's reason.
        reason: String,
    },
    /// A strategy is not made, or its weights do not fit.
    #[error(transparent)]
    Strategy(SpecError),
    /// A strategy's past cannot be read.
    #[error("warm-up: {0}")]
    Data(DataError),
    /// The books in the state directory cannot be read or written.
    #[error("books in the state directory: {0}")]
    State(std::io::Error),
    /// Somebody asked to stop before the start was done.
    #[error("stopped while waiting for {0}")]
    Stopped(&'static str),
}

/// Daily bars read for `inverse_volatility`: three months of trading days.
const VOLATILITY_DAYS: usize = 63;

/// How long things are waited for at start-up.
pub(super) struct StartWait<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) stop: &'a Stop,
    /// Give up at the first failure.
    pub(super) no_wait: bool,
    pub(super) seed: u64,
}

impl StartWait<'_> {
    /// Tries until it works, saying once that it waits; what cannot get better by waiting is an error at once.
    pub(super) fn until_ready<T>(
        &self,
        what: &'static str,
        mut attempt: impl FnMut() -> Result<T, StartError>,
    ) -> Result<T, StartError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), self.seed);
        let mut waited = false;
        loop {
            let error = match attempt() {
                Ok(ready) => {
                    if waited {
                        tracing::info!("{what} is there");
                    }
                    return Ok(ready);
                }
                Err(error) => error,
            };
            let may_pass = match &error {
                StartError::Broker(error) => matches!(error, BrokerError::Unreachable(_)),
                StartError::Inbox(error) => error.may_pass(),
                StartError::Weights(_)
                | StartError::Blocked { .. }
                | StartError::Strategy(_)
                | StartError::Data(_)
                | StartError::State(_)
                | StartError::Stopped(_) => false,
            };
            if self.no_wait || !may_pass {
                return Err(error);
            }
            if !std::mem::replace(&mut waited, true) {
                tracing::warn!(%error, "waiting for {what}; end with Ctrl-C, or start with --no-wait");
            }
            self.pause(what, backoff.pause())?;
        }
    }

    fn pause(&self, what: &'static str, span: Duration) -> Result<(), StartError> {
        let until = self.clock.now() + span;
        while self.clock.now() < until {
            if self.stop.is_requested() {
                return Err(StartError::Stopped(what));
            }
            clock::sleep(self.clock, until.since(self.clock.now()).min(Duration::from_millis(20)));
        }
        Ok(())
    }
}

/// Waits until the stream can be read.
pub(super) fn open_inbox(inbox: &mut impl Inbox, waiting: &StartWait<'_>) -> Result<(), StartError> {
    waiting.until_ready("the signal stream", || Ok(inbox.is_drained().map(|_| ())?))
}

/// Reads account, positions, open orders, session, prices and daily bars.
pub(super) fn broker_snapshot(
    broker: &mut impl Broker,
    symbols: &[Symbol],
    weights: &WeightRule,
    waiting: &StartWait<'_>,
) -> Result<BrokerSnapshot, StartError> {
    let days = if *weights == WeightRule::InverseVolatility { VOLATILITY_DAYS } else { 0 };
    let broker_snapshot = waiting.until_ready("the broker", || Ok(broker.broker_snapshot(symbols, days)?))?;
    match &broker_snapshot.account.blocked {
        Some(reason) => {
            Err(StartError::Blocked { account: broker_snapshot.account.id.clone(), reason: reason.clone() })
        }
        None => Ok(broker_snapshot),
    }
}

/// A desk that starts from the survey, with its target weights.
pub(super) fn open_desk(
    rules: Rules,
    rule: &WeightRule,
    symbols: &[Symbol],
    broker_snapshot: &BrokerSnapshot,
) -> Result<(Desk, Vec<(Symbol, Weight)>), StartError> {
    let bars_of = |symbol: &Symbol| broker_snapshot.daily_bars.iter().find(|(other, _)| other == symbol);
    let daily_bars: Vec<_> = symbols
        .iter()
        .map(|symbol| (*symbol, bars_of(symbol).map_or_else(Vec::new, |(_, bars)| bars.clone())))
        .collect();
    let weights = sizing::target_weights(rule, &daily_bars)?;
    let snapshots: HashMap<_, _> =
        broker_snapshot.snapshots.iter().map(|snapshot| (snapshot.symbol, *snapshot)).collect();
    Ok((Desk::new(rules, weights.iter().copied(), &broker_snapshot.account, &snapshots), weights))
}

/// What was found, for people.
pub(super) fn table(
    environment: &str,
    broker_snapshot: &BrokerSnapshot,
    weights: &[(Symbol, Weight)],
    now: Timestamp,
) -> String {
    let account = &broker_snapshot.account;
    let (ours, others): (Vec<_>, Vec<_>) = broker_snapshot
        .open_orders
        .iter()
        .partition(|order| order.client_order_id.as_str().starts_with(CLIENT_ORDER_ID_PREFIX));
    let session = if broker_snapshot.session.is_open_at(now) {
        format!("open until {}", new_york(broker_snapshot.session.next_close))
    } else {
        format!("closed until {}", new_york(broker_snapshot.session.next_open))
    };
    let mut facts = Table::new();
    facts.load_preset(presets::NOTHING);
    facts.add_row(["account".to_owned(), format!("{environment} {}", account.id)]);
    facts.add_row(["cash".to_owned(), format!("{:.2}", account.cash.cents().get())]);
    facts.add_row(["buying power".to_owned(), format!("{:.2}", account.buying_power.cents().get())]);
    facts.add_row(["equity".to_owned(), format!("{:.2}", account.equity.cents().get())]);
    facts.add_row(["open orders".to_owned(), format!("{} ours, {} of others", ours.len(), others.len())]);
    facts.add_row(["session".to_owned(), session]);
    let mut prices = Table::new();
    prices.load_preset(presets::NOTHING).set_header(["symbol", "weight", "position", "entry", "bid", "ask"]);
    for (symbol, weight) in weights {
        let holding = account.holdings.iter().find(|holding| holding.symbol == *symbol);
        let quote = broker_snapshot
            .snapshots
            .iter()
            .find(|snapshot| snapshot.symbol == *symbol)
            .and_then(|found| found.quote);
        let seen =
            |price: Option<f64>| price.map_or_else(|| "none".to_owned(), |price| format!("{price:.2}"));
        prices.add_row([
            symbol.to_string(),
            format!("{:.2}%", weight.get() * rust_decimal::Decimal::ONE_HUNDRED),
            holding.map_or_else(|| "0".to_owned(), |holding| holding.quantity.to_string()),
            holding
                .and_then(|holding| holding.average_price)
                .map_or_else(String::new, |price| format!("{:.2}", price.get())),
            seen(quote.map(|quote| quote.bid)),
            seen(quote.map(|quote| quote.ask)),
        ]);
    }
    let lines = facts.lines().chain(prices.lines());
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn new_york(at: Timestamp) -> String {
    at.to_new_york().format("%Y-%m-%d %H:%M %Z").to_string()
}
