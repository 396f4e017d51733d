//! What every row read from a table passes: its numbers, its place in time, the timeframe, the gap before it; and the
//! policies.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::gaps::{DataHours, Gap};
use super::spec::{OnBadRow, OnGap, Origin, Spec};
use super::timeframe::{self, Fit};
use super::{Chunk, DataError, NOTES_MAX, ReadReport, Row, RowKind, Source};
use bot_core::bars::Resampler;
use bot_core::clock::Timestamp;
use bot_core::duration;
use bot_core::market::Bar;
use bot_core::symbol::Symbol;

/// So many rows are given at once: they fit into a core's cache.
pub(super) const CHUNK_ROWS: usize = 4_096;
/// A gap of more bars than that is no gap; filling it would give more flat bars than data.
const FILL_MAX: u64 = 1_000_000;

/// Rows of files or of a generator, in their own order and not yet looked at.
pub(super) trait RowTable: Send {
    /// Puts rows into the checker until it is full; false at the end.
    fn read(&mut self, checker: &mut RowChecker) -> Result<bool, DataError>;
}

/// A source over a table.
pub(super) struct CheckedSource<T> {
    table: T,
    checker: RowChecker,
    /// True when there is nothing more.
    ended: bool,
    /// Given after the rows that stand before it.
    error: Option<DataError>,
}

impl<T: RowTable> CheckedSource<T> {
    pub(super) fn new(table: T, spec: &Spec) -> Self {
        Self { table, checker: RowChecker::new(spec), ended: false, error: None }
    }

    /// Of bars of which nobody said how long they are: each row is one, and none is missing.
    pub(super) fn undeclared(table: T, symbol: Symbol) -> Self {
        let row_kind = RowKind::Bar { span: Duration::ZERO };
        let checker = RowChecker::of(symbol, row_kind, Making::Undeclared);
        Self { table, checker, ended: false, error: None }
    }
}

impl<T: RowTable> Source for CheckedSource<T> {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        while !self.ended {
            match self.table.read(&mut self.checker) {
                Ok(true) => {}
                Ok(false) => (self.ended, self.error) = (true, self.checker.finish().err()),
                // The rows before the fault are given; a bar that it leaves unfinished is not.
                Err(error) => {
                    (self.ended, self.error) = (true, Some(self.checker.decide().err().unwrap_or(error)));
                }
            }
            if let Some(chunk) = self.checker.take() {
                return Ok(Some(chunk));
            }
        }
        self.error.take().map_or(Ok(None), Err)
    }

    fn report(&self) -> ReadReport {
        self.checker.account.clone()
    }
}

/// Judges rows one after the other and holds those that are good.
#[derive(Debug)]
pub(super) struct RowChecker {
    symbol: Symbol,
    row_kind: RowKind,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    on_bad_row: OnBadRow,
    on_gap: OnGap,
    /// The file that is being read.
    path: PathBuf,
    making: Making,
    /// The last row of the table.
    last: Option<Row>,
    /// The last row given, within `from` and `to`.
    given: Option<Row>,
    hours: DataHours,
    rows: Vec<Row>,
    account: ReadReport,
}

/// How rows become bars of the declared timeframe.
#[derive(Debug)]
enum Making {
    /// Each row is one, and so is whatever is no bar.
    Exact,
    /// Not known before so many rows are there.
    Unknown(Vec<UndecidedRows>),
    /// Finer rows make them.
    Finer(Finer),
    /// Each row is one; no timeframe is declared that steps and gaps could be held against.
    Undeclared,
}

/// What waits until it is known what the rows are.
#[derive(Debug)]
enum UndecidedRows {
    File(PathBuf),
    Row(u64, Row),
}

#[derive(Debug)]
struct Finer {
    /// The span of a row.
    piece: Duration,
    resampler: Resampler,
    finished: Vec<Bar>,
    /// Of the last row.
    line: u64,
}

impl RowChecker {
    fn new(spec: &Spec) -> Self {
        let making = match (spec.row_kind, &spec.origin) {
            // A generator's bars are what they are asked to be.
            (RowKind::Bar { .. }, Origin::Generator(_))
            | (RowKind::Quote | RowKind::Trade | RowKind::Number, _) => Making::Exact,
            (RowKind::Bar { .. }, _) => Making::Unknown(Vec::new()),
        };
        let Spec { from, to, on_bad_row, on_gap, .. } = *spec;
        Self { from, to, on_bad_row, on_gap, ..Self::of(spec.symbol, spec.row_kind, making) }
    }

    /// Of all times, and strict.
    fn of(symbol: Symbol, row_kind: RowKind, making: Making) -> Self {
        Self {
            symbol,
            row_kind,
            from: None,
            to: None,
            on_bad_row: OnBadRow::default(),
            on_gap: OnGap::default(),
            path: PathBuf::new(),
            making,
            last: None,
            given: None,
            hours: DataHours::default(),
            rows: Vec::new(),
            account: ReadReport::default(),
        }
    }

    pub(super) fn row_kind(&self) -> RowKind {
        self.row_kind
    }

    /// The rows that follow are of this file.
    pub(super) fn begin(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
        if let Making::Unknown(held) = &mut self.making {
            held.push(UndecidedRows::File(path.to_owned()));
        }
    }

    pub(super) fn count_bytes(&mut self, bytes: usize) {
        self.account.bytes += bytes as u64;
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= CHUNK_ROWS
    }

    /// An error of the file as a whole, whatever the policy.
    pub(super) fn fault(&self, line: u64, fault: impl Into<String>) -> DataError {
        DataError::Row { path: self.path.clone(), line, fault: fault.into() }
    }

    /// The file cannot be read any further.
    pub(super) fn unreadable(&self, source: std::io::Error) -> DataError {
        DataError::Io { path: self.path.clone(), source }
    }

    /// A row that cannot be used.
    #[cold]
    pub(super) fn bad(&mut self, line: u64, fault: String) -> Result<(), DataError> {
        match self.on_bad_row {
            OnBadRow::Error => Err(self.fault(line, fault)),
            OnBadRow::Skip => {
                self.account.skipped += 1;
                self.note(line, &fault);
                Ok(())
            }
        }
    }

    /// The next row of the table.
    #[inline]
    pub(super) fn row(&mut self, line: u64, row: Row) -> Result<(), DataError> {
        if !is_sound(self.row_kind, &row.values) {
            return self.bad(line, unsound(self.row_kind, &row.values));
        }
        if let Some(last) = &self.last
            && row.at <= last.at
            && let Some(fault) = misplaced(self.row_kind, last, &row)
        {
            return self.bad(line, fault);
        }
        self.last = Some(row);
        match &mut self.making {
            Making::Exact => self.give(line, row),
            Making::Unknown(held) => {
                held.push(UndecidedRows::Row(line, row));
                if held.len() < CHUNK_ROWS { Ok(()) } else { self.decide() }
            }
            Making::Finer(_) => self.piece(line, row),
            Making::Undeclared => {
                self.push(row);
                Ok(())
            }
        }
    }

    /// Finds out what the rows so far are, and goes on with them as such.
    fn decide(&mut self) -> Result<(), DataError> {
        let (Making::Unknown(held), RowKind::Bar { span }) = (&mut self.making, self.row_kind) else {
            return Ok(());
        };
        let held = std::mem::take(held);
        let times = held
            .iter()
            .filter_map(|held| if let UndecidedRows::Row(_, row) = held { Some(row.at) } else { None });
        self.making = match timeframe::judge(&times.collect::<Vec<_>>(), span) {
            Ok(Fit::Exact) => Making::Exact,
            Ok(Fit::Finer(piece)) => {
                Making::Finer(Finer { piece, resampler: Resampler::new(span), finished: Vec::new(), line: 0 })
            }
            Err(fault) => return Err(self.fault(0, fault)),
        };
        for held in held {
            match held {
                UndecidedRows::File(path) => self.path = path,
                UndecidedRows::Row(line, row) if matches!(self.making, Making::Finer(_)) => {
                    self.piece(line, row)?;
                }
                UndecidedRows::Row(line, row) => self.give(line, row)?,
            }
        }
        Ok(())
    }

    /// A row that is finer than the timeframe.
    fn piece(&mut self, line: u64, row: Row) -> Result<(), DataError> {
        let Making::Finer(finer) = &mut self.making else { return Ok(()) };
        finer.line = line;
        let mut finished = std::mem::take(&mut finer.finished);
        if let Err(misfit) = finer.resampler.push(bar_of(&row), finer.piece, &mut finished) {
            self.bad(line, misfit.to_string())?;
        }
        for bar in finished.drain(..) {
            self.give(line, row_of(&bar))?;
        }
        if let Making::Finer(finer) = &mut self.making {
            finer.finished = finished;
        }
        Ok(())
    }

    /// There are no more rows: what is there of the last bar is that bar.
    fn finish(&mut self) -> Result<(), DataError> {
        self.decide()?;
        let Making::Finer(finer) = &mut self.making else { return Ok(()) };
        let (line, last) = (finer.line, finer.resampler.close_until(Timestamp::MAX));
        last.map_or(Ok(()), |bar| self.give(line, row_of(&bar)))
    }

    /// A row of the declared shape.
    #[inline]
    fn give(&mut self, line: u64, row: Row) -> Result<(), DataError> {
        let known = self.row_kind.known_at(row.at);
        if self.from.is_some_and(|from| known < from) || self.to.is_some_and(|to| known >= to) {
            return Ok(());
        }
        if let RowKind::Bar { span } = self.row_kind {
            if let Some(last) = self.given
                && row.at != last.at + span
            {
                if timeframe::is_too_close(last.at, row.at, span) {
                    return Err(self.too_close(line, last.at, row.at, span));
                }
                self.gap(line, &last, row.at)?;
            }
            self.hours.learn(row.at, span);
        }
        self.given = Some(row);
        self.push(row);
        Ok(())
    }

    #[cold]
    fn too_close(&self, line: u64, last: Timestamp, next: Timestamp, span: Duration) -> DataError {
        let (step, span) = (duration::format(next.since(last)), duration::format(span));
        self.fault(line, format!("bars must stand one timeframe of {span} apart or more, were {step} apart"))
    }

    #[inline]
    fn push(&mut self, row: Row) {
        if self.rows.capacity() == 0 {
            self.rows.reserve_exact(CHUNK_ROWS);
        }
        self.rows.push(row);
    }

    #[cold]
    fn gap(&mut self, line: u64, last: &Row, next: Timestamp) -> Result<(), DataError> {
        let RowKind::Bar { span } = self.row_kind else { return Ok(()) };
        for Gap { first, bars, fillable } in self.hours.gaps(last.at, next, span) {
            self.account.missing += bars;
            let end = first + span.saturating_mul(u32::try_from(bars).unwrap_or(u32::MAX));
            let word = if bars == 1 { "bar" } else { "bars" };
            let fills = self.on_gap == OnGap::Fill && fillable;
            let what = match (self.on_gap, fillable) {
                (OnGap::Keep, _) => "",
                (OnGap::Fill, true) => ", filled",
                (OnGap::Fill, false) => ", not filled: there is no bar before them that day",
            };
            self.note(line, &format!("{bars} {word} missing before this one, from {first} to {end}{what}"));
            if !fills {
                continue;
            }
            if bars > FILL_MAX {
                let rule = format!("a gap must be of at most {FILL_MAX} bars to be filled, was of {bars}");
                return Err(self.fault(line, rule));
            }
            let close = last.values[3];
            let mut at = first;
            for _ in 0..bars {
                self.push(Row { at, values: [close, close, close, close, 0.0] });
                at = at + span;
            }
            self.account.filled += bars;
        }
        Ok(())
    }

    fn note(&mut self, line: u64, text: &str) {
        if self.account.notes.len() < NOTES_MAX {
            self.account.notes.push(format!("{}:{line}: {text}", self.path.display()));
        }
    }

    fn take(&mut self) -> Option<Arc<Chunk>> {
        let (first, last) = (self.rows.first()?, self.rows.last()?);
        self.account.first.get_or_insert(self.row_kind.known_at(first.at));
        self.account.last = Some(self.row_kind.known_at(last.at));
        self.account.events += self.rows.len() as u64;
        let mut rows = std::mem::take(&mut self.rows);
        rows.shrink_to_fit();
        Some(Arc::new(Chunk::Rows { symbol: self.symbol, row_kind: self.row_kind, rows }))
    }
}

fn bar_of(row: &Row) -> Bar {
    let [open, high, low, close, volume] = row.values;
    Bar { at: row.at, open, high, low, close, volume }
}

fn row_of(bar: &Bar) -> Row {
    Row { at: bar.at, values: [bar.open, bar.high, bar.low, bar.close, bar.volume] }
}

/// True when all numbers of a row are such as the shape may have.
#[inline]
pub(super) fn is_sound(row_kind: RowKind, values: &[f64; 5]) -> bool {
    let [one, two, three, four, five] = *values;
    let amount = |number: f64| (0.0..f64::INFINITY).contains(&number);
    match row_kind {
        RowKind::Bar { .. } => {
            let (open, high, low, close) = (one, two, three, four);
            low > 0.0
                && low <= open
                && low <= close
                && open <= high
                && close <= high
                && high < f64::INFINITY
                && amount(five)
        }
        RowKind::Quote => amount(one) && amount(two) && amount(three) && amount(four),
        RowKind::Trade => one > 0.0 && one < f64::INFINITY && amount(two),
        RowKind::Number => one.is_finite(),
    }
}

/// Which rule a row breaks that is not sound.
#[cold]
fn unsound(row_kind: RowKind, values: &[f64; 5]) -> String {
    let prices = match row_kind {
        RowKind::Bar { .. } => 4,
        RowKind::Trade => 1,
        RowKind::Quote | RowKind::Number => 0,
    };
    for (place, (field, value)) in super::columns::fields(row_kind).iter().zip(values).enumerate() {
        let rule = if !value.is_finite() {
            "finite"
        } else if place < prices && *value <= 0.0 {
            "above 0"
        } else if row_kind != RowKind::Number && *value < 0.0 {
            "0 or more"
        } else {
            continue;
        };
        return format!("{} must be {rule}, was {value}", field.name);
    }
    let [open, high, low, close, _] = values;
    if low > high {
        return format!("high must be at least the low {low}, was {high}");
    }
    let (name, value) = if (low..=high).contains(&open) { ("close", close) } else { ("open", open) };
    format!("{name} must be within low {low} and high {high}, was {value}")
}

/// Which rule of order a row breaks that is not later than the one before it.
#[cold]
fn misplaced(row_kind: RowKind, last: &Row, row: &Row) -> Option<String> {
    if row.at < last.at {
        return Some(format!("time must not be before {} of the row before, was {}", last.at, row.at));
    }
    match row_kind {
        RowKind::Quote | RowKind::Trade => None,
        RowKind::Bar { .. } | RowKind::Number if row == last => {
            Some(format!("a row must be there once, was there again at {}", row.at))
        }
        RowKind::Bar { .. } | RowKind::Number => {
            Some(format!("a time must be there once, was there again with other values at {}", row.at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAR: RowKind = RowKind::Bar { span: Duration::from_mins(1) };

    #[track_caller]
    fn check(row_kind: RowKind, values: [f64; 5], expected: &str) {
        let found = if is_sound(row_kind, &values) { String::new() } else { unsound(row_kind, &values) };
        assert_eq!(found, expected, "{row_kind:?} {values:?}");
    }

    #[test]
    fn bad_numbers_are_told_with_their_rule() {
        check(BAR, [10.0, 11.0, 9.0, 10.5, 0.0], "");
        check(BAR, [f64::NAN, 11.0, 9.0, 10.5, 0.0], "open must be finite, was NaN");
        check(BAR, [10.0, f64::INFINITY, 9.0, 10.5, 0.0], "high must be finite, was inf");
        check(BAR, [10.0, 11.0, 0.0, 10.5, 0.0], "low must be above 0, was 0");
        check(BAR, [10.0, 11.0, 9.0, -1.0, 0.0], "close must be above 0, was -1");
        check(BAR, [10.0, 11.0, 9.0, 10.5, -1.0], "volume must be 0 or more, was -1");
        check(BAR, [10.0, 9.0, 11.0, 10.0, 0.0], "high must be at least the low 11, was 9");
        check(BAR, [12.0, 11.0, 9.0, 10.0, 0.0], "open must be within low 9 and high 11, was 12");
        check(BAR, [10.0, 11.0, 9.0, 8.0, 0.0], "close must be within low 9 and high 11, was 8");
        check(RowKind::Quote, [0.0, 0.0, 10.0, 1.0, 0.0], "");
        check(RowKind::Quote, [-1.0, 0.0, 10.0, 1.0, 0.0], "bid must be 0 or more, was -1");
        check(RowKind::Trade, [0.0, 1.0, 0.0, 0.0, 0.0], "price must be above 0, was 0");
        check(RowKind::Trade, [1.0, f64::NAN, 0.0, 0.0, 0.0], "size must be finite, was NaN");
        check(RowKind::Number, [-1.0, 0.0, 0.0, 0.0, 0.0], "");
        check(RowKind::Number, [f64::NAN, 0.0, 0.0, 0.0, 0.0], "value must be finite, was NaN");
    }
}
