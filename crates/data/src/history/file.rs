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
pub(super) enum FileKind {
    Quotes,
    Trades,
    Bars,
    Numbers,
}

impl FileKind {
    pub(super) const ALL: [FileKind; 4] =
        [FileKind::Quotes, FileKind::Trades, FileKind::Bars, FileKind::Numbers];

    pub(super) fn of(event: &MarketEvent) -> Self {
        match event {
            MarketEvent::Quote { .. } => FileKind::Quotes,
            MarketEvent::Trade { .. } => FileKind::Trades,
            MarketEvent::Bar { .. } => FileKind::Bars,
            MarketEvent::Number { .. } => FileKind::Numbers,
        }
    }

    /// What a row of such a file is, where a bar has this span.
    pub(super) fn row_kind(self, span: Duration) -> RowKind {
        match self {
            FileKind::Quotes => RowKind::Quote,
            FileKind::Trades => RowKind::Trade,
            FileKind::Bars => RowKind::Bar { span },
            FileKind::Numbers => RowKind::Number,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            FileKind::Quotes => "quotes",
            FileKind::Trades => "trades",
            FileKind::Bars => "bars",
            FileKind::Numbers => "numbers",
        }
    }

    pub(super) fn header(self) -> &'static str {
        match self {
            FileKind::Quotes => "time,symbol,bid,bid_size,ask,ask_size",
            FileKind::Trades => "time,symbol,price,size",
            FileKind::Bars => "time,symbol,span_ns,open,high,low,close,volume",
            FileKind::Numbers => "time,symbol,value",
        }
    }

    /// What a number of such a file may be.
    pub(super) fn check(self, number: f64) -> Result<(), &'static str> {
        match self {
            FileKind::Numbers if number.is_finite() => Ok(()),
            FileKind::Numbers => Err("must be finite"),
            FileKind::Quotes | FileKind::Trades | FileKind::Bars if number.is_finite() && number >= 0.0 => {
                Ok(())
            }
            FileKind::Quotes | FileKind::Trades | FileKind::Bars => Err("must be finite and 0 or more"),
        }
    }
}

/// An event's own time: a bar's is its start, so that a day's last bar is in the day's file.
pub(super) fn own_time(event: &MarketEvent) -> Timestamp {
    event.to_row().2.at
}

/// What a file is written in; of one day and kind, files are read in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileForm {
    Parquet,
    /// What a CSV file was turned into: it counts, in place of the Parquet file, once that CSV file is gone.
    Turned,
    Csv,
}

impl FileForm {
    const ALL: [FileForm; 3] = [FileForm::Parquet, FileForm::Turned, FileForm::Csv];

    fn ending(self) -> &'static str {
        match self {
            FileForm::Parquet => ".parquet",
            FileForm::Turned => ".parquet.new",
            FileForm::Csv => ".csv",
        }
    }
}

/// One day of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DayFile {
    pub(super) day: NaiveDate,
    pub(super) kind: FileKind,
    pub(super) form: FileForm,
}

impl DayFile {
    /// The file that an event is first written to.
    pub(super) fn of(event: &MarketEvent) -> Self {
        Self { day: date_of(own_time(event)), kind: FileKind::of(event), form: FileForm::Csv }
    }

    pub(super) fn in_form(self, form: FileForm) -> Self {
        Self { form, ..self }
    }

    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}-{}{}", self.kind.name(), self.day, self.form.ending()))
    }

    /// The file that has this name, when it is one of ours.
    fn named(name: &str) -> Option<Self> {
        let (form, stem) =
            FileForm::ALL.into_iter().find_map(|form| Some((form, name.strip_suffix(form.ending())?)))?;
        FileKind::ALL.into_iter().find_map(|kind| {
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
            FileForm::Csv => true,
            FileForm::Turned => !has(*file, FileForm::Csv),
            FileForm::Parquet => has(*file, FileForm::Csv) || !has(*file, FileForm::Turned),
        });
        Ok(files)
    }

    /// The day's first instant and the next day's.
    pub(super) fn span(self) -> (Timestamp, Timestamp) {
        (midnight(self.day), midnight_after(self.day))
    }
}
