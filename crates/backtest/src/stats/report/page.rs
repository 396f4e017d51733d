//! The page as a whole: what stands where.

use std::fmt::Write;

use super::About;
use super::canvas::Ink;
use super::charts::{Figure, figures};
use super::html::{counted, day, dollars, escape, number, percent, plural, rounded_dollars, signed, tone};
use super::tables;
use crate::record::Record;
use crate::stats::{Ratio, Statistics};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");

/// The whole file.
pub(super) fn page(record: &Record, statistics: &Statistics, about: &About) -> String {
    let title = if about.title.is_empty() { &record.name } else { &about.title };
    let title = escape(if title.is_empty() { "Backtest" } else { title });
    let mut html = String::new();
    header(&mut html, &title, record, statistics);
    if record.interrupted {
        html.push_str(
            "<p class=\"notice warn\"><b>Interrupted.</b> The run was stopped before the end of its data; \
             everything below is about the part that was run.</p>\n",
        );
    }
    if let Some(at) = record.ruined_at {
        let _ = writeln!(
            html,
            "<p class=\"notice bad\"><b>Ruined.</b> On {} the equity was 0 or less: the run ended there.</p>",
            at.to_new_york().format("%Y-%m-%d %H:%M")
        );
    }
    if !record.margin_calls.is_empty() {
        let _ = writeln!(
            html,
            "<p class=\"notice warn\"><b>Margin call.</b> {} all positions were liquidated, because the equity was below the \
             maintenance margin; such orders have the reason <code>margin_call</code>.</p>",
            plural(record.margin_calls.len() as u64, "time")
        );
    }
    for row in statistics.strategies.iter().filter(|row| row.stopped) {
        let (name, failure) = (escape(&row.name), escape(row.last_failure.as_deref().unwrap_or("")));
        let _ = writeln!(
            html,
            "<p class=\"notice warn\"><b>{name} was stopped.</b> It failed {}, last with: {failure}</p>",
            plural(u64::from(row.failures), "time")
        );
    }
    html.push_str(&figures_of_merit(statistics));
    html.push_str(&integrity(record, statistics));
    html.push_str(&connector(record));
    html.push_str(&charts(record, statistics));
    html.push_str(&tables::all(record, statistics));
    html.push_str(&made(record, about));
    frame(&title, &html)
}

/// The file around the body of a page: its head, its style sheet, its script. The title is HTML.
pub(super) fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n<script>\n{SCRIPT}</script>\n\
         </body>\n</html>\n",
        inks()
    )
}

/// A class for each colour of the drawings, for lines and for areas.
fn inks() -> String {
    Ink::all().fold(String::new(), |mut css, (_, name)| {
        let _ = writeln!(
            css,
            ".s-{name}{{stroke:var(--{name})}}.f-{name}{{fill:var(--{name})}}.k-{name}{{--key:var(--{name})}}"
        );
        css
    })
}

fn header(html: &mut String, title: &str, record: &Record, statistics: &Statistics) {
    let _ = write!(
        html,
        "<header>\n<p class=\"kicker\">Backtest report</p>\n<h1>{title}</h1>\n<p class=\"period\">"
    );
    let mut facts = Vec::new();
    if let (Some(first), Some(last)) = (record.marks.first(), record.marks.last()) {
        facts.push(format!("{} to {}", day(first.at), day(last.at)));
    }
    facts.push(plural(record.end.events, "event"));
    if !record.symbols.is_empty() {
        facts.push(tables::listed(record.symbols.iter().map(ToString::to_string), 6));
    }
    if !record.strategies.is_empty() {
        facts.push(tables::listed(record.strategies.iter().map(|strategy| strategy.name.clone()), 4));
    }
    let benchmark = statistics.headline.benchmark.as_ref().or(record.benchmark.as_ref());
    facts.extend(benchmark.map(|name| format!("benchmark {name}")));
    let facts: Vec<String> = facts.iter().map(|fact| format!("<span>{}</span>", escape(fact))).collect();
    let _ = write!(html, "{}</p>\n</header>\n", facts.join(" "));
}

/// The big numbers.
fn figures_of_merit(statistics: &Statistics) -> String {
    let headline = &statistics.headline;
    let profit = headline.profit.to_f64();
    let gain = headline.total_return;
    let ratio = |stem: &str| statistics.ratio_of(stem);
    let value = |ratio: Option<&Ratio>| ratio.and_then(|ratio| ratio.value).unwrap_or(f64::NAN);
    let sharpe = ratio("sharpe");
    let fall = value(ratio("max_drawdown"));
    let win_rate = value(ratio("trade_win_rate"));

    let mut tiles = String::from("<section class=\"tiles\" aria-label=\"The run in a few figures\">\n");
    let mut tile = |label: &str, big: String, tone: &str, small: String| {
        let _ = writeln!(
            tiles,
            "<div><h2>{}</h2><p class=\"big {tone}\">{}</p><p class=\"small\">{}</p></div>",
            escape(label),
            escape(&big),
            escape(&small)
        );
    };
    tile(
        "Profit",
        signed(profit, &rounded_dollars(profit)),
        tone(profit),
        format!(
            "{} became {}",
            dollars(headline.start_equity.to_f64()),
            dollars(headline.final_equity.to_f64())
        ),
    );
    let gain = gain.unwrap_or(f64::NAN);
    let yearly = value(ratio("cagr"));
    let small = if yearly.is_finite() {
        format!("{} a year", signed(yearly, &percent(yearly)))
    } else {
        String::new()
    };
    tile("Return", signed(gain, &percent(gain)), tone(gain), small);
    let interval = sharpe.and_then(|sharpe| sharpe.interval).map_or(String::new(), |(low, high)| {
        format!("95% interval {} to {}", number(low, 2), number(high, 2))
    });
    tile(sharpe.map_or("Sharpe", |sharpe| &sharpe.label), number(value(sharpe), 2), "", interval);
    let any_event = headline.drawdown_any_event.filter(|fall| fall.is_finite());
    let small = any_event.map_or(String::new(), |fall| format!("{} between any two events", percent(fall)));
    tile("Max drawdown", percent(fall), tone(fall), small);
    let open = headline.open_trades;
    let small = if open > 0 { format!("and {} still open", counted(open)) } else { "round trips".to_owned() };
    tile("Trades", counted(headline.trades), "", small);
    tile("Win rate", percent(win_rate), "", "of closed round trips, after fees".to_owned());
    let fees = headline.fees.to_f64();
    tile(
        "Fees",
        rounded_dollars(fees),
        "",
        format!("{}, {}", plural(headline.orders, "order"), plural(headline.fills, "fill")),
    );
    tiles + "</section>\n"
}

fn integrity(record: &Record, statistics: &Statistics) -> String {
    let marks = counted(u64::try_from(record.marks.len()).unwrap_or(0));
    // Both say what does not add up; neither may be passed over.
    let mut breaches: Vec<&String> = statistics.integrity.breaches.iter().collect();
    breaches
        .extend(record.end.breaches.iter().filter(|breach| !statistics.integrity.breaches.contains(breach)));
    if record.marks.is_empty() && breaches.is_empty() && statistics.integrity.ok {
        return "<p class=\"notice warn\"><b>Nothing to check.</b> The run left no marks: it saw no data, or stopped \
                before the first period ended.</p>\n"
            .to_owned();
    }
    let list = |items: &[&String]| {
        let items = items.iter().map(|item| ["<li>", &escape(item), "</li>"].concat()).collect::<String>();
        if items.is_empty() { items } else { format!("<ul>{items}</ul>") }
    };
    if breaches.is_empty() && statistics.integrity.ok {
        let checks: Vec<&String> = statistics.integrity.checks.iter().collect();
        let more = if checks.is_empty() {
            String::new()
        } else {
            format!("<details><summary>What was checked</summary>{}</details>", list(&checks))
        };
        return format!(
            "<div class=\"notice ok\"><b>\u{2713} The books add up.</b> Equity equals cash plus positions at all {marks} marks.{more}</div>\n"
        );
    }
    let shown = &breaches[..breaches.len().min(20)];
    let more = breaches.len() - shown.len();
    let rest = if more > 0 { format!("<p>And {more} more, in stats.json.</p>") } else { String::new() };
    format!(
        "<div class=\"notice bad\" role=\"alert\"><b>\u{2717} The books do not add up.</b> Do not trust the figures on this page.{}{rest}</div>\n",
        list(shown)
    )
}

fn connector(record: &Record) -> String {
    if record.connector.is_empty() {
        return String::new();
    }
    let words: Vec<String> = record.connector.iter().map(|line| escape(line)).collect();
    format!("<p class=\"terms\"><b>How orders fill.</b> {}</p>\n", words.join(" "))
}

fn charts(record: &Record, statistics: &Statistics) -> String {
    let figures = figures(record, statistics);
    if figures.is_empty() {
        let why = "There are no charts: a line needs two marks, and the run left fewer.";
        return format!("<p class=\"note\">{why}</p>\n");
    }
    let mut html = String::from("<section class=\"charts\" aria-label=\"Charts\">\n");
    for figure in &figures {
        let Figure { title, says, measure, keys, is_half, drawings } = figure;
        let class = if *is_half { " class=\"half\"" } else { "" };
        let _ = write!(
            html,
            "<figure{class}>\n<figcaption><h2>{}</h2><p>{}</p></figcaption>\n",
            escape(title),
            escape(&says.replace("\u{2212}$", "\u{2212}\u{2060}$"))
        );
        let _ = write!(html, "<p class=\"keys\"><span class=\"measure\">{}</span>", escape(measure));
        for (ink, words) in keys {
            let name = Ink::all().find(|(one, _)| one == ink).map(|(_, name)| name).unwrap_or_default();
            let _ = write!(html, "<span class=\"key k-{name}\">{}</span>", escape(words));
        }
        let _ = write!(html, "</p>\n{drawings}</figure>\n");
    }
    html + "</section>\n"
}

fn made(record: &Record, about: &About) -> String {
    let mut html = String::from("<details class=\"made\"><summary>How this was made</summary>\n<dl>\n");
    let mut item = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(html, "<dt>{name}</dt><dd>{}</dd>", escape(value));
        }
    };
    item("Version", &about.version);
    item("Command", &about.command);
    item("Seed", &about.seed.map_or(String::new(), |seed| seed.to_string()));
    item(
        "Time taken",
        &about.took.map_or(String::new(), |took| format!("{} s", number(took.as_secs_f64(), 2))),
    );
    for (name, hash) in &about.data {
        item("Data", &format!("{name}: {hash}"));
    }
    for (name, account) in &record.sources {
        for note in &account.notes {
            item("Data note", &format!("{name}: {note}"));
        }
    }
    html.push_str("</dl>\n");
    if !about.manifest.is_empty() {
        let _ = write!(
            html,
            "<h3>The manifest, with all defaults</h3>\n<pre>{}</pre>\n",
            escape(&about.manifest)
        );
    }
    html + "<p class=\"note\">Times are New York's. Ratios are explained where the pointer rests on their name. \
            Colours are chosen to be told apart by colour-blind readers.</p>\n</details>\n"
}
