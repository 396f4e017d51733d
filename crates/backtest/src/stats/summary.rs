//! What the terminal shows at the end of a run.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::table::{Funnel, Group, Ratio, RatioUnit, ReasonCount, Statistics};
use super::text::{NOT_DEFINED, dollars, latency, number};
use bot_core::calendar::date_of;
use bot_core::clock::Timestamp;
use bot_core::portfolio::OffTargetFigures;

/// The ratios that are shown; `stats.json` and the report have all.
const SHOWN: [&str; 23] = [
    "total_return",
    "cagr",
    "sharpe",
    "probabilistic_sharpe",
    "sortino",
    "calmar",
    "omega",
    "volatility",
    "max_drawdown",
    "longest_drawdown_days",
    "value_at_risk",
    "time_in_market",
    "win_periods",
    "best_period",
    "worst_period",
    "beta",
    "alpha",
    "trade_win_rate",
    "trade_expectancy",
    "trade_profit_factor",
    "sqn",
    "trade_days_avg",
    "exposure",
];

/// So many rows of a table are shown.
const ROWS_MAX: usize = 10;
const DRAWDOWNS_MAX: usize = 3;

/// The run in one screen or two, at most `width` columns; green and red where `colour` is on.
pub fn summary(statistics: &Statistics, width: u16, colour: bool) -> String {
    let paint = Paint { colour };
    let mut text = head(statistics, &paint);
    let blocks = [
        (ratios(statistics), CellAlignment::Right),
        (strategies(statistics), CellAlignment::Right),
        (symbols(statistics), CellAlignment::Right),
        (drawdowns(statistics), CellAlignment::Right),
        (execution(statistics), CellAlignment::Left),
    ];
    for (block, alignment) in blocks.iter().filter(|(block, _)| block.len() > 1) {
        text.push('\n');
        text.push_str(&table(block, *alignment, width));
    }
    text.push('\n');
    text.push_str(&integrity(statistics, &paint));
    text.push_str(&failures(statistics, &paint));
    text
}

struct Paint {
    colour: bool,
}

impl Paint {
    fn good(&self, good: bool, text: &str) -> String {
        match (self.colour, good) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\x1b[32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[31m{text}\x1b[0m"),
        }
    }
}

fn head(statistics: &Statistics, paint: &Paint) -> String {
    let headline = &statistics.headline;
    let day = |at: Option<Timestamp>| at.map_or_else(|| NOT_DEFINED.to_owned(), |at| date_of(at).to_string());
    let interrupted = if headline.interrupted { ", interrupted" } else { "" };
    let ends = match (headline.ruined_at, headline.margin_calls) {
        (None, 0) => String::new(),
        (ruined_at, calls) => {
            let calls = (calls > 0).then(|| format!("margin calls: {}", number(calls)));
            let ruined = ruined_at.map(|at| format!("RUINED on {}, the run ended there", day(Some(at))));
            let text: Vec<String> = ruined.into_iter().chain(calls).collect();
            format!("{}\n", paint.good(false, &text.join("; ")))
        }
    };
    let profit = format!("{} ({})", dollars(headline.profit), RatioUnit::Percent.text(headline.total_return));
    let gained = headline.profit.get() >= rust_decimal::Decimal::ZERO;
    format!(
        "{}  {} to {}, {} periods{interrupted}\nequity {} -> {}, profit {}, fees {}\n\
         {} events, {} orders, {} fills, {} trades closed, {} open\n{ends}",
        headline.name,
        day(headline.start),
        day(headline.end),
        number(headline.periods as u64),
        dollars(headline.start_equity),
        dollars(headline.final_equity),
        paint.good(gained, &profit),
        dollars(headline.fees),
        number(headline.events),
        number(headline.orders),
        number(headline.fills),
        number(headline.trades),
        number(headline.open_trades),
    )
}

type TextBlock = Vec<Vec<String>>;

fn ratios(statistics: &Statistics) -> TextBlock {
    let with_benchmark = statistics.headline.benchmark.as_deref();
    let shown: Vec<&Ratio> = SHOWN.iter().filter_map(|stem| statistics.ratio_of(stem)).collect();
    let with_interval = shown.iter().any(|ratio| ratio.interval.is_some());
    let row = |name: &str, value: String, interval: String, benchmark: String| {
        let mut row = vec![name.to_owned(), value];
        row.extend(with_interval.then_some(interval));
        row.extend(with_benchmark.map(|_| benchmark));
        row
    };
    let head = row("", "run".into(), "95 % interval".into(), with_benchmark.unwrap_or_default().to_owned());
    let aside = |ratio: &Ratio| ratio.group == Group::Benchmark && with_benchmark.is_none();
    let rows = shown.iter().filter(|ratio| !aside(ratio)).map(|ratio| {
        let benchmark = ratio.benchmark.map_or_else(String::new, |value| ratio.unit.text(Some(value)));
        row(&ratio.label, ratio.text(), ratio.interval_text(), benchmark)
    });
    [head].into_iter().chain(rows).collect()
}

fn strategies(statistics: &Statistics) -> TextBlock {
    let head = ["strategy", "equity", "profit", "return", "Sharpe", "drawdown", "orders", "trades", "won"];
    let rows = statistics.strategies.iter().map(|row| {
        vec![
            row.name.clone(),
            RatioUnit::Money.text(row.final_equity),
            RatioUnit::Money.text(row.profit),
            RatioUnit::Percent.text(row.total_return),
            RatioUnit::Number.text(row.sharpe),
            RatioUnit::Percent.text(row.max_drawdown),
            number(row.orders),
            number(row.trades),
            RatioUnit::Percent.text(row.win_rate),
        ]
    });
    listed(&head, rows)
}

fn symbols(statistics: &Statistics) -> TextBlock {
    let head = ["symbol", "profit", "fees", "orders", "trades", "won", "volume", "position"];
    let rows = statistics.symbols.iter().map(|row| {
        vec![
            row.symbol.to_string(),
            dollars(row.profit),
            dollars(row.fees),
            number(row.orders),
            number(row.trades),
            RatioUnit::Percent.text(row.win_rate),
            dollars(row.volume),
            row.position.to_string(),
        ]
    });
    listed(&head, rows)
}

fn drawdowns(statistics: &Statistics) -> TextBlock {
    let day = |at: Timestamp| date_of(at).to_string();
    let head = ["drawdown", "from", "lowest", "until", "days"].map(str::to_owned).to_vec();
    let rows = statistics.drawdowns.iter().take(DRAWDOWNS_MAX).map(|fall| {
        vec![
            RatioUnit::Percent.text(Some(fall.depth)),
            day(fall.start),
            day(fall.valley),
            fall.end.map_or_else(|| "the end".to_owned(), day),
            fall.days.to_string(),
        ]
    });
    [head].into_iter().chain(rows).collect()
}

fn listed(head: &[&str], rows: impl ExactSizeIterator<Item = Vec<String>>) -> TextBlock {
    let more = rows.len().saturating_sub(ROWS_MAX);
    let mut block = vec![head.iter().map(|text| (*text).to_owned()).collect()];
    block.extend(rows.take(ROWS_MAX));
    if more > 0 {
        block.push(vec![format!("and {more} more")]);
    }
    block
}

fn execution(statistics: &Statistics) -> TextBlock {
    let execution = &statistics.execution;
    let Funnel { signals, idle, transactions, stopped, orders, .. } = &execution.funnel;
    let pair = |name: &str, value: String| vec![name.to_owned(), value];
    let mut block = vec![pair("signals", number(*signals)), pair("  no order needed", number(*idle))];
    let reason = |reason: &ReasonCount| {
        let code = if reason.code.is_empty() { String::new() } else { format!(" {}", reason.code) };
        pair(&format!("  {}{code}", reason.outcome.as_str()), number(reason.count))
    };
    block.extend(stopped.iter().take(ROWS_MAX).map(reason));
    if stopped.len() > ROWS_MAX {
        let rest: u64 = stopped[ROWS_MAX..].iter().map(|reason| reason.count).sum();
        block.push(pair("  other", number(rest)));
    }
    if *transactions > 0 {
        block.push(pair("orders", number(*orders)));
        let funnel = &execution.funnel;
        for (name, count) in [
            ("  filled", funnel.filled),
            ("  partly filled", funnel.partly_filled),
            ("  unfilled", funnel.unfilled),
            ("  rejected", funnel.rejected),
            ("  other", funnel.other),
        ] {
            if count > 0 {
                block.push(pair(name, number(count)));
            }
        }
        block.push(pair("shares filled", RatioUnit::Percent.text(execution.fill_ratio)));
    }
    let slippage = &execution.slippage;
    if let (Some(mean), Some(median), Some(high)) = (slippage.mean_bps, slippage.p50_bps, slippage.p95_bps) {
        let text = format!(
            "mean {mean:.2} bps, p50 {median:.2}, p95 {high:.2}, cost {}",
            RatioUnit::Money.text(slippage.money)
        );
        block.push(pair("slippage", text));
    }
    let took = &execution.latency;
    if let (Some(half), Some(most), Some(longest)) = (took.p50_us, took.p99_us, took.max_us) {
        let [half, most, longest] = [half, most, longest].map(latency);
        block.push(pair("decided to final", format!("p50 {half}, p99 {most}, max {longest}")));
    }
    block.extend(off_target(statistics).into_iter().map(|(name, text)| pair(&name, text)));
    block
}

/// Over all, then for each strategy that was off its targets; nothing where there were no targets.
fn off_target(statistics: &Statistics) -> Vec<(String, String)> {
    let text = |off: &OffTargetFigures| match off.mean() {
        None => "never".to_owned(),
        Some(mean) => format!(
            "{} of the time, by {mean} shares, at most {}",
            RatioUnit::Percent.text(off.time),
            off.worst_shares
        ),
    };
    let all = &statistics.execution.off_target;
    if all.time.is_none() {
        return Vec::new();
    }
    let mut lines = vec![("off target".to_owned(), text(all))];
    if statistics.strategies.len() > 1 {
        let off = statistics.strategies.iter().filter(|row| row.off_target.mean_shares.is_some());
        lines.extend(off.take(ROWS_MAX).map(|row| (format!("  {}", row.name), text(&row.off_target))));
    }
    lines
}

/// What each failing strategy said last, and what became of it.
fn failures(statistics: &Statistics, paint: &Paint) -> String {
    let rows =
        statistics.strategies.iter().filter_map(|row| row.last_failure.as_ref().map(|last| (row, last)));
    rows.fold(String::new(), |text, (row, last)| {
        let became = if row.stopped { "was stopped" } else { "went on" };
        let became = paint.good(false, &format!("{} {became} after {} failures", row.name, row.failures));
        format!("{text}failures   {became}, the last: {last}\n")
    })
}

fn integrity(statistics: &Statistics, paint: &Paint) -> String {
    let found = &statistics.integrity;
    if found.ok {
        return format!("integrity  {}\n", paint.good(true, "books add up"));
    }
    let mut text = format!("integrity  {}\n", paint.good(false, "books do not add up"));
    for breach in &found.breaches {
        text.push_str("  ");
        text.push_str(breach);
        text.push('\n');
    }
    text
}

/// The first column to the left, the others as `alignment` says.
fn table(block: &TextBlock, alignment: CellAlignment, width: u16) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    for row in block {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(alignment);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
