//! What is asked of the broker and what the broker says of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::clock::Timestamp;
use crate::symbol::Symbol;
use crate::units::{AveragePrice, Price, Quantity};

/// Which way: buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// More shares.
    Buy,
    /// Fewer shares.
    Sell,
}

impl Side {
    /// `buy` or `sell`, as the broker writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }

    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Our own name of an order, unique for good: at most 48 of `A-Z`, `a-z`, `0-9`, `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientOrderId(Arc<str>);

/// A text that is no client order id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("client order id must be 1 to 48 letters, digits or hyphens, was \"{0}\"")]
pub struct ClientOrderIdError(String);

impl ClientOrderId {
    /// Keeps what is allowed of `text`: for texts that are made of allowed characters to begin with.
    pub fn from_allowed(text: &str) -> Self {
        Self(
            text.chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
                .take(48)
                .collect::<String>()
                .into(),
        )
    }

    /// # Errors
    /// As its [`FromStr`].
    pub fn shared(text: Arc<str>) -> Result<Self, ClientOrderIdError> {
        let allowed = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if text.is_empty() || text.len() > 48 || !allowed {
            return Err(ClientOrderIdError(text.chars().take(60).collect()));
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as text that is shared.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl FromStr for ClientOrderId {
    type Err = ClientOrderIdError;
    fn from_str(text: &str) -> Result<Self, ClientOrderIdError> {
        Self::shared(text.into())
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The broker's name of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderId(Arc<str>);

impl OrderId {
    /// Whatever the broker calls it.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The name that an in-process broker gives.
    pub fn shared(text: Arc<str>) -> Self {
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// At what price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderType {
    /// Whatever the market gives.
    Market,
    /// This price or better.
    Limit(Price),
}

impl OrderType {
    /// What one share costs at the most when `ask` is asked for it.
    pub fn worst(self, ask: Price) -> Price {
        match self {
            Self::Market => ask,
            Self::Limit(limit) => limit,
        }
    }
}

/// How long an order rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeInForce {
    /// Until the session closes.
    Day,
    /// Until cancelled.
    Gtc,
    /// What fills at once; the rest is cancelled.
    Ioc,
    /// All at once or nothing.
    Fok,
}

impl TimeInForce {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            TimeInForce::Day => "day",
            TimeInForce::Gtc => "gtc",
            TimeInForce::Ioc => "ioc",
            TimeInForce::Fok => "fok",
        }
    }
}

/// One order as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    /// The id that makes sending it twice safe.
    pub client_order_id: ClientOrderId,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How many shares, above 0.
    pub quantity: Quantity,
    /// At what price.
    pub order_type: OrderType,
    /// How long.
    pub time_in_force: TimeInForce,
}

/// An order's status in the broker's words (Alpaca's set; other brokers map onto it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderStatus {
    /// Routed and working.
    New,
    /// Some shares are filled, the rest works.
    PartiallyFilled,
    /// All shares are filled.
    Filled,
    /// No more fills today.
    DoneForDay,
    /// Cancelled, perhaps after some fills.
    Canceled,
    /// Ran out of time, perhaps after some fills.
    Expired,
    /// Replaced by another order.
    Replaced,
    /// A cancel is on its way.
    PendingCancel,
    /// A replacement is on its way.
    PendingReplace,
    /// Received, not yet routed.
    Accepted,
    /// Routed, not yet acknowledged.
    PendingNew,
    /// Received for an auction.
    AcceptedForBidding,
    /// A fill is guaranteed, not yet done.
    Stopped,
    /// Refused after it was received.
    Rejected,
    /// Not tradable for now.
    Suspended,
    /// Filled for the day, sums outstanding.
    Calculated,
    /// Waits for another order.
    Held,
    /// A status this version does not know: kept watching, never guessed.
    Other(String),
}

/// What a status says of an order's future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// More may happen.
    Working,
    /// Nothing more happens.
    Final,
}

impl OrderStatus {
    /// Whether more may happen.
    pub fn phase(&self) -> Phase {
        match self {
            OrderStatus::Filled
            | OrderStatus::Canceled
            | OrderStatus::Expired
            | OrderStatus::Replaced
            | OrderStatus::Rejected => Phase::Final,
            OrderStatus::New
            | OrderStatus::PartiallyFilled
            | OrderStatus::DoneForDay
            | OrderStatus::PendingCancel
            | OrderStatus::PendingReplace
            | OrderStatus::Accepted
            | OrderStatus::PendingNew
            | OrderStatus::AcceptedForBidding
            | OrderStatus::Stopped
            | OrderStatus::Suspended
            | OrderStatus::Calculated
            | OrderStatus::Held
            | OrderStatus::Other(_) => Phase::Working,
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            OrderStatus::New => "new",
            OrderStatus::PartiallyFilled => "partially_filled",
            OrderStatus::Filled => "filled",
            OrderStatus::DoneForDay => "done_for_day",
            OrderStatus::Canceled => "canceled",
            OrderStatus::Expired => "expired",
            OrderStatus::Replaced => "replaced",
            OrderStatus::PendingCancel => "pending_cancel",
            OrderStatus::PendingReplace => "pending_replace",
            OrderStatus::Accepted => "accepted",
            OrderStatus::PendingNew => "pending_new",
            OrderStatus::AcceptedForBidding => "accepted_for_bidding",
            OrderStatus::Stopped => "stopped",
            OrderStatus::Rejected => "rejected",
            OrderStatus::Suspended => "suspended",
            OrderStatus::Calculated => "calculated",
            OrderStatus::Held => "held",
            OrderStatus::Other(word) => word,
        }
    }
}

impl From<&str> for OrderStatus {
    fn from(word: &str) -> Self {
        match word {
            "new" => OrderStatus::New,
            "partially_filled" => OrderStatus::PartiallyFilled,
            "filled" => OrderStatus::Filled,
            "done_for_day" => OrderStatus::DoneForDay,
            "canceled" => OrderStatus::Canceled,
            "expired" => OrderStatus::Expired,
            "replaced" => OrderStatus::Replaced,
            "pending_cancel" => OrderStatus::PendingCancel,
            "pending_replace" => OrderStatus::PendingReplace,
            "accepted" => OrderStatus::Accepted,
            "pending_new" => OrderStatus::PendingNew,
            "accepted_for_bidding" => OrderStatus::AcceptedForBidding,
            "stopped" => OrderStatus::Stopped,
            "rejected" => OrderStatus::Rejected,
            "suspended" => OrderStatus::Suspended,
            "calculated" => OrderStatus::Calculated,
            "held" => OrderStatus::Held,
            other => OrderStatus::Other(other.to_owned()),
        }
    }
}

/// What the broker says of one order: cumulative, so reports may repeat or come out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderReport {
    /// Our name of it.
    pub client_order_id: ClientOrderId,
    /// The broker's name of it.
    pub order_id: OrderId,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How many shares were asked for.
    pub quantity: Quantity,
    /// Where it stands.
    pub status: OrderStatus,
    /// Shares filled so far.
    pub filled: Quantity,
    /// Mean price of the shares filled so far; `None` before the first fill.
    pub average_price: Option<AveragePrice>,
    /// When the broker received it.
    pub submitted_at: Option<Timestamp>,
}

impl OrderReport {
    /// What is known once `heard` is known too; `None` when it says nothing new. In whatever order and however often
    /// reports come, fills never shrink and a final status is never undone.
    pub fn advanced_by(&self, heard: &Self) -> Option<Self> {
        let more_filled = heard.filled > self.filled
            || (heard.filled == self.filled && self.average_price.is_none() && heard.average_price.is_some());
        let newer_status = match (self.status.phase(), heard.status.phase()) {
            (Phase::Working, Phase::Final) => true,
            (Phase::Working, Phase::Working) => heard.filled >= self.filled && heard.status != self.status,
            (Phase::Final, Phase::Final | Phase::Working) => false,
        };
        if !more_filled && !newer_status {
            return None;
        }
        let mut after = self.clone();
        if more_filled {
            after.filled = heard.filled;
            after.average_price = heard.average_price.or(self.average_price);
        }
        if newer_status {
            after.status = heard.status.clone();
            after.submitted_at = heard.submitted_at.or(self.submitted_at);
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(status: &str, filled: u32) -> OrderReport {
        OrderReport {
            client_order_id: "bot-1".parse().unwrap(),
            order_id: OrderId::new("o"),
            symbol: "NVDA".parse().unwrap(),
            side: Side::Buy,
            quantity: Quantity::new(10.into()),
            status: OrderStatus::from(status),
            filled: Quantity::new(filled.into()),
            average_price: (filled > 0).then(|| "180".parse().unwrap()),
            submitted_at: None,
        }
    }

    #[track_caller]
    fn check(known: (&str, u32), heard: (&str, u32), expected: Option<(&str, u32)>) {
        let after = report(known.0, known.1).advanced_by(&report(heard.0, heard.1));
        assert_eq!(
            after,
            expected.map(|(status, filled)| report(status, filled)),
            "{known:?} then {heard:?}"
        );
    }

    #[test]
    fn late_and_repeated_reports_change_nothing() {
        check(("new", 0), ("new", 0), None);
        check(("filled", 10), ("filled", 10), None);
        check(("filled", 10), ("new", 0), None);
        check(("canceled", 3), ("partially_filled", 2), None);
        check(("partially_filled", 3), ("new", 0), None);
        check(("expired", 0), ("canceled", 0), None);
    }

    #[test]
    fn fills_and_final_statuses_are_taken_whenever_they_come() {
        check(("pending_new", 0), ("new", 0), Some(("new", 0)));
        check(("new", 0), ("partially_filled", 3), Some(("partially_filled", 3)));
        check(("partially_filled", 3), ("canceled", 3), Some(("canceled", 3)));
        check(("partially_filled", 3), ("canceled", 0), Some(("canceled", 3)));
        check(("canceled", 0), ("partially_filled", 3), Some(("canceled", 3)));
        check(("canceled", 3), ("filled", 10), Some(("canceled", 10)));
        check(("new", 0), ("pending_review", 0), Some(("pending_review", 0)));
    }

    const WORDS: [&str; 7] =
        ["pending_new", "new", "partially_filled", "filled", "canceled", "suspended", "odd"];

    proptest! {
        #[test]
        fn fills_never_shrink_the_end_stays_and_a_repeat_says_nothing(
            heard in prop::collection::vec((0..WORDS.len(), 0..=10_u32), 1..20)
        ) {
            let mut known = report("pending_new", 0);
            for (word, filled) in heard {
                let heard = report(WORDS[word], filled);
                if let Some(after) = known.advanced_by(&heard) {
                    prop_assert!(after.filled >= known.filled);
                    prop_assert!(known.status.phase() == Phase::Working || after.status == known.status);
                    known = after;
                }
                prop_assert_eq!(known.advanced_by(&heard), None, "said twice");
                prop_assert!(known.filled >= heard.filled);
            }
        }

        #[test]
        fn the_fills_and_whether_it_is_over_do_not_depend_on_the_order_of_the_news(
            heard in prop::collection::vec((0..WORDS.len(), 0..=10_u32), 1..8), seed in any::<u64>()
        ) {
            let known = |heard: &[(usize, u32)]| {
                let start = report("pending_new", 0);
                heard.iter().fold(start, |known, (word, filled)| {
                    known.advanced_by(&report(WORDS[*word], *filled)).unwrap_or(known)
                })
            };
            let mut other = heard.clone();
            for place in (1..other.len()).rev() {
                let with = seed.rotate_left(u32::try_from(place).unwrap()) % (place as u64 + 1);
                let with = usize::try_from(with).unwrap();
                other.swap(place, with);
            }
            let (one, another) = (known(&heard), known(&other));
            prop_assert_eq!(one.filled, another.filled);
            prop_assert_eq!(one.status.phase(), another.status.phase());
        }
    }
}
