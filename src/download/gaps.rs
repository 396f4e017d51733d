//! What a downloaded series holds and what it lacks, read from its files.

use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;

use super::DownloadError;
use super::series::DownloadSeries;
use crate::calendar::{self, Session, date_of, midnight};
use crate::clock::Timestamp;
use crate::clock::times::{Forms, Times};
use crate::data::RowKind;
use crate::tabular::cells::LineCells;
use crate::tabular::lines::{Line, LineError, Lines};

/// So many gaps are listed.
const GAPS_LISTED: usize = 5;

/// What there is of a series from one New York date to before another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GapReport {
    /// Rows in all files.
    pub rows: u64,
    /// The first row's time.
    pub first: Option<Timestamp>,
    /// The last row's time.
    pub last: Option<Timestamp>,
    /// Files of days that are over.
    pub complete: usize,
    /// Files of days that are not over.
    pub unfinished: usize,
    /// Files that are not there.
    pub absent: usize,
    /// Regular sessions that have begun and whose files are there.
    pub sessions: usize,
    /// Those of them without any row.
    pub empty: Vec<NaiveDate>,
    /// Bars that the other sessions would have if something had been traded in each; 0 where rows are no bars,
    /// or daily ones.
    pub expected: u64,
    /// Those of them that are not there.
    pub missing: u64,
    /// The longest runs of missing bars, the longest first.
    pub longest: Vec<SessionGap>,
}

/// Bars that are missing one after the other within one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionGap {
    /// The start of the first one.
    pub from: Timestamp,
    /// The start of the last one.
    pub to: Timestamp,
    /// How many.
    pub bars: u64,
}

/// Reads the files of a series.
///
/// # Errors
/// A file that cannot be read, or that is none of ours.
pub fn report(
    series: &DownloadSeries,
    from: NaiveDate,
    to: NaiveDate,
    now: Timestamp,
) -> Result<GapReport, DownloadError> {
    let mut report = GapReport::default();
    for piece in series.pieces(from, to).iter().filter(|piece| piece.start < now) {
        let Some(path) = piece.found() else {
            report.absent += 1;
            continue;
        };
        if path == piece.path {
            report.complete += 1;
        } else {
            report.unfinished += 1;
        }
        let mut times = times(&path)?;
        if series.is_daily() {
            times.retain(|at| *at >= midnight(from) && *at < midnight(to));
        }
        report.rows += times.len() as u64;
        report.first = report.first.or(times.first().copied());
        report.last = times.last().copied().or(report.last);
        let (first, after) = (piece.first.max(from), piece.after.min(to));
        let days = first.iter_days().take_while(|date| *date < after);
        for session in days.filter_map(calendar::session_on) {
            report.look(series, &session, &times, now);
        }
    }
    Ok(report)
}

impl GapReport {
    fn look(&mut self, series: &DownloadSeries, session: &Session, times: &[Timestamp], now: Timestamp) {
        let newest = series.newest(now);
        if session.open >= newest {
            return;
        }
        // A daily bar is there once its day is over.
        if series.is_daily() && midnight(session.date) + Duration::from_hours(24) > newest {
            return;
        }
        self.sessions += 1;
        if !times.iter().any(|at| date_of(*at) == session.date) {
            self.empty.push(session.date);
            return;
        }
        let RowKind::Bar { span } = series.row_kind() else { return };
        if series.is_daily() {
            return;
        }
        let gaps = gaps(session, span, times, newest, &mut self.expected);
        self.missing += gaps.iter().map(|gap| gap.bars).sum::<u64>();
        self.longest.extend(gaps);
        // Stable: of equal ones the earlier comes first.
        self.longest.sort_by_key(|gap| std::cmp::Reverse(gap.bars));
        self.longest.truncate(GAPS_LISTED);
    }
}

/// Runs of missing bars in one session, among bars that are over at `newest`. `times` are in order.
fn gaps(
    session: &Session,
    span: Duration,
    times: &[Timestamp],
    newest: Timestamp,
    expected: &mut u64,
) -> Vec<SessionGap> {
    let start = midnight(session.date);
    let before_open = session.open.since(start).as_nanos() / span.as_nanos().max(1);
    let mut at = start + span * u32::try_from(before_open).unwrap_or(0);
    let mut known = times.iter().copied().peekable();
    let mut gaps: Vec<SessionGap> = Vec::new();
    let mut was_missing = false;
    while at < session.close && at + span <= newest {
        while known.next_if(|time| *time < at).is_some() {}
        *expected += 1;
        let is_missing = known.peek() != Some(&at);
        match gaps.last_mut() {
            Some(gap) if is_missing && was_missing => {
                gap.to = at;
                gap.bars += 1;
            }
            Some(_) | None if is_missing => gaps.push(SessionGap { from: at, to: at, bars: 1 }),
            Some(_) | None => {}
        }
        was_missing = is_missing;
        at = at + span;
    }
    gaps
}

/// The times of all rows.
fn times(path: &Path) -> Result<Vec<Timestamp>, DownloadError> {
    let failed = |source| DownloadError::Io { path: path.to_owned(), source };
    let fault = |line, fault: String| DownloadError::Row { path: path.to_owned(), line, fault };
    let mut lines = Lines::open(path).map_err(failed)?;
    let (mut times, mut found) = (Times::new(Forms::Instants, chrono_tz::UTC), Vec::new());
    loop {
        let Line { number, bytes, .. } = match lines.next_line() {
            Ok(None) => return Ok(found),
            Ok(Some(line)) if line.number == 1 => continue,
            Ok(Some(line)) => line,
            Err(LineError::Io(error)) => return Err(failed(error)),
            Err(error @ LineError::Long(number)) => return Err(fault(number, error.to_string())),
        };
        let cell = LineCells::of(bytes, b',').and_then(|mut cells| cells.next().transpose());
        let at = cell.and_then(|cell| {
            times.read(cell.unwrap_or_default().trim_end()).map_err(|error| error.to_string())
        });
        found.push(at.map_err(|error| fault(number, error))?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[track_caller]
    fn check(span_mins: u64, without: &[u64], newest: &str, expected: &str) {
        let session = calendar::session_on("2026-11-27".parse().unwrap()).unwrap();
        let span = Duration::from_mins(span_mins);
        let first = if span_mins == 60 { session.open - Duration::from_mins(30) } else { session.open };
        let times: Vec<Timestamp> = (0..=210 / span_mins)
            .filter(|bar| !without.contains(bar))
            .map(|bar| first + span * u32::try_from(bar).unwrap())
            .collect();
        let mut count = 0;
        let found: Vec<String> = gaps(&session, span, &times, time(newest), &mut count)
            .iter()
            .map(|gap| format!("{}x{}", gap.from.to_new_york().format("%H:%M"), gap.bars))
            .collect();
        assert_eq!(format!("{count}: {}", found.join(" ")), expected);
    }

    #[test]
    fn missing_bars_are_counted_within_the_session() {
        let later = "2026-11-28T00:00:00Z";
        check(1, &[], later, "210: ");
        check(1, &[0, 5, 6, 7, 209], later, "210: 09:30x1 09:35x3 12:59x1");
        check(5, &[1], later, "42: 09:35x1");
        check(60, &[2], later, "4: 11:00x1");
        check(1, &[3, 100], "2026-11-27T14:40:30Z", "10: 09:33x1");
    }
}
