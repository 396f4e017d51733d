//! From signals to fills: the funnel, why some fell out of it, at what price and how late the rest was filled.

use std::fmt::Write;
use std::time::Duration;

use super::html::{HtmlCell, NOT_DEFINED, counted, dollars, number, plural, table};
use super::tables::{cut, share, shares_off};
use crate::stats::{ExecutionQuality, ReasonCount};

/// All of it; nothing where nothing happened.
pub(super) fn execution(execution: &ExecutionQuality) -> String {
    let funnel = &execution.funnel;
    if funnel.events == 0 && funnel.signals == 0 && funnel.transactions == 0 {
        return String::new();
    }
    let stopped: u64 = funnel.stopped.iter().map(|reason| reason.count).sum();
    let steps = [
        ("Signals of strategies", funnel.signals, 0, ""),
        ("needed no order", funnel.idle, 1, "rest"),
        ("asked for an order", funnel.transactions, 1, ""),
        ("stopped before the broker", stopped, 2, "lost"),
        ("Orders at the broker", funnel.orders, 2, ""),
        ("filled whole", funnel.filled, 3, "good"),
        ("filled in part", funnel.partly_filled, 3, "good"),
        ("not filled", funnel.unfilled, 3, "lost"),
        ("refused by the broker", funnel.rejected, 3, "lost"),
        ("other ends", funnel.other, 3, "lost"),
    ];
    let widest = funnel.signals.max(funnel.transactions).max(funnel.orders).max(1);
    let mut html = format!(
        "<p class=\"lead\">{} were shown to the strategies.</p>\n<div class=\"funnel\" role=\"list\">\n",
        plural(funnel.events, "event")
    );
    for (name, how_many, depth, class) in steps {
        if how_many == 0 && (class == "lost" || class == "rest" || name == "filled in part") {
            continue;
        }
        #[allow(clippy::cast_precision_loss, reason = "a width on the screen")]
        let width = how_many as f64 / widest as f64 * 100.0;
        let _ = writeln!(
            html,
            "<div role=\"listitem\" class=\"d{depth} {class}\"><span>{name}</span><b>{}</b><i><i style=\"width:{width:.2}%\"></i></i></div>",
            counted(how_many)
        );
    }
    html.push_str("</div>\n");
    html.push_str(&reasons("Why signals became no order", &funnel.stopped));
    html.push_str(&reasons("Why orders were not filled whole", &funnel.reasons));
    html + quality(execution).as_str()
}

fn reasons(title: &str, reasons: &[ReasonCount]) -> String {
    if reasons.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<HtmlCell>> = reasons
        .iter()
        .take(20)
        .map(|reason| {
            let code = if reason.code.is_empty() { "none given" } else { &reason.code };
            vec![
                HtmlCell::words(reason.outcome.as_str().replace('_', " ")),
                HtmlCell::words(code),
                HtmlCell::count(reason.count),
            ]
        })
        .collect();
    let more = cut(rows.len(), reasons.len(), "reasons", "stats.json");
    format!("<h3>{title}</h3>\n{}{more}", table(&["End", "Reason", ">How many"], &rows))
}

fn quality(execution: &ExecutionQuality) -> String {
    let (slippage, latency) = (&execution.slippage, &execution.latency);
    let bps = |value: Option<f64>| {
        let value = value.unwrap_or(f64::NAN);
        let text =
            if value.is_finite() { format!("{} bps", number(value, 2)) } else { NOT_DEFINED.to_owned() };
        HtmlCell::number(text, value)
    };
    let time = |value: Option<u64>| {
        HtmlCell::number(value.map_or(NOT_DEFINED.to_owned(), |us| span(Duration::from_micros(us))), f64::NAN)
    };
    let row = |name: &str, cell: HtmlCell| vec![HtmlCell::words(name), cell];
    let cost = slippage.money.unwrap_or(f64::NAN);
    let fills = [
        row("Shares filled of those ordered", share(execution.fill_ratio)),
        row("Price paid against price seen, mean", bps(slippage.mean_bps)),
        row("Half of the orders paid at most", bps(slippage.p50_bps)),
        row("95 of 100 paid at most", bps(slippage.p95_bps)),
        row("What it cost in all", HtmlCell::number(dollars(cost), cost)),
    ];
    let times = [
        row("Half of the orders within", time(latency.p50_us)),
        row("90 of 100 within", time(latency.p90_us)),
        row("99 of 100 within", time(latency.p99_us)),
        row("The longest", time(latency.max_us)),
    ];
    let card = |title: &str, rows: &[Vec<HtmlCell>]| {
        format!("<div class=\"card\"><h3>{title}</h3>{}</div>", table(&["Measure", ">Value"], rows))
    };
    let off = &execution.off_target;
    let targets = [
        row("Part of the time off target", share(off.time)),
        row("Shares off then, mean", shares_off(off)),
        row("Shares off, at the most", HtmlCell::number(off.worst_shares, off.worst_shares.to_f64())),
    ];
    let targets =
        if off.time.is_some() { card("Positions and their targets", &targets) } else { String::new() };
    format!(
        "<div class=\"cards\">{}{}{targets}</div>\n",
        card("Fills and their price", &fills),
        card("From decided to final", &times)
    )
}

/// `3 d 4 h`, `2 h 5 min`, `35 s`, `12.3 ms`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let both = |(more, name): (u64, &str), (less, fine): (u64, &str)| match less {
        0 => format!("{more} {name}"),
        _ => format!("{more} {name} {less} {fine}"),
    };
    match seconds {
        0 if time.subsec_millis() == 0 => format!("{} \u{b5}s", time.subsec_micros()),
        0 => format!("{} ms", number(time.as_secs_f64() * 1e3, 1)),
        1..60 => format!("{} s", number(time.as_secs_f64(), usize::from(time.subsec_millis() > 0))),
        60..3_600 => both((minutes, "min"), (seconds % 60, "s")),
        3_600..86_400 => both((hours, "h"), (minutes, "min")),
        _ => both((days, "d"), (hours, "h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_in_two_units_at_most() {
        for (micros, text) in [
            (250, "250 µs"),
            (12_300, "12.3 ms"),
            (35_000_000, "35 s"),
            (125_000_000, "2 min 5 s"),
            (120_000_000, "2 min"),
            (7_500_000_000, "2 h 5 min"),
            (273_600_000_000, "3 d 4 h"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), text);
        }
    }
}
