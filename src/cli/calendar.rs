//! `bot calendar`.

use std::io::Write;

use chrono::{Datelike, Days, NaiveDate};

use super::Global;
use super::exit::{Exit, Failure};
use crate::calendar::{Session, date_of, sessions};
use crate::clock::{Clock, SystemClock};

/// Exchange sessions: date, open and close in New York
///
/// Days on which the exchange is closed are left out.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = "Examples:\n  bot calendar                       today and the next 30 days\n  \
    bot calendar --from 2026-11-23 --to 2026-11-27\n  \
    bot --json calendar | head -1      the next session, its times in UTC")]
pub struct Args {
    /// First day, default today
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Option<NaiveDate>,
    /// Last day, default 30 days after the first
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<NaiveDate>,
}

/// Runs the command.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { from, to } = args;
    let from = from.unwrap_or_else(|| date_of(SystemClock.now()));
    let to = to.or_else(|| from.checked_add_days(Days::new(30))).unwrap_or(from);
    if from > to {
        return Err(Failure::message(
            Exit::Usage,
            format!("--to must not be before --from {from}, was \"{to}\""),
        ));
    }
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    for session in sessions(from, to) {
        let line = if global.json { as_json(&session) } else { as_text(&session) };
        if written(writeln!(stdout, "{line}"))?.is_none() {
            return Ok(());
        }
    }
    written(stdout.flush())?;
    Ok(())
}

/// `None` when nobody reads any more: `| head` has what it wanted.
pub(super) fn written(result: std::io::Result<()>) -> Result<Option<()>, Failure> {
    match result {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(anyhow::Error::new(error).context("write to stdout").into()),
    }
}

fn as_text(session: &Session) -> String {
    let time = |time: crate::clock::Timestamp| time.to_new_york().format("%H:%M").to_string();
    format!("{} {} {}", session.date, time(session.open), time(session.close))
}

fn as_json(session: &Session) -> String {
    serde_json::json!({ "date": session.date.to_string(), "open": session.open, "close": session.close })
        .to_string()
}

pub(super) fn date(text: &str) -> Result<NaiveDate, String> {
    // Before 1998 the rules were others; times end in 2262.
    let known = |date: &NaiveDate| (1998..=2200).contains(&date.year());
    text.trim()
        .parse()
        .ok()
        .filter(known)
        .ok_or_else(|| format!("date must be YYYY-MM-DD from 1998-01-01 to 2200-12-31, was \"{text}\""))
}
