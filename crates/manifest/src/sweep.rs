//! `[sweep]`: keys of this very manifest, each with the values that are tried.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::DeValue;

use super::constraint::{Constraint, Keys};
use super::value::{self, WrittenValue};
use super::written::Written;
use super::{KeyLine, overrides, text};
use bot_core::duration;

/// More combinations than this are a slip of the fingers.
pub const COMBINATIONS_MAX: u64 = 1_000_000;

/// What is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepSection {
    /// One for each key, in the order of the text.
    pub axes: Vec<SweepAxis>,
    /// What a combination must meet to be run, all of them.
    pub constraints: Vec<Constraint>,
    /// The ratio by which results are ordered, best first.
    pub objective: Option<String>,
    /// Choose on one window of time, prove on the next.
    pub walk_forward: Option<WalkForward>,
}

/// One key and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepAxis {
    /// The dotted key, such as `strategy.cross.params.fast`.
    pub key: String,
    /// Each as TOML text, never empty.
    pub values: Vec<String>,
}

/// How long the windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkForward {
    /// In which parameters are chosen.
    pub train: WindowLength,
    /// In which they are proven; the next window begins so much later.
    pub test: WindowLength,
}

/// A window of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowLength {
    /// So much time on the calendar.
    Span(Duration),
    /// So many sessions of the exchange.
    Sessions(u32),
}

/// Its name in brackets.
pub(super) const NAME: &str = "sweep";
const WHERE: &str = "where";
const OBJECTIVE: &str = "objective";
const WALK_FORWARD: &str = "walk_forward";
/// What results are ordered by when nothing is written.
pub const OBJECTIVE_DEFAULT: &str = "sharpe";

impl SweepSection {
    /// How many combinations the grid has, those that are left out among them; 1 when nothing is swept.
    pub fn combinations(&self) -> u64 {
        self.axes.iter().fold(1, |count, axis| count.saturating_mul(axis.values.len() as u64))
    }

    /// Combination `index` as overrides, in the order of the axes; the last axis changes first. None past the end.
    pub fn combination(&self, index: u64) -> Option<Vec<(String, String)>> {
        if index >= self.combinations() {
            return None;
        }
        let chosen = self.axes.iter().zip(self.places(index));
        chosen.map(|(axis, place)| Some((axis.key.clone(), axis.values.get(place)?.clone()))).collect()
    }

    /// The combinations that meet every constraint, by their index in the grid, rising.
    pub fn kept(&self) -> Vec<u64> {
        let all = 0..self.combinations();
        if self.constraints.is_empty() {
            return all.collect();
        }
        let numbers: Vec<Vec<Decimal>> =
            self.axes.iter().map(|axis| numbers(axis).unwrap_or_default()).collect();
        let is_kept = |index: &u64| {
            let places = self.places(*index);
            let value = |axis: usize| numbers.get(axis)?.get(*places.get(axis)?).copied();
            self.constraints.iter().all(|constraint| constraint.is_met(&value))
        };
        all.filter(is_kept).collect()
    }

    /// The place of a combination's value on each axis.
    fn places(&self, index: u64) -> Vec<usize> {
        let mut places = vec![0; self.axes.len()];
        let mut rest = index;
        for (place, axis) in places.iter_mut().zip(&self.axes).rev() {
            let count = axis.values.len() as u64;
            *place = usize::try_from(rest % count).unwrap_or(0);
            rest /= count;
        }
        places
    }

    /// The last part of each key, as far as that tells them apart; else all of it.
    pub fn short_names(&self) -> Vec<String> {
        short_names(&self.axes.iter().map(|axis| axis.key.as_str()).collect::<Vec<_>>())
    }

    /// The ratio by which results are ordered.
    pub fn objective(&self) -> &str {
        self.objective.as_deref().unwrap_or(OBJECTIVE_DEFAULT)
    }

    pub(super) fn read(written: &mut Written<'_, '_>) -> Self {
        let objective = written.take(OBJECTIVE, ratio);
        let row_kind = "a table such as { train = \"60d\", test = \"20d\" }";
        let walk_forward = written.value(WALK_FORWARD).and_then(|value| {
            written.table(WALK_FORWARD, row_kind, |table| walk_forward(table, &value.span)).flatten()
        });
        let constraints = written.value(WHERE);
        let mut axes = Vec::new();
        let others = written.others();
        for (key, _, value) in &others {
            let values = value.as_ref().and_then(|value| values(written, key, value));
            axes.extend(values.map(|values| SweepAxis { key: (*key).to_owned(), values }));
        }
        let mut sweep = Self { axes, constraints: Vec::new(), objective, walk_forward };
        let count = sweep.combinations();
        if let (true, Some((_, at, _))) = (count > COMBINATIONS_MAX, others.last()) {
            let message = format!("must have at most {COMBINATIONS_MAX} combinations, were {count}");
            written.fault_at(at, &[], message);
        } else if let Some(value) = constraints {
            let keys: Vec<&str> = others.iter().map(|(key, ..)| *key).collect();
            read_constraints(written, &value, &keys, &mut sweep);
        }
        sweep
    }

    /// One line for each key.
    pub fn describe(&self) -> Vec<KeyLine> {
        let walk = self.walk_forward.map(|walk| format!("train {}, test {}", walk.train, walk.test));
        let (kept, all) = (self.kept().len() as u64, self.combinations());
        let combinations = if kept < all { format!("{kept} of {all}") } else { all.to_string() };
        let constraints: Vec<&str> = self.constraints.iter().map(Constraint::text).collect();
        let axes: Vec<String> =
            self.axes.iter().map(|axis| format!("{} ({})", axis.key, axis.values.len())).collect();
        vec![
            KeyLine::new("combinations", Some(combinations), ""),
            KeyLine::new("keys", Some(axes.join(", ")), ""),
            KeyLine::new(WHERE, (!constraints.is_empty()).then(|| constraints.join(", ")), "off"),
            KeyLine::new(OBJECTIVE, self.objective.as_ref(), OBJECTIVE_DEFAULT),
            KeyLine::new(WALK_FORWARD, walk, "off"),
        ]
    }

    /// Whether anything is swept.
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }
}

impl fmt::Display for WindowLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => f.write_str(&duration::format(*span)),
            Self::Sessions(count) => write!(f, "{count} sessions"),
        }
    }
}

fn short_names(keys: &[&str]) -> Vec<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).trim_matches('"').to_owned();
    let is_alone = |key: &str| keys.iter().filter(|other| last(other) == last(key)).count() == 1;
    keys.iter().map(|key| if is_alone(key) { last(key) } else { (*key).to_owned() }).collect()
}

/// The constraints of `where`, one or a list of them, over the keys that are swept.
fn read_constraints(
    written: &mut Written<'_, '_>,
    value: &WrittenValue<'_>,
    keys: &[&str],
    sweep: &mut SweepSection,
) {
    const RULE: &str = "must be a constraint such as \"fast < slow\", or a list of them";
    let items: Vec<WrittenValue<'_>> = match value.kind {
        DeValue::Array(items) => items.iter().filter_map(WrittenValue::of).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => vec![WrittenValue { kind: value.kind, span: value.span.clone() }],
    };
    if items.is_empty() {
        written.fault_at(&value.span, &[WHERE], format!("{RULE}, was empty"));
    }
    // A key whose values were at fault has no axis: names are held against all, combinations are not counted.
    let is_whole = keys.len() == sweep.axes.len();
    let short = short_names(keys);
    let mut constraints = Vec::new();
    for item in items {
        let read = item.str().ok_or_else(|| item.breaks(RULE));
        let read = read.and_then(|text| Constraint::parse(text, &Keys { whole: keys, short: &short }));
        let axes = if is_whole { sweep.axes.as_slice() } else { &[] };
        match read.and_then(|constraint| of_numbers(constraint, axes)) {
            Ok(constraint) => constraints.push(constraint),
            Err(message) => written.fault_at(&item.span, &[WHERE], message),
        }
    }
    if is_whole {
        sweep.constraints = constraints;
        if sweep.kept().is_empty() {
            let count = sweep.combinations();
            let message = format!("must be met by at least one combination, was met by none of {count}");
            written.fault_at(&value.span, &[WHERE], message);
        }
    }
}

/// The constraint, where all keys in it have numbers only.
fn of_numbers(constraint: Constraint, axes: &[SweepAxis]) -> Result<Constraint, String> {
    for axis in constraint.places().iter().filter_map(|place| axes.get(*place)) {
        if let Err(value) = numbers(axis) {
            return Err(format!("must be of keys whose values are numbers, was {} with {value}", axis.key));
        }
    }
    Ok(constraint)
}

/// The values of an axis as numbers, or the first that is none.
fn numbers(axis: &SweepAxis) -> Result<Vec<Decimal>, &str> {
    let read = |text: &'_ String| {
        let value = overrides::value(text, &(0..1));
        WrittenValue::of(&value).and_then(|value| number(&value).ok())
    };
    axis.values.iter().map(|text| read(text).ok_or(text.as_str())).collect()
}

fn ratio(value: &WrittenValue<'_>) -> Result<String, String> {
    value
        .str()
        .filter(|name| !name.is_empty() && name.len() <= 64)
        .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        .map(str::to_owned)
        .ok_or_else(|| value.breaks("must be a ratio's name such as \"sharpe\""))
}

fn walk_forward(table: &mut Written<'_, '_>, at: &Range<usize>) -> Option<WalkForward> {
    for key in ["train", "test"] {
        if table.value(key).is_none() {
            table.fault_at(at, &[key], "must be written, was missing".to_owned());
        }
    }
    let (train, test) = (table.take("train", window), table.take("test", window));
    Some(WalkForward { train: train?, test: test? })
}

fn window(value: &WrittenValue<'_>) -> Result<WindowLength, String> {
    match value.kind {
        DeValue::Integer(_) => value::whole(1..=100_000_u32)(value).map(WindowLength::Sessions),
        DeValue::String(_) => value::span(value).map(WindowLength::Span),
        DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            Err(value.breaks("must be a duration such as \"60d\" or a number of sessions such as 60"))
        }
    }
}

const RANGE_KEYS: [&str; 4] = ["from", "to", "step", "factor"];
const SHAPE: &str = "must be a list of values, or a range such as { from = 20, to = 60, step = 20 }";

fn values(written: &mut Written<'_, '_>, key: &str, value: &WrittenValue<'_>) -> Option<Vec<String>> {
    match value.kind {
        DeValue::Array(items) if !items.is_empty() => {
            let values: Vec<String> = items.iter().map(|item| text::inline(item.get_ref())).collect();
            if let Some(index) = (1..values.len()).find(|index| values[..*index].contains(&values[*index])) {
                let message = format!("each value must be written once, was {} before", values[index]);
                written.fault_at(&items[index].span(), &[key], message);
            }
            Some(values)
        }
        DeValue::Table(table) if !RANGE_KEYS.iter().any(|key| table.contains_key(*key)) => {
            let message = format!("{SHAPE}, and its key one in quotes such as \"broker.cash\"");
            written.fault_at(&value.span, &[key], message);
            None
        }
        DeValue::Table(table) => written.table_of(key, table, |range| read_range(range, &value.span)),
        DeValue::Array(_) => {
            written.fault_at(&value.span, &[key], format!("{SHAPE}, was empty"));
            None
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {
            written.fault_at(&value.span, &[key], value.breaks(SHAPE));
            None
        }
    }
}

/// Tries each value of each key in the place that the key leads to: what is wrong with it there is said here.
pub(super) fn check(root: &mut Written<'_, '_>, sweep: &SweepSection, read: impl Fn(&mut Written<'_, '_>)) {
    let mut without = root.copy();
    without.remove(NAME);
    let places = root.at(&[NAME]).map(|sweep| sweep.entries()).unwrap_or_default();
    for (key, key_at, value) in places {
        let (Some(axis), Some(value)) = (sweep.axes.iter().find(|axis| axis.key == key), value) else {
            continue;
        };
        let list = value.kind.as_array();
        let tried =
            axis.values.iter().enumerate().filter(|(index, _)| is_tried(*index, axis, list.is_some()));
        for (index, text) in tried {
            let item = list.and_then(|items| items.get(index));
            let at = item.map_or(value.span.clone(), Spanned::span);
            let mut tried = without.clone();
            if let Err(message) = overrides::set(&mut tried, key, &key_at, overrides::value(text, &at)) {
                root.fault_at(&key_at, &[NAME, key], message);
                break;
            }
            for fault in root.faults_of(&tried, &read) {
                if at.contains(&fault.0) || key_at.contains(&fault.0) {
                    root.report(fault);
                }
            }
        }
    }
}

/// Rules for numbers are limits, so that a range's ends stand for all of it; of a very long list the first ones do. Each
/// value is checked once more when it is run.
fn is_tried(index: usize, axis: &SweepAxis, is_list: bool) -> bool {
    const TRIED_MAX: usize = 1_000;
    if is_list { index < TRIED_MAX } else { index == 0 || index + 1 == axis.values.len() }
}

/// `{ from, to, step }` adds, `{ from, to, factor }` multiplies; both ends count.
fn read_range(range: &mut Written<'_, '_>, at: &Range<usize>) -> Option<Vec<String>> {
    for key in ["from", "to"] {
        if range.value(key).is_none() {
            range.fault_at(at, &[key], format!("must be written, was missing: a sweep {SHAPE}"));
        }
    }
    let (from, to) = (range.take("from", number), range.take("to", number));
    let has = (range.value("step"), range.value("factor"));
    let next: RangeStep = match has {
        (Some(_), None) => RangeStep::Add(range.take("step", |value| above(value, Decimal::ZERO))?),
        (None, Some(_)) => RangeStep::Multiply(range.take("factor", |value| above(value, Decimal::ONE))?),
        (None, None) => {
            range.fault_at(at, &["step"], "step or factor must be written, was neither".to_owned());
            return None;
        }
        (Some(_), Some(factor)) => {
            range.fault_at(&factor.span, &["factor"], "is allowed without step only, were both".to_owned());
            return None;
        }
    };
    let (from, to) = (from?, to?);
    if from > to || (matches!(next, RangeStep::Multiply(_)) && from <= Decimal::ZERO) {
        let rule = match next {
            RangeStep::Add(_) => "must be at least from",
            RangeStep::Multiply(_) => "must be at least from, and from above 0",
        };
        range.fault_at(at, &["to"], format!("{rule}, was {from} to {to}"));
        return None;
    }
    let (mut numbers, mut number) = (Vec::new(), from);
    while number <= to {
        if numbers.len() as u64 >= COMBINATIONS_MAX {
            range.fault_at(at, &[], format!("must have at most {COMBINATIONS_MAX} values, were more"));
            return None;
        }
        numbers.push(number);
        let Some(after) = next.after(number) else { break };
        number = after;
    }
    let is_whole = numbers.iter().all(Decimal::is_integer);
    let is_text = range.value("from").is_some_and(|from| from.str().is_some());
    let is_float = RANGE_KEYS
        .into_iter()
        .any(|key| range.value(key).is_some_and(|value| matches!(value.kind, DeValue::Float(_))));
    let show = |number: Decimal| {
        let digits = number.normalize().to_string();
        if is_text {
            text::quoted(&digits)
        } else if (is_float || !is_whole) && number.is_integer() {
            format!("{digits}.0")
        } else {
            digits
        }
    };
    Some(numbers.into_iter().map(show).collect())
}

#[derive(Clone, Copy)]
enum RangeStep {
    Add(Decimal),
    Multiply(Decimal),
}

impl RangeStep {
    fn after(self, number: Decimal) -> Option<Decimal> {
        match self {
            Self::Add(step) => number.checked_add(step),
            Self::Multiply(factor) => number.checked_mul(factor),
        }
    }
}

/// A number, or a number in a string as dollars are written.
fn number(value: &WrittenValue<'_>) -> Result<Decimal, String> {
    let text = value.str().and_then(|text| Decimal::from_str_exact(text).ok());
    value.decimal().or(text).ok_or_else(|| value.breaks("must be a number"))
}

fn above(value: &WrittenValue<'_>, least: Decimal) -> Result<Decimal, String> {
    number(value)
        .ok()
        .filter(|number| *number > least)
        .ok_or_else(|| value.breaks(&format!("must be a number above {least}")))
}
