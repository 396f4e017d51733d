//! The tables below the charts.

use std::fmt::Write;

use super::execution::{execution, span};
use super::explain::explain;
use super::html::{
    HtmlCell, NOT_DEFINED, counted, day, dollars, escape, in_unit, moment, number, percent, plural,
    rounded_dollars, signed, table,
};
use crate::record::Record;
use crate::stats::{Group, Ratio, RoundTrip, Statistics, StrategyRow};
use bot_core::order::Side;
use bot_core::portfolio::OffTargetFigures;
use bot_core::signal::Tag;

/// So many trades are listed.
const TRADES_MAX: usize = 500;
/// So many rows of any other table.
const ROWS_MAX: usize = 200;

/// All tables that have rows.
pub(super) fn all(record: &Record, statistics: &Statistics) -> String {
    let mut html = String::new();
    let mut add = |title: &str, body: String| {
        if !body.is_empty() {
            let _ = write!(html, "<section>\n<h2>{title}</h2>\n{body}</section>\n");
        }
    };
    add("Ratios", ratios(statistics));
    add("Drawdowns", drawdowns(statistics));
    add("Years and months", months(statistics));
    add("Strategies", strategies(statistics));
    add("Symbols", symbols(statistics));
    add("Execution", execution(&statistics.execution));
    add("Trades", trades(statistics));
    add("Data", sources(record));
    html
}

/// Names in a row; those beyond `names_max` are counted.
pub(super) fn listed(names: impl ExactSizeIterator<Item = String>, names_max: usize) -> String {
    let left_out = names.len().saturating_sub(names_max);
    let shown = names.take(names_max).collect::<Vec<_>>().join(", ");
    if left_out > 0 { format!("{shown} and {left_out} more") } else { shown }
}

fn ratios(statistics: &Statistics) -> String {
    if statistics.returns.is_empty() && statistics.trades.is_empty() {
        return "<p class=\"note\">There are none: ratios are made of the returns between marks, and there was no return.</p>\n"
            .to_owned();
    }
    let has_benchmark = statistics.ratios.iter().any(|ratio| ratio.benchmark.is_some());
    let benchmark = statistics.headline.benchmark.as_deref().unwrap_or("Benchmark");
    let mut html = String::new();
    for group in Group::ALL {
        let of_group: Vec<&Ratio> = statistics.ratios.iter().filter(|ratio| ratio.group == group).collect();
        if of_group.is_empty() {
            continue;
        }
        let has_interval = of_group.iter().any(|ratio| ratio.interval.is_some());
        let has_benchmark = has_benchmark && of_group.iter().any(|ratio| ratio.benchmark.is_some());
        let mut heads = vec!["Ratio", ">This run"];
        heads.extend(has_interval.then_some(">95% interval"));
        let head = format!(">{benchmark}");
        heads.extend(has_benchmark.then_some(head.as_str()));
        let rows: Vec<Vec<HtmlCell>> = of_group
            .iter()
            .map(|ratio| {
                let value = ratio.value.unwrap_or(f64::NAN);
                let mut row = vec![
                    HtmlCell::words(&ratio.label).hint(explain(ratio.stem())),
                    HtmlCell::number(in_unit(ratio.value, ratio.unit), value),
                ];
                row.extend(has_interval.then(|| interval(ratio)));
                let other = ratio.benchmark;
                row.extend(has_benchmark.then(|| match other {
                    Some(other) => HtmlCell::number(in_unit(Some(other), ratio.unit), other),
                    None => HtmlCell::number("", f64::NAN),
                }));
                row
            })
            .collect();
        let _ = writeln!(
            html,
            "<div class=\"card\"><h3>{}</h3>{}</div>",
            escape(group.title()),
            table(&heads, &rows)
        );
    }
    if html.is_empty() { html } else { format!("<div class=\"cards\">{html}</div>\n") }
}

fn interval(ratio: &Ratio) -> HtmlCell {
    match ratio.interval {
        Some((low, high)) => {
            let [low_text, high_text] = [low, high].map(|end| in_unit(Some(end), ratio.unit));
            HtmlCell::number(format!("{low_text} to {high_text}"), low)
        }
        None => HtmlCell::number("", f64::NAN),
    }
}

fn drawdowns(statistics: &Statistics) -> String {
    if statistics.drawdowns.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<HtmlCell>> = statistics
        .drawdowns
        .iter()
        .map(|fall| {
            vec![
                HtmlCell::gain(percent(fall.depth), fall.depth),
                HtmlCell::words(day(fall.start)),
                HtmlCell::words(day(fall.valley)),
                HtmlCell::words(fall.end.map_or("not yet".to_owned(), day)),
                HtmlCell::count(fall.days.unsigned_abs()),
            ]
        })
        .collect();
    table(&[">Depth", "First below the high", "Lowest", "Last below the high", ">Days"], &rows)
}

fn months(statistics: &Statistics) -> String {
    if statistics.months.is_empty() {
        return String::new();
    }
    let has_benchmark = statistics.years.iter().any(|year| year.benchmark.is_some());
    let mut heads = vec![
        "Year", ">Jan", ">Feb", ">Mar", ">Apr", ">May", ">Jun", ">Jul", ">Aug", ">Sep", ">Oct", ">Nov",
        ">Dec", ">Year",
    ];
    let head = format!(">{}", statistics.headline.benchmark.as_deref().unwrap_or("Benchmark"));
    heads.extend(has_benchmark.then_some(head.as_str()));
    let cell = |value: Option<f64>| match value {
        Some(value) => HtmlCell::gain(percent(value), value),
        None => HtmlCell::number("", f64::NAN),
    };
    let rows: Vec<Vec<HtmlCell>> = statistics
        .months
        .iter()
        .rev()
        .take(ROWS_MAX)
        .map(|row| {
            let benchmark =
                statistics.years.iter().find(|year| year.year == row.year).and_then(|year| year.benchmark);
            let mut cells = vec![HtmlCell::words(row.year)];
            cells.extend(row.months.iter().copied().map(cell));
            cells.push(cell(row.total));
            cells.extend(has_benchmark.then(|| cell(benchmark)));
            cells
        })
        .collect();
    table(&heads, &rows)
}

fn money(value: Option<f64>) -> HtmlCell {
    let value = value.unwrap_or(f64::NAN);
    HtmlCell::gain(signed(value, &dollars(value)), value)
}

/// A fraction as per cent.
pub(super) fn share(value: Option<f64>) -> HtmlCell {
    let value = value.unwrap_or(f64::NAN);
    HtmlCell::number(percent(value), value)
}
fn strategy_row(row: &StrategyRow) -> Vec<HtmlCell> {
    let sharpe = row.sharpe.unwrap_or(f64::NAN);
    let failures = HtmlCell::count(u64::from(row.failures)).hint(row.last_failure.as_deref().unwrap_or(""));
    vec![
        HtmlCell::words(&row.name),
        HtmlCell::number(rounded_dollars(row.capital.to_f64()), row.capital.to_f64()),
        money(row.profit),
        share(row.total_return),
        HtmlCell::number(number(sharpe, 2), sharpe),
        share(row.max_drawdown),
        HtmlCell::count(row.trades),
        share(row.win_rate),
        HtmlCell::count(row.orders),
        HtmlCell::number(dollars(row.fees.to_f64()), row.fees.to_f64()),
        HtmlCell::count(row.signals),
        share(row.off_target.time).hint(&row.off_target.to_string()),
        shares_off(&row.off_target),
        failures,
    ]
}

fn strategies(statistics: &Statistics) -> String {
    let all = &statistics.strategies;
    let rows: Vec<Vec<HtmlCell>> = all.iter().take(ROWS_MAX).map(strategy_row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let sharpe = format!(">Sharpe ({})", statistics.headline.periods_per_year);
    let heads = [
        "Strategy",
        ">Capital",
        ">Profit",
        ">Return",
        &sharpe,
        ">Max drawdown",
        ">Trades",
        ">Win rate",
        ">Orders",
        ">Fees",
        ">Signals",
        ">Off target",
        ">Shares off, mean",
        ">Failures",
    ];
    let mut html = table(&heads, &rows);
    if all.iter().any(|row| row.off_target.time.is_some()) {
        html.push_str(
            "<p class=\"note\">Off target: for how much of the time with a target the position was another one, \
             and by how many shares it was off then. An order under way counts as filled.</p>\n",
        );
    }
    for row in all.iter().take(ROWS_MAX) {
        if let Some(failure) = &row.last_failure {
            let (name, failure) = (escape(&row.name), escape(failure));
            let _ = writeln!(
                html,
                "<p class=\"note\"><b>{name}</b> failed {}, last with: {failure}</p>",
                plural(u64::from(row.failures), "time")
            );
        }
    }
    html + cut(rows.len(), all.len(), "strategies", "stats.json").as_str()
}

/// Shares missing on average while the positions were off their targets; n/a where they never were.
pub(super) fn shares_off(off: &OffTargetFigures) -> HtmlCell {
    let mean = off.mean_shares.unwrap_or(f64::NAN);
    HtmlCell::number(number(mean, 1), mean).hint(&off.to_string())
}

fn symbols(statistics: &Statistics) -> String {
    let mut all: Vec<_> = statistics.symbols.iter().collect();
    let total = all.len();
    if total > ROWS_MAX {
        all.sort_by_key(|row| std::cmp::Reverse(row.fills));
    }
    let rows: Vec<Vec<HtmlCell>> = all
        .into_iter()
        .take(ROWS_MAX)
        .map(|row| {
            vec![
                HtmlCell::words(row.symbol),
                money(Some(row.profit.to_f64())),
                HtmlCell::count(row.trades),
                share(row.win_rate),
                HtmlCell::count(row.orders),
                HtmlCell::count(row.fills),
                HtmlCell::number(quantity(row.shares.to_f64()), row.shares.to_f64()),
                HtmlCell::number(dollars(row.volume.to_f64()), row.volume.to_f64()),
                HtmlCell::number(dollars(row.fees.to_f64()), row.fees.to_f64()),
                HtmlCell::number(quantity(row.position.to_f64()), row.position.to_f64()),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let heads = [
        "Symbol",
        ">Profit",
        ">Trades",
        ">Win rate",
        ">Orders",
        ">Fills",
        ">Shares",
        ">Turnover",
        ">Fees",
        ">Held at the end",
    ];
    table(&heads, &rows)
        + cut(rows.len(), total, "symbols, those with the most fills,", "stats.json").as_str()
}

/// Whole shares without decimals.
fn quantity(shares: f64) -> String {
    let text = number(shares, 9);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What is said when rows were left out.
pub(super) fn cut(shown: usize, all: usize, what: &str, file: &str) -> String {
    if shown >= all {
        return String::new();
    }
    let [shown, all, rest] =
        [shown, all, all - shown].map(|count| counted(u64::try_from(count).unwrap_or(0)));
    format!("<p class=\"note\">{shown} of {all} {what} are shown; the other {rest} are in {file}.</p>\n")
}

fn trades(statistics: &Statistics) -> String {
    let all = &statistics.trades;
    if all.is_empty() {
        return "<p class=\"note\">There were no trades.</p>\n".to_owned();
    }
    let are_several = statistics.strategies.len() > 1;
    let are_tagged = all.iter().any(|trade| trade.entry_tag.is_some() || trade.exit_tag.is_some());
    let rows: Vec<Vec<HtmlCell>> = all
        .iter()
        .take(TRADES_MAX)
        .map(|trade| {
            let mut row = trade_row(trade, statistics, are_several);
            let tags = [&trade.entry_tag, &trade.exit_tag].into_iter().filter(|_| are_tagged);
            row.extend(tags.map(|tag| HtmlCell::words(tag.as_ref().map_or("", Tag::as_str))));
            row
        })
        .collect();
    let mut heads = vec!["Entry", "Exit"];
    heads.extend(are_several.then_some("Strategy"));
    heads.extend([
        "Symbol",
        "Side",
        ">Shares",
        ">Entry price",
        ">Exit price",
        ">Profit",
        ">Return",
        ">Fees",
        ">Held",
    ]);
    heads.extend(["Entry tag", "Exit tag"].into_iter().filter(|_| are_tagged));
    let body = table(&heads, &rows).replacen("class=\"scroll\"", "class=\"scroll tall\"", 1);
    let more = cut(rows.len(), all.len(), "round trips", "trades.csv");
    format!(
        "<p class=\"lead\">Round trips, first in, first out; profits are after fees.</p>\n{body}{more}<p class=\"note print-only\">The first 40 rows are printed.</p>\n"
    )
}

fn trade_row(trade: &RoundTrip, statistics: &Statistics, are_several: bool) -> Vec<HtmlCell> {
    let profit = trade.profit.to_f64();
    let exit = if trade.open { "open".to_owned() } else { moment(trade.exit_at) };
    let mut row = vec![HtmlCell::words(moment(trade.entry_at)), HtmlCell::words(exit)];
    let name = statistics.strategies.get(usize::from(trade.strategy)).map_or("", |strategy| &strategy.name);
    row.extend(are_several.then(|| HtmlCell::words(name)));
    let side = match trade.side {
        Side::Buy => "long",
        Side::Sell => "short",
    };
    row.extend([
        HtmlCell::words(trade.symbol),
        HtmlCell::words(side),
        HtmlCell::number(quantity(trade.quantity.to_f64()), trade.quantity.to_f64()),
        HtmlCell::number(price(trade.entry_price.to_f64()), trade.entry_price.to_f64()),
        HtmlCell::number(price(trade.exit_price.to_f64()), trade.exit_price.to_f64()),
        HtmlCell::gain(signed(profit, &dollars(profit)), profit),
        HtmlCell::gain(signed(trade.gain, &percent(trade.gain)), trade.gain),
        HtmlCell::number(dollars(trade.fees.to_f64()), trade.fees.to_f64()),
        HtmlCell::number(span(trade.held()), trade.held().as_secs_f64()),
    ]);
    row
}

/// Cents, and what is below them where there is something.
fn price(dollars: f64) -> String {
    let fine = number(dollars, 4);
    fine.strip_suffix("00").map_or_else(|| fine.clone(), str::to_owned)
}

fn sources(record: &Record) -> String {
    if record.sources.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<HtmlCell>> = record
        .sources
        .iter()
        .take(ROWS_MAX)
        .map(|(name, account)| {
            let time = |at: Option<_>| HtmlCell::words(at.map_or(NOT_DEFINED.to_owned(), moment));
            vec![
                HtmlCell::words(name),
                HtmlCell::count(account.events),
                time(account.first),
                time(account.last),
                HtmlCell::count(account.skipped),
                HtmlCell::count(account.missing),
                HtmlCell::count(account.filled),
            ]
        })
        .collect();
    let heads = ["Source", ">Events", "First", "Last", ">Rows left out", ">Bars missing", ">Bars filled in"];
    table(&heads, &rows) + cut(rows.len(), record.sources.len(), "sources", "stats.json").as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::RatioUnit;

    #[test]
    fn money_and_ratios_keep_their_kind() {
        assert_eq!(in_unit(Some(0.1234), RatioUnit::Percent), "12.34%");
        assert_eq!(in_unit(Some(f64::NAN), RatioUnit::Money), "n/a");
        assert_eq!((price(180.5), price(180.1234)), ("180.50".to_owned(), "180.1234".to_owned()));
        assert_eq!((quantity(100.0), quantity(0.25)), ("100".to_owned(), "0.25".to_owned()));
    }
}
