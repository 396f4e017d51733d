//! `bot strategy test` and `bot backtest` judge a data file in one way.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// One file, and how it is declared to both commands.
struct Case {
    name: &'static str,
    text: Vec<u8>,
    timeframe: Option<&'static str>,
    timezone: Option<&'static str>,
    /// Trades, which a manifest has to declare and the other command finds in the header.
    trades: bool,
    /// The rows are turned into Parquet first.
    parquet: bool,
    /// What both have to say: an exit code, then a count of events or what is wrong.
    verdict: &'static str,
}

impl Case {
    fn new(name: &'static str, text: impl Into<Vec<u8>>, verdict: &'static str) -> Self {
        Self {
            name,
            text: text.into(),
            timeframe: None,
            timezone: None,
            trades: false,
            parquet: false,
            verdict,
        }
    }

    /// Bars under the usual header.
    fn bars(name: &'static str, rows: &str, verdict: &'static str) -> Self {
        Self::new(name, format!("datetime,open,high,low,close,volume\n{rows}"), verdict)
    }

    fn timeframe(self, timeframe: &'static str) -> Self {
        Self { timeframe: Some(timeframe), ..self }
    }

    fn timezone(self, timezone: &'static str) -> Self {
        Self { timezone: Some(timezone), ..self }
    }

    fn trades(self) -> Self {
        Self { trades: true, ..self }
    }

    fn parquet(self) -> Self {
        Self { parquet: true, ..self }
    }

    #[track_caller]
    fn check(&self) {
        let place = TempDir::new().unwrap();
        let file = if self.parquet { "NVDA.parquet" } else { "NVDA.csv" };
        fs::write(place.path().join("NVDA.csv"), &self.text).unwrap();
        if self.parquet {
            let convert = ["data", "convert", "NVDA.csv", file, "--timeframe", "5min"];
            assert!(bot(place.path(), &convert).status.success(), "{}", self.name);
        }
        let kind = &file[5..];
        let mut manifest = format!("[data.nvda]\nkind = \"{kind}\"\npath = \"{file}\"\n");
        let mut flags = Vec::new();
        for (key, value) in [("timeframe", self.timeframe), ("timezone", self.timezone)] {
            if let Some(value) = value {
                writeln!(manifest, "{key} = \"{value}\"").unwrap();
                flags.extend([format!("--{key}"), value.to_owned()]);
            }
        }
        if self.trades {
            manifest += "event = \"trade\"\n";
        }
        manifest += "[[strategy]]\nname = \"hold\"\nkind = \"buy_and_hold\"\n";
        fs::write(place.path().join("run.toml"), manifest).unwrap();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let backtest = verdict(&bot(place.path(), &["backtest", "run.toml"]));
        let test = ["strategy", "test", "buy_and_hold", "--ticks", file];
        let trial = verdict(&bot(place.path(), &[&test[..], &flags].concat()));
        assert_eq!((backtest.as_str(), trial.as_str()), (self.verdict, self.verdict), "{}", self.name);
    }
}

fn bot(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bot")).args(arguments).current_dir(folder).output().unwrap()
}

/// The exit code, then how many events there were, or what is wrong.
fn verdict(output: &Output) -> String {
    let (said, told) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let code = output.status.code().unwrap();
    let lines = said.lines().chain(told.lines());
    let judged = lines.clone().find_map(|line| line.strip_prefix("bot: ")).map(str::to_owned);
    let events = lines.into_iter().find_map(|line| line.split_once(" events,").map(|(count, _)| count));
    format!("{code} {}", judged.unwrap_or_else(|| format!("{} events", events.unwrap_or("no"))))
}

/// Rows that stand so many minutes apart, all of them at 10 dollars.
fn rows(count: u32, minutes: u32) -> String {
    (0..count).fold(String::new(), |mut rows, row| {
        writeln!(rows, "{},10,10,10,10,1", 1_767_623_400_u64 + u64::from(row * minutes) * 60).unwrap();
        rows
    })
}

const ONE: &str = "2026-01-05 09:30:00,10,11,9,10.5,1\n";
const TWO: &str = "2026-01-05 09:31:00,10,11,9,10.5,1\n";

#[test]
fn a_bar_file_is_judged_alike_by_a_try_and_a_backtest() {
    let both = [ONE, TWO].concat();
    for case in [
        Case::bars("plain", &both, "0 2 events"),
        Case::bars("without a last line feed", both.trim_end(), "0 2 events"),
        Case::new(
            "byte order mark, CRLF, semicolons",
            "\u{feff}Time;O;H;L;C\r\n2026-01-05;1;1;1;1\r\n",
            "0 1 events",
        ),
        Case::bars("quoted cells", "\"2026-01-05 09:30:00\",\"10\",11,9,10.5,1\n", "0 1 events"),
        Case::bars("blank lines", &format!("\n{ONE}\n\n{TWO}  \n"), "0 2 events"),
        Case::bars("an empty volume", "2026-01-05 09:30:00,10,11,9,10.5,\n", "0 1 events"),
        Case::bars("a gap", &format!("{ONE}2026-01-05 10:31:00,10,11,9,10.5,1\n"), "0 2 events"),
        Case::bars(
            "close above high",
            "2026-01-05 09:30:00,1,1,1,2,5\n",
            "3 NVDA.csv:2: close must be within low 1 and high 1, was 2",
        ),
        Case::bars(
            "high below low",
            "2026-01-05 09:30:00,1,1,2,1,5\n",
            "3 NVDA.csv:2: high must be at least the low 2, was 1",
        ),
        Case::bars(
            "no number",
            "2026-01-05 09:30:00,1,x,1,1,5\n",
            "3 NVDA.csv:2: high must be a number, was \"x\"",
        ),
        Case::bars(
            "not finite",
            "2026-01-05 09:30:00,1,inf,1,1,5\n",
            "3 NVDA.csv:2: high must be finite, was inf",
        ),
        Case::bars(
            "price of 0",
            "2026-01-05 09:30:00,0,0,0,0,5\n",
            "3 NVDA.csv:2: open must be above 0, was 0",
        ),
        Case::bars(
            "volume is no number",
            "2026-01-05 09:30:00,1,1,1,1,many\n",
            "3 NVDA.csv:2: volume must be a number, was \"many\"",
        ),
        Case::bars(
            "volume below 0",
            "2026-01-05 09:30:00,1,1,1,1,-1\n",
            "3 NVDA.csv:2: volume must be 0 or more, was -1",
        ),
        Case::bars(
            "too many cells",
            "2026-01-05 09:30:00,1,1,1,1,1,1\n",
            "3 NVDA.csv:2: a row must have 6 cells, had 7",
        ),
        Case::bars(
            "a quote that does not end",
            "\"2026-01-05,1,1,1,1,1\n",
            "3 NVDA.csv:2: a quoted cell must end on its line, was \"2026-01-05,1,1,1,1,1\"",
        ),
        Case::bars(
            "out of order",
            &[TWO, ONE].concat(),
            "3 NVDA.csv:3: time must not be before 2026-01-05T14:31:00Z of the row before, was 2026-01-05T14:30:00Z",
        ),
        Case::bars(
            "twice",
            &[ONE, ONE].concat(),
            "3 NVDA.csv:3: a row must be there once, was there again at 2026-01-05T14:30:00Z",
        ),
        Case::bars(
            "twice, with other values",
            &format!("{ONE}2026-01-05 09:30:00,1,1,1,1,1\n"),
            "3 NVDA.csv:3: a time must be there once, was there again with other values at 2026-01-05T14:30:00Z",
        ),
        Case::bars(
            "a header once more",
            &format!("{ONE}datetime,open,high,low,close,volume\n"),
            "3 NVDA.csv:3: time must be YYYY-MM-DD HH:MM:SS, RFC 3339 or a Unix number from 1678 to 2261, was \"datetime\"",
        ),
        Case::new(
            "no close",
            "time,open,high,low\n2026-01-05,1,1,1\n",
            "3 NVDA.csv:1: columns must have \"close\" or \"c\" for close, were \"time,open,high,low\"",
        ),
        Case::new(
            "packed",
            b"\x1f\x8b\x08\0\0\0\0\0".to_vec(),
            "3 NVDA.csv:1: a file must be plain text, was gzip",
        ),
        Case::bars("a header alone", "", "0 0 events"),
    ] {
        case.check();
    }
}

#[test]
fn times_and_timeframes_are_judged_alike_by_a_try_and_a_backtest() {
    let leapt = "2026-03-08 02:30:00,1,1,1,1,1\n";
    let rule = "3 NVDA.csv:2: time must exist in America/New_York, where the clocks leap over it, was \"2026-03-08 02:30:00\"";
    for case in [
        Case::bars("an hour that is not there", leapt, rule),
        Case::bars("the same in UTC", leapt, "0 1 events").timezone("UTC"),
        Case::bars("an hour that is there twice", "2026-11-01 01:30:00,1,1,1,1,1\n2026-11-01T06:30:00Z,1,1,1,1,1\n",
            "0 2 events"),
        Case::bars("no offset, then one", "2026-01-05 09:30:00,1,1,1,1,1\n2026-01-05T14:31:00Z,1,1,1,1,1\n", "0 2 events"),
        Case::bars("the same by another clock", "2026-01-05 09:30:00,1,1,1,1,1\n2026-01-05T14:31:00Z,1,1,1,1,1\n",
            "0 2 events").timezone("Europe/London"),
        Case::bars("Unix numbers of four sizes", "1767623400,1,1,1,1,1\n1767623460000,1,1,1,1,1\n1767623520000000,1,1,1,1,1\n",
            "0 3 events"),
        Case::bars("no time", "noon,1,1,1,1,1\n",
            "3 NVDA.csv:2: time must be YYYY-MM-DD HH:MM:SS, RFC 3339 or a Unix number from 1678 to 2261, was \"noon\""),
        Case::bars("five minutes, said to be one", &rows(100, 5),
            "3 NVDA.csv: timeframe must be at least 5m where rows stand 5m apart, was 1m"),
        Case::bars("five minutes", &rows(100, 5), "0 100 events").timeframe("5min"),
        Case::bars("five minutes in Parquet", &rows(100, 5), "0 100 events").timeframe("5min").parquet(),
        Case::bars("five minutes in Parquet, said to be one", &rows(100, 5),
            "3 NVDA.parquet: timeframe must be at least 5m where rows stand 5m apart, was 1m").parquet(),
        Case::bars("minutes that make half hours", &rows(90, 1), "0 3 events").timeframe("30min"),
        Case::bars("seven minutes make no half hour", &rows(100, 7),
            "3 NVDA.csv: timeframe must be a multiple of the rows' step and at most 1d, was 30m where rows stand 7m apart")
            .timeframe("30min"),
        Case::new("trades", "time,price,size\n2026-01-05T14:30:00Z,5,1\n2026-01-05T14:30:00Z,5,1\n", "0 2 events").trades(),
        Case::new("a trade at 0", "time,price\n2026-01-05T14:30:00Z,0\n", "3 NVDA.csv:2: price must be above 0, was 0").trades(),
        Case::new("a trade without a number", "time,price\n2026-01-05T14:30:00Z,x\n",
            "3 NVDA.csv:2: price must be a number, was \"x\"").trades(),
        Case::new("trades out of order", "t,p\n2026-01-05T14:30:01Z,5\n2026-01-05T14:30:00Z,5\n",
            "3 NVDA.csv:3: time must not be before 2026-01-05T14:30:01Z of the row before, was 2026-01-05T14:30:00Z")
            .trades(),
    ] {
        case.check();
    }
}
