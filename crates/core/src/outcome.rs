//! What became of one signal: the record that goes to the outcomes stream.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::market::Quote;
use crate::order::{ClientOrderId, OrderId, Side};
use crate::signal::{EntryId, Signal, Tag};
use crate::symbol::Symbol;
use crate::units::{AveragePrice, Price, Quantity};

/// The kind of end a signal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The whole quantity was filled.
    Filled,
    /// Some of it was filled, the rest cancelled.
    PartlyFilled,
    /// None of it was filled.
    Unfilled,
    /// The broker refused the order.
    Rejected,
    /// Our own risk gate refused it.
    Refused,
    /// There was nothing to do.
    Skipped,
    /// Too old; never sent.
    Expired,
    /// Sent with no answer, and not found since.
    ExpiredUnconfirmed,
    /// Trimmed from the stream before it was read.
    Lost,
}

impl OutcomeKind {
    /// All kinds, in the order in which they are listed to people.
    pub const ALL: [OutcomeKind; 9] = [
        OutcomeKind::Filled,
        OutcomeKind::PartlyFilled,
        OutcomeKind::Unfilled,
        OutcomeKind::Rejected,
        OutcomeKind::Refused,
        OutcomeKind::Skipped,
        OutcomeKind::Expired,
        OutcomeKind::ExpiredUnconfirmed,
        OutcomeKind::Lost,
    ];

    /// Whether something that was asked for is missing at this end.
    pub fn leaves_missing(self) -> bool {
        match self {
            OutcomeKind::Filled | OutcomeKind::Skipped => false,
            OutcomeKind::PartlyFilled
            | OutcomeKind::Unfilled
            | OutcomeKind::Rejected
            | OutcomeKind::Refused
            | OutcomeKind::Expired
            | OutcomeKind::ExpiredUnconfirmed
            | OutcomeKind::Lost => true,
        }
    }

    /// The word on the outcomes stream.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Filled => "filled",
            OutcomeKind::PartlyFilled => "partly_filled",
            OutcomeKind::Unfilled => "unfilled",
            OutcomeKind::Rejected => "rejected",
            OutcomeKind::Refused => "refused",
            OutcomeKind::Skipped => "skipped",
            OutcomeKind::Expired => "expired",
            OutcomeKind::ExpiredUnconfirmed => "expired_unconfirmed",
            OutcomeKind::Lost => "lost",
        }
    }
}

/// What a signal asked for, and what was decided on: for whoever wants to decide once more.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// As it was read.
    pub signal: Signal,
    /// When the desk decided; `None` when it never did.
    pub at: Option<Timestamp>,
    /// The quote that the desk saw then.
    pub quote: Option<Quote>,
    /// The order's limit, where it had one.
    pub limit: Option<Price>,
}

/// One entry of the outcomes stream; absent values are not written.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The signal's entry id.
    pub signal: EntryId,
    /// Its end.
    pub kind: OutcomeKind,
    /// Why, as `code: text`; empty where the kind says all.
    pub reason: String,
    /// Our order id, where one was made.
    pub client_order_id: Option<ClientOrderId>,
    /// What; `None` when the entry was lost before it could be read.
    pub symbol: Option<Symbol>,
    /// Which way.
    pub side: Option<Side>,
    /// Which strategy, empty for none.
    pub strategy: String,
    /// The broker's order id.
    pub order_id: Option<OrderId>,
    /// Shares ordered.
    pub quantity: Option<Quantity>,
    /// Shares filled.
    pub filled: Option<Quantity>,
    /// Mean price of the filled shares.
    pub average_price: Option<AveragePrice>,
    /// When the signal reached this process.
    pub received_at: Option<Timestamp>,
    /// When the order was first sent.
    pub submitted_at: Option<Timestamp>,
    /// When the end was known.
    pub final_at: Option<Timestamp>,
    /// What led to it, where there was a signal; not part of the stream's entry.
    pub decision: Option<Box<Decision>>,
}

impl Outcome {
    /// An outcome without an order.
    pub fn without_order(signal: EntryId, kind: OutcomeKind, reason: impl Into<String>) -> Self {
        Self {
            signal,
            kind,
            reason: reason.into(),
            client_order_id: None,
            symbol: None,
            side: None,
            strategy: String::new(),
            order_id: None,
            quantity: None,
            filled: None,
            average_price: None,
            received_at: None,
            submitted_at: None,
            final_at: None,
            decision: None,
        }
    }

    /// What the producer called its signal.
    pub fn tag(&self) -> Option<&Tag> {
        self.decision.as_ref()?.signal.tag.as_ref()
    }

    /// The fields of its stream entry, in the order of the interface; `instance` is the writer's name.
    pub fn fields(&self, instance: &str) -> Vec<(&'static str, String)> {
        let mut fields = vec![("signal", self.signal.to_string())];
        let mut add = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
        add("client_order_id", self.client_order_id.as_ref().map(ToString::to_string));
        add("ticker", self.symbol.map(|symbol| symbol.to_string()));
        add("direction", self.side.map(|side| side.as_str()[..1].to_owned()));
        add("strategy", Some(self.strategy.clone()).filter(|text| !text.is_empty()));
        add("tag", self.tag().map(|tag| tag.as_str().to_owned()));
        add("outcome", Some(self.kind.as_str().to_owned()));
        add("reason", Some(self.reason.clone()).filter(|text| !text.is_empty()));
        add("order_id", self.order_id.as_ref().map(ToString::to_string));
        add("qty", self.quantity.map(|quantity| quantity.to_string()));
        add("filled_qty", self.filled.map(|quantity| quantity.to_string()));
        add("filled_avg_price", self.average_price.map(|price| price.to_string()));
        add("instance", Some(instance.to_owned()));
        add("received_us", self.received_at.map(|time| time.micros().to_string()));
        add("submitted_us", self.submitted_at.map(|time| time.micros().to_string()));
        add("final_us", self.final_at.map(|time| time.micros().to_string()));
        fields
    }
}
