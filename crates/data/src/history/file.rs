//! Which file an event belongs to: one per kind and New York day.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDate;

use super::HistoryError;
use bot_core::calendar::{date_of, midnight, midnight_after};
use bot_core::clock::Timestamp;
use bot_core::market::{MarketEvent, RowKind};

/// What a file holds; at one instant, files are read in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Quotes,
    Trades,
    Bars,
    Numbers,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Quotes, Kind::Trades, Kind::Bars, Kind::Numbers];

    pub(super) fn of(event: &MarketEvent) -> Self {
        match event {
            MarketEvent::Quote { .. } => Kind::Quotes,
            MarketEvent::Trade { .. } => Kind::Trades,
            MarketEvent::Bar { .. } => Kind::Bars,
            MarketEvent::Number { .. } => Kind::Numbers,
        }
    }

    /// What a row of such a file is, where a bar has this span.
    pub(super) fn row_kind(self, span: Duration) -> RowKind {
        match self {
            Kind::Quotes => RowKind::Quote,
            Kind::Trades => RowKind::Trade,
            Kind::Bars => RowKind::Bar { span },
            Kind::Numbers => RowKind::Number,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Quotes => "quotes",
            Kind::Trades => "trades",
            Kind::Bars => "bars",
            Kind::Numbers => "numbers",
        }
    }

    pub(super) fn header(self) -> &'static str {
        match self {
            Kind::Quotes => "time,symbol,bid,bid_size,ask,ask_size",
            Kind::Trades => "time,symbol,price,size",
            Kind::Bars => "time,symbol,span_ns,open,high,low,close,volume",
            Kind::Numbers => "time,symbol,value",
        }
    }

    /// What a number of such a file may be.
    pub(super) fn check(self, number: f64) -> Result<(), &'static str> {
        match self {
            Kind::Numbers if number.is_finite() => Ok(()),
            Kind::Numbers => Err("must be finite"),
            Kind::Quotes | Kind::Trades | Kind::Bars if number.is_finite() && number >= 0.0 => Ok(()),
            Kind::Quotes | Kind::Trades | Kind::Bars => Err("must be finite and 0 or more"),
        }
    }
}

/// An event's own time: a bar's is its start, so that a day's last bar is in the day's file.
pub(super) fn own_time(event: &MarketEvent) -> Timestamp {
    event.to_row().2.at
}

/// What a file is written in; of one day and kind, files are read in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Parquet,
    /// What a CSV file was turned into: it counts, in place of the Parquet file, once that CSV file is gone.
    Turned,
    Csv,
}

impl Form {
    const ALL: [Form; 3] = [Form::Parquet, Form::Turned, Form::Csv];

    fn ending(self) -> &'static str {
        match self {
            Form::Parquet => ".parquet",
            Form::Turned => ".parquet.new",
            Form::Csv => ".csv",
        }
    }
}

/// One day of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DayFile {
    pub(super) day: NaiveDate,
    pub(super) kind: Kind,
    pub(super) form: Form,
}

impl DayFile {
    /// The file that an event is first written to.
    pub(super) fn of(event: &MarketEvent) -> Self {
        Self { day: date_of(own_time(event)), kind: Kind::of(event), form: Form::Csv }
    }

    pub(super) fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}-{}{}", self.kind.name(), self.day, self.form.ending()))
    }

    /// The file that has this name, when it is one of ours.
    fn named(name: &str) -> Option<Self> {
        let (form, stem) =
            Form::ALL.into_iter().find_map(|form| Some((form, name.strip_suffix(form.ending())?)))?;
        Kind::ALL.into_iter().find_map(|kind| {
            let day = stem.strip_prefix(kind.name())?.strip_prefix('-')?;
            Some(Self { day: NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?, kind, form })
        })
    }

    /// Those of a directory that count, by day, kind and form.
    pub(super) fn list(directory: &Path) -> Result<Vec<Self>, HistoryError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(HistoryError::io(directory))? {
            let name = entry.map_err(HistoryError::io(directory))?.file_name();
            files.extend(name.to_str().and_then(DayFile::named));
        }
        files.sort_unstable();
        let all = files.clone();
        let has = |file: DayFile, form| all.binary_search(&file.in_form(form)).is_ok();
        files.retain(|file| match file.form {
            Form::Csv => true,
            Form::Turned => !has(*file, Form::Csv),
            Form::Parquet => has(*file, Form::Csv) || !has(*file, Form::Turned),
        });
        Ok(files)
    }

    /// The day's first instant and the next day's.
    pub(super) fn span(self) -> (Timestamp, Timestamp) {
        (midnight(self.day), midnight_after(self.day))
    }
}
