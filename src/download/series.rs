//! One symbol's history of one kind: its names at Alpaca and on disk, and the files that it is kept in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{Datelike, Months, NaiveDate};

use crate::broker::alpaca::HistoryKind;
use crate::calendar::{self, midnight};
use crate::clock::Timestamp;
use crate::data::RowKind;
use crate::symbol::Symbol;

const MINUTE_SECS: u64 = 60;
const HOUR_SECS: u64 = 3_600;
const DAY: Duration = Duration::from_hours(24);
/// Free market data of all exchanges ends a quarter of an hour ago; no day is over before that.
pub(super) const DATA_DELAY: Duration = Duration::from_mins(16);

/// One symbol's bars, trades or quotes as one feed has them.
#[derive(Debug, Clone, PartialEq)]
pub struct DownloadSeries {
    symbol: Symbol,
    row_kind: RowKind,
    /// `1Min`, as Alpaca writes it; empty where rows are no bars.
    timeframe: String,
    feed: String,
    adjustment: String,
    directory: PathBuf,
}

/// One file of a series: a New York day, or a month of daily bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFile {
    /// The first New York date.
    pub first: NaiveDate,
    /// The New York date after the last one.
    pub after: NaiveDate,
    /// Midnight of the first date.
    pub start: Timestamp,
    /// Midnight after the last date.
    pub end: Timestamp,
    /// Where it is once it is complete.
    pub path: PathBuf,
}

impl DownloadSeries {
    /// The history is kept below `cache`, in a directory for each symbol and one in it for each kind.
    ///
    /// # Errors
    /// A span, a feed or an adjustment that Alpaca does not have; the text says what is allowed.
    pub fn new(
        cache: &Path,
        symbol: Symbol,
        row_kind: RowKind,
        feed: &str,
        adjustment: &str,
    ) -> Result<Self, String> {
        let feed = checked_feed(feed)?;
        let adjustment = checked_adjustment(adjustment)?;
        let (timeframe, name) = match row_kind {
            RowKind::Bar { span } => {
                let (timeframe, name) = timeframe(span)?;
                (timeframe, format!("{name}-{feed}-{}", adjustment.replace(',', "+")))
            }
            RowKind::Trade => (String::new(), format!("trade-{feed}")),
            RowKind::Quote => (String::new(), format!("quote-{feed}")),
            RowKind::Number => return Err("event must be bar, trade or quote, was \"number\"".to_owned()),
        };
        let directory = cache.join(symbol.as_str().replace('/', "_")).join(name);
        Ok(Self { symbol, row_kind, timeframe, feed, adjustment, directory })
    }

    /// Whose.
    pub fn symbol(&self) -> Symbol {
        self.symbol
    }

    /// What each row is.
    pub fn row_kind(&self) -> RowKind {
        self.row_kind
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it is in words, such as `1min bars, iex, raw`.
    pub fn words(&self) -> String {
        let Self { feed, adjustment, .. } = self;
        match self.row_kind {
            RowKind::Bar { span } => {
                let name = timeframe(span).map(|(_, name)| name).unwrap_or_default();
                format!("{name} bars, {feed}, {adjustment}")
            }
            RowKind::Trade => format!("trades, {feed}"),
            RowKind::Quote => format!("quotes, {feed}"),
            RowKind::Number => "numbers".to_owned(),
        }
    }

    /// The files that hold the New York dates from `from` until the one before `to`, in order of time. Days on which
    /// the exchanges are closed have none.
    pub fn pieces(&self, from: NaiveDate, to: NaiveDate) -> Vec<SeriesFile> {
        if self.is_daily() {
            let month_of = |date: NaiveDate| date.with_day(1).unwrap_or(date);
            let months =
                std::iter::successors(Some(month_of(from)), |month| month.checked_add_months(Months::new(1)));
            let piece = |month: NaiveDate| {
                let after = month.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
                self.piece(month, after, &month.format("%Y-%m").to_string())
            };
            return months.take_while(|month| *month < to).map(piece).collect();
        }
        // Only these two are closed when the New York Stock Exchange is.
        let keeps_sessions = matches!(self.feed.as_str(), "iex" | "sip");
        from.iter_days()
            .take_while(|date| *date < to)
            .filter(|date| !keeps_sessions || calendar::session_on(*date).is_some())
            .map(|date| self.piece(date, date.succ_opt().unwrap_or(date), &date.to_string()))
            .collect()
    }

    pub(super) fn kind(&self) -> HistoryKind<'_> {
        match self.row_kind {
            RowKind::Trade => HistoryKind::Trades,
            RowKind::Quote => HistoryKind::Quotes,
            RowKind::Bar { .. } | RowKind::Number => {
                HistoryKind::Bars { timeframe: &self.timeframe, adjustment: &self.adjustment }
            }
        }
    }

    pub(super) fn feed(&self) -> &str {
        &self.feed
    }

    /// The newest instant that the feed tells of at `now`.
    pub(super) fn newest(&self, now: Timestamp) -> Timestamp {
        if self.feed == "sip" { now - DATA_DELAY } else { now }
    }

    pub(super) fn is_daily(&self) -> bool {
        matches!(self.row_kind, RowKind::Bar { span } if span == DAY)
    }

    fn piece(&self, first: NaiveDate, after: NaiveDate, name: &str) -> SeriesFile {
        let path = self.directory.join(format!("{name}.csv"));
        SeriesFile { first, after, start: midnight(first), end: midnight(after), path }
    }
}

impl SeriesFile {
    /// Whether no rows can be added any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end + DATA_DELAY
    }

    /// Where it is while its last day is not over.
    pub fn unfinished_path(&self) -> PathBuf {
        self.path.with_extension("unfinished.csv")
    }

    /// The file that there is, complete or not.
    pub fn found(&self) -> Option<PathBuf> {
        [self.path.clone(), self.unfinished_path()].into_iter().find(|path| path.is_file())
    }

    /// Where it is written.
    pub(super) fn temporary_path(&self) -> PathBuf {
        self.path.with_extension("csv.tmp")
    }
}

/// How Alpaca and how we write the span of a bar.
fn timeframe(span: Duration) -> Result<(String, String), String> {
    let secs = span.as_secs();
    let whole = span.subsec_nanos() == 0 && secs > 0;
    match secs {
        _ if span == DAY => Ok(("1Day".to_owned(), "1day".to_owned())),
        _ if whole && secs < HOUR_SECS && secs.is_multiple_of(MINUTE_SECS) => {
            Ok((format!("{}Min", secs / MINUTE_SECS), format!("{}min", secs / MINUTE_SECS)))
        }
        _ if whole && secs < 24 * HOUR_SECS && secs.is_multiple_of(HOUR_SECS) => {
            Ok((format!("{}Hour", secs / HOUR_SECS), format!("{}h", secs / HOUR_SECS)))
        }
        _ => Err(format!(
            "timeframe must be 1min to 59min, 1h to 23h or 1day, was \"{}s\"",
            span.as_secs_f64()
        )),
    }
}

fn checked_feed(feed: &str) -> Result<String, String> {
    match feed {
        "iex" | "sip" | "otc" | "boats" => Ok(feed.to_owned()),
        other => Err(format!("feed must be iex, sip, otc or boats, was \"{other}\"")),
    }
}

fn checked_adjustment(adjustment: &str) -> Result<String, String> {
    let known = |part: &str| matches!(part, "raw" | "split" | "dividend" | "spin-off" | "all");
    if adjustment.split(',').all(known) {
        return Ok(adjustment.to_owned());
    }
    Err(format!("adjustment must be raw, split, dividend, spin-off or all, was \"{adjustment}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(span_secs: u64) -> Result<DownloadSeries, String> {
        let row_kind = RowKind::Bar { span: Duration::from_secs(span_secs) };
        DownloadSeries::new(Path::new("c"), "BRK.B".parse().unwrap(), row_kind, "iex", "split,dividend")
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(span_secs: u64, expected: &str) {
        let found = series(span_secs).map_or_else(
            |error| error,
            |series| format!("{} {}", series.timeframe, series.directory.display()),
        );
        assert_eq!(found, expected);
    }

    #[test]
    fn a_series_has_a_name_at_alpaca_and_a_directory() {
        check(60, "1Min c/BRK.B/1min-iex-split+dividend");
        check(900, "15Min c/BRK.B/15min-iex-split+dividend");
        check(7_200, "2Hour c/BRK.B/2h-iex-split+dividend");
        check(86_400, "1Day c/BRK.B/1day-iex-split+dividend");
        check(30, "timeframe must be 1min to 59min, 1h to 23h or 1day, was \"30s\"");
        check(172_800, "timeframe must be 1min to 59min, 1h to 23h or 1day, was \"172800s\"");
    }

    #[test]
    fn nothing_from_a_manifest_leaves_the_cache() {
        let make = |feed, adjustment| {
            DownloadSeries::new(Path::new("c"), "A".parse().unwrap(), RowKind::Trade, feed, adjustment)
                .unwrap_err()
        };
        assert_eq!(make("../x", "raw"), "feed must be iex, sip, otc or boats, was \"../x\"");
        assert!(make("iex", "raw/..").starts_with("adjustment must be raw, split"));
    }

    #[test]
    fn intraday_rows_are_kept_by_session_day_and_daily_bars_by_month() {
        let days = series(60).unwrap().pieces(date("2026-01-01"), date("2026-01-07"));
        let names: Vec<String> = days.iter().map(|piece| piece.first.to_string()).collect();
        assert_eq!(names, ["2026-01-02", "2026-01-05", "2026-01-06"]);
        assert_eq!(days[0].start.to_string(), "2026-01-02T05:00:00Z");
        assert_eq!(days[0].end.to_string(), "2026-01-03T05:00:00Z");
        let months = series(86_400).unwrap().pieces(date("2025-12-31"), date("2026-02-01"));
        let names: Vec<String> = months.iter().map(|piece| piece.path.display().to_string()).collect();
        let folder = "c/BRK.B/1day-iex-split+dividend";
        assert_eq!(names, [format!("{folder}/2025-12.csv"), format!("{folder}/2026-01.csv")]);
    }

    #[test]
    fn a_day_is_not_over_before_delayed_data_is_there() {
        let day = &series(60).unwrap().pieces(date("2026-01-02"), date("2026-01-03"))[0];
        assert!(!day.is_over(day.end) && day.is_over(day.end + DATA_DELAY));
    }
}
