//! Which file an event belongs to: one per kind and New York day.

use std::path::{Path, PathBuf};

use chrono::{Days, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::America::New_York;

use crate::clock::Timestamp;
use crate::market::MarketEvent;

/// What a file holds; at one instant, files are read in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Quotes,
    Trades,
    Bars,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Quotes, Kind::Trades, Kind::Bars];

    pub(super) fn of(event: &MarketEvent) -> Self {
        match event {
            MarketEvent::Quote { .. } => Kind::Quotes,
            MarketEvent::Trade { .. } => Kind::Trades,
            MarketEvent::Bar { .. } => Kind::Bars,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Quotes => "quotes",
            Kind::Trades => "trades",
            Kind::Bars => "bars",
        }
    }

    pub(super) fn header(self) -> &'static str {
        match self {
            Kind::Quotes => "time,symbol,bid,bid_size,ask,ask_size",
            Kind::Trades => "time,symbol,price,size",
            Kind::Bars => "time,symbol,span_ns,open,high,low,close,volume",
        }
    }
}

/// An event's own time: a bar's is its start, so that a day's last bar is in the day's file.
pub(super) fn own_time(event: &MarketEvent) -> Timestamp {
    match event {
        MarketEvent::Quote { quote, .. } => quote.at,
        MarketEvent::Trade { trade, .. } => trade.at,
        MarketEvent::Bar { bar, .. } => bar.at,
    }
}

/// One day of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DayFile {
    pub(super) day: NaiveDate,
    pub(super) kind: Kind,
}

impl DayFile {
    pub(super) fn of(event: &MarketEvent) -> Self {
        Self { day: own_time(event).to_new_york().date_naive(), kind: Kind::of(event) }
    }

    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}-{}.csv", self.kind.name(), self.day))
    }

    /// The file that has this name, when it is one of ours.
    pub(super) fn named(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".csv")?;
        Kind::ALL.into_iter().find_map(|kind| {
            let day = stem.strip_prefix(kind.name())?.strip_prefix('-')?;
            Some(Self { day: NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?, kind })
        })
    }

    /// The day's first instant and the next day's.
    pub(super) fn span(self) -> (Timestamp, Timestamp) {
        let next = self.day.checked_add_days(Days::new(1)).unwrap_or(self.day);
        (midnight(self.day), midnight(next))
    }
}

fn midnight(day: NaiveDate) -> Timestamp {
    let naive = day.and_time(NaiveTime::MIN);
    // New York's clock changes at two in the morning: there is a midnight every day.
    New_York.from_local_datetime(&naive).earliest().map_or_else(|| naive.and_utc().into(), Timestamp::from)
}
