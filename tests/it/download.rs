//! Alpaca's history over real HTTP: every row once, through kills and faults, and what is missing is said.

mod odd;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bot::broker::simulated::{self, PriceModel};
use bot::calendar;
use bot::clock::{Clock, ManualClock, SystemClock, Timestamp};
use bot::data::{Chunk, DataError, OnBadRow, OnGap, Origin, RowKind, Spec};
use bot::download::{self, Access, DownloadError, DownloadSeries, Fetched};
use bot::exchange::{Config, Exchange, RequestLimit, Running};
use bot::market::Bar;
use bot::units::Price;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::redis_server::wait_until;
use crate::test_bed::{Bot, SECRET, exits, said, summary};

const LONG: Duration = Duration::from_mins(1);
const MINUTE: Duration = Duration::from_mins(1);

/// An exchange whose past is known, and a directory of one's own.
struct Stage {
    exchange: Option<Running>,
    address: String,
    directory: TempDir,
}

impl Stage {
    fn open(bars: &[Bar]) -> Self {
        Self::with(bars, Arc::new(SystemClock), |_| ())
    }

    fn with(bars: &[Bar], clock: Arc<dyn Clock>, change: impl FnOnce(&mut Config)) -> Self {
        let mut market = simulated::MarketConfig::new("NVDA".parse().unwrap(), Price::whole(100));
        market.symbols.push(("SPY".parse().unwrap(), Price::whole(600)));
        market.prices = PriceModel::Replay { bars: bars.to_vec(), speed: 1.0 };
        let mut config = Config::new(market);
        change(&mut config);
        let exchange = Exchange::start(config, clock).unwrap();
        let address = exchange.url();
        Self { exchange: Some(exchange), address, directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn requests(&self) -> u64 {
        self.exchange.as_ref().unwrap().counts().requests
    }

    /// `bot data download` of the first two months of 2026 into a directory of this name.
    fn command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = bot(self.directory.path());
        command.env("APCA_API_DATA_URL", &self.address);
        command.env("APCA_API_KEY_ID", "key").env("APCA_API_SECRET_KEY", SECRET);
        command.args(["data", "download", "--symbol", "NVDA", "--from", "2026-01-01", "--to", "2026-03-01"]);
        command.args(["--json", "--out", out]).args(more);
        command
    }

    fn download(&self, out: &str, more: &[&str]) -> Output {
        Bot::start(self.command(out, more)).end()
    }
}

fn bot(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
    command
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A bar for every minute of every session in the first two months of 2026, but for those that `skip` names by date and minute.
fn two_months(skip: impl Fn(&str, u32) -> bool) -> Vec<Bar> {
    let (first, last) = ("2026-01-01".parse().unwrap(), "2026-02-28".parse().unwrap());
    let mut bars = Vec::new();
    for session in calendar::sessions(first, last) {
        let minutes = u32::try_from(session.close.since(session.open).as_secs() / 60).unwrap();
        for minute in (0..minutes).filter(|minute| !skip(&session.date.to_string(), *minute)) {
            let step = f64::from(u32::try_from(bars.len()).unwrap() % 1_000) / 100.0;
            let open = 100.0 + step;
            bars.push(Bar {
                at: session.open + MINUTE * minute,
                open,
                high: open + 0.5,
                low: open - 0.25,
                close: open + 0.25,
                volume: 400.0 + f64::from(minute),
            });
        }
    }
    bars
}

fn all_bars() -> Vec<Bar> {
    two_months(|_, _| false)
}

/// The files below a directory by their relative names; locks and the like are left out.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != ".lock" {
                // A temporary file may have got its name meanwhile.
                let Ok(bytes) = std::fs::read(&path) else { continue };
                found.insert(path.strip_prefix(directory).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

fn complete(directory: &Path) -> usize {
    files(directory).keys().filter(|path| path.extension().is_some_and(|ending| ending == "csv")).count()
}

fn lines(files: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<String> {
    files
        .values()
        .flat_map(|bytes| {
            String::from_utf8(bytes.clone()).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn pages_put_together_are_every_bar_once() {
    let bars = all_bars();
    let stage = Stage::open(&bars);
    let output = stage.download("out", &[]);
    exits(&output, 0);
    let files = files(&stage.path("out"));
    assert_eq!(files.len(), 39, "one for each session");
    let expected: Vec<String> = bars
        .iter()
        .map(|bar| format!("{},{},{},{},{},{}", bar.at, bar.open, bar.high, bar.low, bar.close, bar.volume))
        .collect();
    let found = lines(&files);
    let odd = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!((odd, found.len()), (None, expected.len()));
    let said = summary(&output);
    let nvda = &said["symbols"][0];
    assert_eq!(said["complete"], true);
    assert_eq!((&nvda["rows"], &nvda["bars_missing"]), (&json!(bars.len()), &json!(0)));
    assert_eq!(
        nvda["download"],
        json!({"files_kept": 0, "files_written": 39, "rows_written": bars.len(), "requests": 2})
    );
    // What is there is not asked for again.
    let asked = stage.requests();
    let again = stage.download("out", &[]);
    exits(&again, 0);
    assert_eq!(
        (stage.requests(), &summary(&again)["symbols"][0]["download"]["files_kept"]),
        (asked, &json!(39))
    );
}

#[test]
fn a_download_that_was_killed_goes_on_and_ends_with_the_same_bytes() {
    let slow = |config: &mut Config| config.latency = Duration::from_millis(150);
    let stage = Stage::with(&all_bars(), Arc::new(SystemClock), slow);
    let trades = ["--event", "trade"];
    exits(&stage.download("whole", &trades), 0);
    let whole = files(&stage.path("whole"));
    assert_eq!(lines(&whole).len(), 4 * all_bars().len());
    for kill_after in [1, 12, 30] {
        let out = format!("killed-{kill_after}");
        let begun = Bot::start(stage.command(&out, &trades));
        let enough = wait_until(LONG, || (complete(&stage.path(&out)) >= kill_after).then_some(()));
        begun.signal("KILL");
        assert!(enough.is_some() && begun.end().status.code().is_none(), "killed in the middle");
        let there = files(&stage.path(&out));
        let folder = stage.path(&out);
        let inode = |path: &PathBuf| std::fs::metadata(folder.join(path)).unwrap().ino();
        let kept: Vec<_> = there.keys().filter(|path| whole.contains_key(*path)).collect();
        assert!(kept.len() >= kill_after && kept.len() < whole.len(), "{}", kept.len());
        for path in &kept {
            assert_eq!(there[*path], whole[*path], "{} is whole", path.display());
        }
        let inodes: Vec<u64> = kept.iter().map(|path| inode(path)).collect();
        let output = stage.download(&out, &trades);
        exits(&output, 0);
        assert_eq!(summary(&output)["symbols"][0]["download"]["files_kept"], kept.len());
        assert_eq!(files(&folder), whole, "byte for byte, and nothing else");
        assert_eq!(kept.iter().map(|path| inode(path)).collect::<Vec<_>>(), inodes, "not written again");
    }
}

#[test]
fn a_download_that_is_interrupted_says_how_to_go_on() {
    let slow = |config: &mut Config| config.latency = Duration::from_millis(200);
    let stage = Stage::with(&all_bars(), Arc::new(SystemClock), slow);
    let begun = Bot::start(stage.command("out", &["--event", "quote"]));
    assert!(wait_until(LONG, || (complete(&stage.path("out")) >= 1).then_some(())).is_some());
    begun.signal("INT");
    let output = begun.end();
    exits(&output, 0);
    assert!(said(&output).contains("the same command goes on from here"), "{}", said(&output));
    let told = summary(&output);
    assert_eq!((&told["complete"], &told["symbols"][0]["download"]), (&json!(false), &Json::Null));
    let there = files(&stage.path("out"));
    assert!(there.keys().all(|path| path.extension().unwrap() == "csv"), "no leftovers: {:?}", there.keys());
    assert_eq!(told["symbols"][0]["files"]["complete"], there.len());
    assert_eq!(told["symbols"][0]["files"]["absent"], 39 - there.len());
}

#[test]
fn gaps_are_counted_and_the_longest_are_named() {
    let skip = |date: &str, minute: u32| match date {
        "2026-01-09" => true,
        "2026-01-12" => (100..131).contains(&minute),
        "2026-02-02" => minute == 0 || minute == 389,
        _ => false,
    };
    let stage = Stage::open(&two_months(skip));
    let output = stage.download("out", &[]);
    exits(&output, 0);
    let told = summary(&output)["symbols"][0].clone();
    assert_eq!((&told["sessions"], &told["sessions_without_rows"]), (&json!(39), &json!(["2026-01-09"])));
    assert_eq!((&told["bars_expected"], &told["bars_missing"]), (&json!(38 * 390), &json!(33)));
    assert_eq!(
        told["longest_gaps"][0],
        json!({"from": "2026-01-12T16:10:00Z", "to": "2026-01-12T16:40:00Z", "bars": 31})
    );
    assert_eq!(
        (&told["first"], &told["last"]),
        (&json!("2026-01-02T14:30:00Z"), &json!("2026-02-27T20:59:00Z"))
    );
    let mut command = stage.command("out", &[]);
    command.env_remove("APCA_API_KEY_ID");
    let args: Vec<_> = command.get_args().filter(|word| *word != "--json").map(ToOwned::to_owned).collect();
    let output = Bot::start({
        let mut plain = bot(stage.directory.path());
        plain.args(args);
        plain
    })
    .end();
    exits(&output, 0);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "NVDA  1min bars, sip, split, 2026-01-01 to before 2026-03-01\n  \
         in        out/NVDA/1min-sip-split\n  \
         rows      14787, 2026-01-02 09:30:00 -05:00 to 2026-02-27 15:59:00 -05:00\n  \
         files     39 complete; 0 written now with 0 rows, in 0 requests\n  \
         sessions  39, 1 without any row: 2026-01-09\n  \
         missing   33 of 14820 bars in those sessions (0.22 %); no bar where nothing was traded is normal\n  \
         longest   2026-01-12 11:10 to 11:40 (31 bars), 2026-02-02 09:30, 2026-02-02 15:59\n"
    );
}

#[test]
fn without_keys_or_without_an_answer_the_exit_code_says_so() {
    let closed = |config: &mut Config| config.key = Some("another".to_owned());
    let stage = Stage::with(&all_bars(), Arc::new(SystemClock), closed);
    let mut keyless = stage.command("out", &[]);
    keyless.env_remove("APCA_API_KEY_ID");
    let output = Bot::start(keyless).end();
    exits(&output, 6);
    assert!(said(&output).contains("APCA_API_KEY_ID was not set"), "{}", said(&output));
    assert_eq!(stage.requests(), 0);
    let refused = stage.download("out", &["-vv"]);
    exits(&refused, 6);
    let mut nowhere = stage.command("out", &["-vv"]);
    nowhere.env("APCA_API_DATA_URL", "http://127.0.0.1:9");
    let unreachable = Bot::start(nowhere).end();
    exits(&unreachable, 5);
    for output in [&refused, &unreachable] {
        assert!(!said(output).contains(SECRET), "{}", said(output));
    }
    for (arguments, text) in [
        (["--feed", "../x"], "feed must be iex, sip, otc or boats"),
        (["--adjustment", "some"], "adjustment must be raw, split"),
        (["--timeframe", "90s"], "timeframe must be 1min to 59min"),
        (["--timeframe", "soon"], "timeframe must be 1min to 59min"),
    ] {
        let output = stage.download("out", &arguments);
        exits(&output, 2);
        assert!(said(&output).contains(text), "{}", said(&output));
    }
}

#[test]
fn the_brokers_request_limit_is_waited_for() {
    let tight = |config: &mut Config| {
        config.limit = Some(RequestLimit { requests: 3.try_into().unwrap(), span: Duration::from_secs(1) });
    };
    let stage = Stage::with(&all_bars(), Arc::new(SystemClock), tight);
    let output = stage.download("out", &["--event", "trade", "--rate-limit", "off"]);
    exits(&output, 0);
    assert_eq!(lines(&files(&stage.path("out"))).len(), 4 * all_bars().len());
}

/// A download within this process, at the time of a clock that stands still.
fn fetch(
    stage: &Stage,
    clock: &Arc<ManualClock>,
    row_kind: RowKind,
    symbol: &str,
    days: (&str, &str),
) -> (DownloadSeries, Result<Fetched, DownloadError>) {
    let series =
        DownloadSeries::new(&stage.path("cache"), symbol.parse().unwrap(), row_kind, "iex", "raw").unwrap();
    let env = |name: &str| match name {
        "APCA_API_DATA_URL" => Some(stage.address.clone()),
        "APCA_API_KEY_ID" | "APCA_API_SECRET_KEY" => Some("word".to_owned()),
        _ => None,
    };
    let mut access = Access::new(&env, None, Arc::clone(clock) as Arc<dyn Clock>);
    let days = (days.0.parse().unwrap(), days.1.parse().unwrap());
    let fetched = download::fetch(&series, days, &mut access, &|| false, &mut |_| ());
    (series, fetched)
}

#[test]
fn a_day_that_is_not_over_is_never_complete() {
    let time = |text| Timestamp::parse_rfc3339(text).unwrap();
    let clock = Arc::new(ManualClock::new(time("2026-11-20T15:30:30Z")));
    let stage = Stage::with(&all_bars(), Arc::clone(&clock) as Arc<dyn Clock>, |_| ());
    let bars = RowKind::Bar { span: MINUTE };
    let days = ("2026-11-18", "2026-11-21");
    let (series, fetched) = fetch(&stage, &clock, bars, "SPY", days);
    assert_eq!(fetched.unwrap().written, 3);
    let names =
        || files(series.directory()).keys().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(names(), ["2026-11-18.csv", "2026-11-19.csv", "2026-11-20.unfinished.csv"]);
    let text =
        String::from_utf8(files(series.directory())[Path::new("2026-11-20.unfinished.csv")].clone()).unwrap();
    assert!(text.lines().last().unwrap().starts_with("2026-11-20T15:29:00Z"), "the growing bar is left out");
    let (first, to) = (days.0.parse().unwrap(), days.1.parse().unwrap());
    let report = download::report(&series, first, to, clock.now()).unwrap();
    assert_eq!((report.complete, report.unfinished, report.expected, report.missing), (2, 1, 840, 0));
    clock.set(time("2026-11-21T05:10:00Z"));
    assert_eq!(fetch(&stage, &clock, bars, "SPY", days).1.unwrap().written, 1);
    assert!(names().contains(&"2026-11-20.unfinished.csv".to_owned()), "delayed data may still come");
    clock.set(time("2026-11-21T05:16:00Z"));
    let fetched = fetch(&stage, &clock, bars, "SPY", days).1.unwrap();
    assert_eq!((fetched.kept, fetched.written), (2, 1));
    assert_eq!(names(), ["2026-11-18.csv", "2026-11-19.csv", "2026-11-20.csv"]);
}

#[test]
fn daily_bars_are_kept_by_month_and_counted_by_day() {
    let clock = Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-11-20T15:30:30Z").unwrap()));
    let stage = Stage::with(&all_bars(), Arc::clone(&clock) as Arc<dyn Clock>, |_| ());
    let daily = RowKind::Bar { span: Duration::from_hours(24) };
    let days = ("2026-01-15", "2026-02-03");
    let (series, fetched) = fetch(&stage, &clock, daily, "NVDA", days);
    assert_eq!(fetched.unwrap().written, 2);
    let report =
        download::report(&series, days.0.parse().unwrap(), days.1.parse().unwrap(), clock.now()).unwrap();
    assert_eq!((report.rows, report.sessions, report.missing), (12, 12, 0));
    assert_eq!(report.first.unwrap().to_string(), "2026-01-15T05:00:00Z");
}

#[test]
fn two_downloads_into_one_directory_take_turns() {
    let slow = |config: &mut Config| config.latency = Duration::from_millis(100);
    let stage = Stage::with(&all_bars(), Arc::new(SystemClock), slow);
    let both = [(); 2].map(|()| Bot::start(stage.command("out", &[])));
    for output in both.map(Bot::end) {
        exits(&output, 0);
    }
    assert_eq!(lines(&files(&stage.path("out"))).len(), all_bars().len());
    assert_eq!(stage.requests(), 2, "the second one found everything there");
}

/// The rows that a manifest's source gives, by their times.
fn stream(spec: &Spec, env: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Timestamp>, DataError> {
    let mut access = Access::new(env, None, Arc::new(SystemClock));
    let mut source = download::open_with(spec, &mut access, &|| false)?;
    let mut times = Vec::new();
    while let Some(chunk) = source.next_chunk()? {
        let Chunk::Rows { rows, .. } = &*chunk else { panic!("one symbol, one shape") };
        times.extend(rows.iter().map(|row| row.at));
    }
    Ok(times)
}

#[test]
fn a_source_downloads_what_is_missing_and_then_needs_neither_keys_nor_network() {
    let stage = Stage::open(&two_months(|date, _| date == "2026-01-07"));
    let (from, to) = ("2026-01-05T14:41:00Z", "2026-01-08T14:41:00Z");
    let time = |text| Timestamp::parse_rfc3339(text).unwrap();
    let (cache, feed, adjustment) = (stage.path("cache"), "iex".to_owned(), "raw".to_owned());
    let mut spec = Spec {
        name: "nvda".to_owned(),
        origin: Origin::Alpaca { cache, feed, adjustment },
        symbol: "NVDA".parse().unwrap(),
        row_kind: RowKind::Bar { span: MINUTE },
        from: Some(time(from)),
        to: Some(time(to)),
        on_bad_row: OnBadRow::Error,
        on_gap: OnGap::Keep,
        save: None,
    };
    let nothing = |_: &str| None;
    let error = stream(&spec, &nothing).unwrap_err().to_string();
    assert!(error.contains("none was set"), "{error}");
    let env = |name: &str| match name {
        "APCA_API_DATA_URL" => Some(stage.address.clone()),
        "APCA_API_KEY_ID" | "APCA_API_SECRET_KEY" => Some("word".to_owned()),
        _ => None,
    };
    let rows = stream(&spec, &env).unwrap();
    assert_eq!((rows.len(), stage.requests()), (780, 1), "the day without a bar is no fault");
    let (first, last) = (rows[0].to_string(), rows[779].to_string());
    assert_eq!((first.as_str(), last.as_str()), ("2026-01-05T14:40:00Z", "2026-01-08T14:39:00Z"));
    assert_eq!(stream(&spec, &nothing).unwrap(), rows);
    for (row_kind, count) in [(RowKind::Trade, 3_120), (RowKind::Quote, 3_120)] {
        spec.row_kind = row_kind;
        assert_eq!(stream(&spec, &env).unwrap().len(), count);
        assert_eq!(stream(&spec, &nothing).unwrap().len(), count);
    }
    spec.from = None;
    let error = stream(&spec, &env).unwrap_err().to_string();
    assert_eq!(error, "data \"nvda\": from must be given where kind is alpaca");
}
