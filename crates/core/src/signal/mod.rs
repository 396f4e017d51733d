//! A signal: what is wanted, from whom, and what its order is called.

mod fields;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::clock::Timestamp;
use crate::label::{LABEL_RULE, is_label};
use crate::order::{ClientOrderId, Side, TimeInForce};
use crate::symbol::Symbol;
use crate::units::{Price, Quantity};

pub use fields::{OWN, SignalError};

/// The name of one stream entry, `<milliseconds>-<sequence>`; in-process sources make their own of the same shape.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(Arc<str>);

/// A place in a stream: the milliseconds and the sequence of an entry's id.
pub type StreamPlace = (u64, u64);

impl EntryId {
    /// The id of the entry at this place.
    pub fn at((millis, sequence): StreamPlace) -> Self {
        Self(format!("{millis}-{sequence}").into())
    }

    /// Takes the id as the stream gives it.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Takes the id of an in-process source.
    pub fn shared(text: Arc<str>) -> Self {
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as text that is shared.
    pub fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Its place in the stream, milliseconds and sequence; `None` when the id is not of the usual shape.
    pub fn place(&self) -> Option<StreamPlace> {
        let (millis, sequence) = self.0.split_once('-')?;
        Some((millis.parse().ok()?, sequence.parse().ok()?))
    }

    /// When the stream took the entry, by the stream's own clock; `None` when the id is not of the usual shape.
    pub fn sent_at(&self) -> Option<Timestamp> {
        let (millis, _) = self.0.split_once('-')?;
        millis.parse().ok().map(Timestamp::from_millis)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry of the signal stream, as read: nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Its fields in order, as bytes.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// When it was sent, on this machine's clock (the stream's clock may differ).
    pub sent_at: Timestamp,
    /// How often it was delivered, this time included; above 1 an order may already exist.
    pub deliveries: u64,
}

/// How sure a strategy is, -1 (as short as allowed) to 1 (as long as allowed); 0 is flat.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Strength(f64);

/// A number that is no strength.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("signal must be a number from -1 to 1, was {0}")]
pub struct StrengthError(f64);

impl Strength {
    /// As long as allowed.
    pub const ONE: Self = Self(1.0);

    /// # Errors
    /// NaN and everything outside -1 to 1 is refused; exactly -1 and 1 are legal.
    pub fn new(value: f64) -> Result<Self, StrengthError> {
        if (-1.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(StrengthError(value)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Buy above 0, sell below; none at 0.
    pub fn side(self) -> Option<Side> {
        if self.0 > 0.0 {
            Some(Side::Buy)
        } else if self.0 < 0.0 {
            Some(Side::Sell)
        } else {
            None
        }
    }
}

/// The part of a book's equity that is to be held in one symbol: 1 is all of it, negative is short.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct TargetWeight(f64);

/// A number that is no weight.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("weight must be a number from -10 to 10, was {0}")]
pub struct TargetWeightError(f64);

impl TargetWeight {
    /// Nothing.
    pub const ZERO: Self = Self(0.0);

    /// # Errors
    /// NaN and everything outside -10 to 10.
    pub fn new(value: f64) -> Result<Self, TargetWeightError> {
        if (-10.0..=10.0).contains(&value) { Ok(Self(value)) } else { Err(TargetWeightError(value)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// What a signal is called by who wants it, so that it is found again in files and tables. It changes nothing of what is
/// traded: neither the signal's identity nor its order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(Arc<str>);

/// A text that is no tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("tag must be {LABEL_RULE}, was \"{0}\"")]
pub struct TagError(String);

impl Tag {
    /// # Errors
    /// What breaks the rule of labels.
    pub fn new(text: &str) -> Result<Self, TagError> {
        if is_label(text) { Ok(Self(text.into())) } else { Err(TagError(text.chars().take(40).collect())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    /// One order.
    Order {
        /// Which way.
        side: Side,
        /// How many shares, above 0, where the producer says so; else the size rule does.
        quantity: Option<Quantity>,
        /// How sure, where the producer says so: the part of the size rule that is traded.
        strength: Option<Strength>,
    },
    /// To hold so many shares in the book, negative for short; sent twice it changes nothing.
    Target(Quantity),
    /// To be so long or short; what that is in shares says the size rule of the run's strategy that the signal names.
    Strength(Strength),
    /// To hold this part of the book's equity, of the run's strategy that the signal names, in the symbol.
    Weight(TargetWeight),
}

impl Wanted {
    /// Which way, where that is known before it is sized.
    pub fn side(self) -> Option<Side> {
        match self {
            Self::Order { side, .. } => Some(side),
            Self::Target(_) | Self::Weight(_) => None,
            Self::Strength(strength) => strength.side(),
        }
    }

    /// How sure the producer is, where it says so.
    pub fn strength(self) -> Option<f64> {
        match self {
            Self::Order { strength, .. } => strength.map(Strength::get),
            Self::Target(_) | Self::Weight(_) => None,
            Self::Strength(strength) => Some(strength.get()),
        }
    }

    /// The shares that the producer names, without their sign.
    pub fn quantity(self) -> Option<Quantity> {
        match self {
            Self::Order { quantity, .. } => quantity,
            Self::Target(shares) => Some(shares.abs()),
            Self::Strength(_) | Self::Weight(_) => None,
        }
    }

    /// The word that stands for it in an order's identity.
    fn word(self) -> &'static str {
        match self {
            Self::Order { side, .. } => side.as_str(),
            Self::Target(_) => "target",
            Self::Strength(_) => "strength",
            Self::Weight(_) => "weight",
        }
    }
}

/// What makes a signal the next step of one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The identity of the first signal.
    pub first: Arc<str>,
    /// Counted from 1: which step this is.
    pub number: u32,
    /// How many of the steps until now asked for a missing part again; a flip's second half is not counted.
    pub retries: u32,
    /// The reason's code of the step before, empty where it filled.
    pub reason: Arc<str>,
    /// Not before this instant; the signal's age counts from it.
    pub due: Timestamp,
}

/// An intent to buy, to sell, or to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The entry it came from.
    pub id: EntryId,
    /// The producer's own id: the same id is the same signal.
    pub producer_id: Option<Arc<str>>,
    /// In what.
    pub symbol: Symbol,
    /// What it asks for.
    pub wanted: Wanted,
    /// The worst price, where the producer says so.
    pub limit: Option<Price>,
    /// How long an order may rest; only [`TimeInForce::Ioc`] is traded until standing orders exist.
    pub time_in_force: TimeInForce,
    /// Which strategy it speaks for, empty for none.
    pub strategy: Arc<str>,
    /// What the producer calls it.
    pub tag: Option<Tag>,
    /// True when the strategy itself sent it: then it is of that strategy's book, and nobody else's.
    pub is_own: bool,
    /// How long it may be acted on, where the producer says so.
    pub time_to_live: Option<Duration>,
    /// When it was sent, on this machine's clock; a step's is when it was due, if that is later.
    pub sent_at: Timestamp,
    /// The step that it is, where it follows from another signal.
    pub step: Option<Box<Step>>,
    /// True when it may have been handled before: look the order up first.
    pub redelivered: bool,
}

impl Signal {
    /// A signal that says nothing else, as most producers send it.
    pub fn plain(id: EntryId, symbol: Symbol, wanted: Wanted, sent_at: Timestamp) -> Self {
        Self {
            id,
            producer_id: None,
            symbol,
            wanted,
            limit: None,
            time_in_force: TimeInForce::Ioc,
            strategy: Arc::default(),
            tag: None,
            is_own: false,
            time_to_live: None,
            sent_at,
            step: None,
            redelivered: false,
        }
    }

    /// What makes it this signal: the producer's id, else the entry's.
    pub fn identity(&self) -> &str {
        self.producer_id.as_deref().unwrap_or(self.id.as_str())
    }

    /// The identity of the signal that it follows from, its own where it is the first.
    pub fn first(&self) -> &str {
        self.step.as_ref().map_or_else(|| self.identity(), |step| &step.first)
    }

    /// The same, shared.
    pub fn first_shared(&self) -> Arc<str> {
        match (&self.step, &self.producer_id) {
            (Some(step), _) => Arc::clone(&step.first),
            (None, Some(id)) => Arc::clone(id),
            (None, None) => Arc::clone(&self.id.0),
        }
    }

    /// The step that follows from this signal when it ended with `reason`.
    pub fn next_step(&self, is_retry: bool, reason: &str, due: Timestamp) -> Step {
        let (number, retries) = self.step.as_ref().map_or((0, 0), |step| (step.number, step.retries));
        Step {
            first: self.first_shared(),
            number: number + 1,
            retries: retries + u32::from(is_retry),
            reason: reason.into(),
            due,
        }
    }

    /// The signal that a step is: the same intent under an identity of its own, made of the first one's.
    #[must_use]
    pub fn followed_by(&self, step: Step) -> Self {
        let id = format!("{}.{}", step.first, step.number);
        let sent_at = self.sent_at.max(step.due);
        Self {
            producer_id: Some(id.into()),
            sent_at,
            step: Some(Box::new(step)),
            redelivered: false,
            ..self.clone()
        }
    }

    /// The one id of this signal's order: the same signal gives the same id in every process, for good.
    pub fn client_order_id(&self, space: &IdSpace) -> ClientOrderId {
        let origin = self.identity();
        let mut hash = Sha256::new();
        let kind = if self.producer_id.is_some() { "producer" } else { "entry" };
        for part in [
            &*space.environment,
            &space.stream,
            &space.epoch,
            kind,
            origin,
            self.symbol.as_str(),
            self.wanted.word(),
        ] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        let digest = data_encoding::BASE32_NOPAD.encode(&hash.finalize()[..16]);
        let tag = tag(&self.strategy);
        let tag = if tag.is_empty() { "sig" } else { &tag };
        // Prefix 4 + tag 16 + hyphen 1 + digest 26 = 47 of 48.
        ClientOrderId::from_allowed(&format!("{CLIENT_ORDER_ID_PREFIX}{tag}-{digest}"))
    }
}

/// What stands for a strategy in its orders' ids: its first 16 letters and digits, in lower case.
pub fn tag(strategy: &str) -> String {
    let letters = strategy.chars().filter(char::is_ascii_alphanumeric).take(16);
    letters.collect::<String>().to_lowercase()
}

/// Every client order id of ours starts so.
pub const CLIENT_ORDER_ID_PREFIX: &str = "bot-";

/// What makes entry ids of different accounts, streams and stream lives differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSpace {
    /// The broker account's environment, such as `alpaca-paper`.
    pub environment: String,
    /// The stream's name.
    pub stream: String,
    /// A random value made once per life of the stream.
    pub epoch: String,
}
