//! The best combinations as people read them: on the terminal and on the page.

use super::plan::SweepPlan;
use super::ranking::{Deflated, ranked};
use super::table::plain;
use super::trial::Trial;
use crate::stats::RatioUnit;

/// A cell: its words, and the number that it is sorted by.
pub type TopCell = (String, Option<f64>);

/// The ratios that are shown beside the objective.
const SHOWN: [&str; 3] = ["total_return", "sharpe", "max_drawdown"];

/// The best `most`, best first: heads (those of numbers start with `>`), then a row for each.
pub fn top(plan: &SweepPlan, trials: &[Trial], most: usize) -> (Vec<String>, Vec<Vec<TopCell>>) {
    let names = plan.sweep().short_names();
    let objective = plan.objective().column;
    let mut columns = vec![objective];
    columns.extend(
        SHOWN.iter().filter_map(|stem| SweepPlan::column(stem)).filter(|column| *column != objective),
    );
    let mut heads = vec![">#".to_owned()];
    for (name, axis) in names.iter().zip(&plan.sweep().axes) {
        let is_number = axis.values.iter().all(|value| plain(value).parse::<f64>().is_ok());
        heads.push(if is_number { format!(">{name}") } else { name.clone() });
    }
    heads.extend(columns.iter().map(|column| format!(">{}", plan.ratios()[*column].label)));
    heads.extend([">Profit", ">Fees", ">Trades", ">Orders"].map(str::to_owned));
    let rows = ranked(plan, trials).into_iter().take(most).zip(1_u64..).map(|(trial, place)| {
        let mut row = vec![count(place)];
        row.extend(values_of(plan, trial.index).into_iter().map(|value| {
            let number = value.parse().ok();
            (value, number)
        }));
        for column in &columns {
            let value = trial.ratio(*column);
            row.push((plan.ratios()[*column].unit.text(value), Some(value.unwrap_or(f64::NAN))));
        }
        if let Ok(values) = &trial.ended {
            row.extend([values.profit, values.fees].map(|money| {
                let money = money.to_f64();
                (RatioUnit::Money.text(Some(money)), Some(money))
            }));
            row.extend([values.trades, values.orders].map(count));
        }
        row
    });
    (heads, rows.collect())
}

/// The swept values of a combination as people write them.
pub fn values_of(plan: &SweepPlan, index: u64) -> Vec<String> {
    let combination = plan.sweep().combination(index).unwrap_or_default();
    combination.iter().map(|(_, value)| plain(value).to_owned()).collect()
}

/// A combination in words: `fast 5, slow 20`.
pub fn named(plan: &SweepPlan, index: u64) -> String {
    let pairs = plan.sweep().short_names().into_iter().zip(values_of(plan, index));
    pairs.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

/// What a deflated Sharpe ratio means.
pub fn luck(deflated: &Deflated) -> String {
    let Deflated { probability, sharpe, by_luck, trials } = deflated;
    let verdict =
        if *probability >= 0.95 { "That is hard to explain by luck alone" } else { "It may well be luck" };
    format!(
        "Deflated Sharpe ratio of the best: {}. The best of {} without any skill is expected to show a Sharpe ratio of \
         {} a year by luck; the best here has {}, and the deflated ratio is the chance that its true one lies above what \
         luck shows. {verdict} (95 % is commonly asked for).",
        RatioUnit::Percent.text(Some(*probability)),
        if *trials == 1 {
            "1 try".to_owned()
        } else {
            format!("{} tries", crate::stats::text::number(*trials))
        },
        RatioUnit::Number.text(Some(*by_luck)),
        RatioUnit::Number.text(Some(*sharpe)),
    )
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn count(value: u64) -> TopCell {
    (crate::stats::text::number(value), Some(value as f64))
}
