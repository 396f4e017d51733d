//! Tables of results: columns with their names, and rows of cells, the same for CSV, Parquet and the page.

use std::fmt;

use super::plan::SweepPlan;
use super::trial::{Trial, TrialValues};
use bot_core::units::Money;
use bot_data::tabular::number;

/// Columns and rows; every row is as long as there are columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Not defined.
    Nothing,
    /// A count.
    Whole(u64),
    /// A number seen.
    Number(f64),
    /// Money, exact.
    Money(Money),
    /// Words.
    Text(String),
}

impl Cell {
    /// A number, or nothing where it is none.
    pub fn number(value: f64) -> Self {
        if value.is_finite() { Self::Number(value) } else { Self::Nothing }
    }

    /// A swept value as people write it: a number where it is one, else its text without quotes.
    pub fn swept(toml: &str) -> Self {
        let text = plain(toml);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number),
            Ok(_) | Err(_) => Self::Text(text.to_owned()),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Whole(count) => write!(f, "{count}"),
            Self::Number(value) if *value == 0.0 || (1e-7..1e16).contains(&value.abs()) => {
                write!(f, "{value}")
            }
            Self::Number(value) => write!(f, "{value:e}"), // Not hundreds of zeros.
            Self::Money(money) => write!(f, "{money}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A TOML value without the quotes of a simple string.
pub fn plain(toml: &str) -> &str {
    let inner = toml.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.contains(['\\', '"'])).unwrap_or(toml)
}

/// One row for each combination that was run: its index, the swept keys, what it came to, and why it failed.
pub fn results(plan: &SweepPlan, trials: &[Trial]) -> Table {
    let axes = plan.sweep().axes.iter().map(|axis| axis.key.clone());
    let columns = ["index".to_owned()]
        .into_iter()
        .chain(axes)
        .chain(value_columns(plan))
        .chain(["error".to_owned()])
        .collect();
    let rows = trials.iter().map(|trial| {
        let mut row = vec![Cell::Whole(trial.index)];
        row.extend(swept(plan, trial.index));
        match &trial.ended {
            Ok(values) => {
                row.extend(value_cells(values));
                row.push(values.failure.clone().map_or(Cell::Nothing, Cell::Text));
            }
            Err(reason) => {
                row.extend(value_columns(plan).map(|_| Cell::Nothing));
                row.push(Cell::Text(reason.clone()));
            }
        }
        row
    });
    Table { columns, rows: rows.collect() }
}

/// The swept values of a combination, in the order of the axes.
pub(super) fn swept(plan: &SweepPlan, index: u64) -> impl Iterator<Item = Cell> {
    let combination = plan.sweep().combination(index).unwrap_or_default();
    combination.into_iter().map(|(_, value)| Cell::swept(&value))
}

/// Names of the numbers that every run is told by.
pub(super) fn value_columns(plan: &SweepPlan) -> impl Iterator<Item = String> {
    let ratios = plan.ratios().iter().map(|ratio| ratio.name.clone());
    let before = ["profit", "final_equity", "fees", "trades", "orders", "fills", "periods"];
    before.into_iter().map(str::to_owned).chain(ratios).chain(["hash".to_owned()])
}

/// The numbers themselves, in the same order.
pub(super) fn value_cells(values: &TrialValues) -> impl Iterator<Item = Cell> {
    let counts = [values.trades, values.orders, values.fills, values.periods].map(Cell::Whole);
    [values.profit, values.final_equity, values.fees]
        .map(Cell::Money)
        .into_iter()
        .chain(counts)
        .chain(values.ratios.iter().map(|ratio| Cell::number(*ratio)))
        .chain([Cell::Text(values.hash.clone())])
}

/// A combination read back from the cells of its row; what is no such row is told in words.
pub(super) fn trial(plan: &SweepPlan, cells: &[String]) -> Result<Trial, String> {
    let axes = plan.sweep().axes.len();
    let ratios = plan.ratios().len();
    let found = cells.len();
    let wanted = axes + ratios + 10;
    if found != wanted {
        return Err(format!("a row must have {wanted} cells, had {found}"));
    }
    let index: u64 = cells[0].parse().map_err(|_| format!("index must be a number, was \"{}\"", cells[0]))?;
    let (cells, error) = (&cells[1 + axes..found - 1], &cells[found - 1]);
    if !error.is_empty() && cells.iter().all(String::is_empty) {
        return Ok(Trial { index, ended: Err(error.clone()) });
    }
    let money = |place: usize| -> Result<Money, String> {
        cells[place].parse().map_err(|_| format!("money must be a number, was \"{}\"", cells[place]))
    };
    let whole = |place: usize| -> Result<u64, String> {
        cells[place].parse().map_err(|_| format!("a count must be a whole number, was \"{}\"", cells[place]))
    };
    let ratio = |text: &String| match text.as_str() {
        "" => Ok(f64::NAN),
        text => number::read(text).ok_or_else(|| format!("a ratio must be a number, was \"{text}\"")),
    };
    Ok(Trial {
        index,
        ended: Ok(TrialValues {
            profit: money(0)?,
            final_equity: money(1)?,
            fees: money(2)?,
            trades: whole(3)?,
            orders: whole(4)?,
            fills: whole(5)?,
            periods: whole(6)?,
            ratios: cells[7..7 + ratios].iter().map(ratio).collect::<Result<_, _>>()?,
            hash: cells[7 + ratios].clone(),
            failure: (!error.is_empty()).then(|| error.clone()),
        }),
    })
}
