//! What a manifest may say of a backtest: data, terms, statistics, sweeps, overrides.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bot::broker::simulated::Fees;
use bot::clock::Timestamp;
use bot::data::RowKind;
use bot::data::spec::{Columns, OnBadRow, OnGap, Origin, Walk};
use bot::manifest::{DataKind, Document, Manifest, ManifestError, Purpose};
use insta::assert_snapshot;

use super::{bot, faults, stdout};

pub(super) const CROSS: &str = r#"
[broker]
kind = "simulated"
cash = "1000000"

[data.spy]
kind = "generator"
rows = 10

[data.nvda]
kind = "generator"
rows = 10

[data.news]
kind = "generator"
event = "number"

[[strategy]]
name = "cross"
kind = "ema_cross"
data = "nvda"
also = ["news", "spy"]
params = { fast = 10, slow = 20 }

[strategy.risk]
position_max = "100000"

[[strategy]]
name = "hold"
kind = "buy_and_hold"
"#;

pub(super) fn parse(text: &str) -> Manifest {
    Manifest::parse("run.toml", text).unwrap()
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// A folder with `text` as run.toml and empty files of these names beside it.
pub(super) fn folder(text: &str, files: &[&str]) -> (tempfile::TempDir, Document) {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "").unwrap();
    }
    std::fs::write(folder.path().join("run.toml"), text).unwrap();
    let document = Document::open(&folder.path().join("run.toml")).unwrap();
    (folder, document)
}

/// The faults without the folder, which has another name each time.
pub(super) fn shown(folder: &Path, faults: &impl ToString) -> String {
    faults.to_string().replace(&format!("{}/", folder.display()), "")
}

#[test]
fn a_file_of_bars_is_understood_in_full() {
    let manifest = parse(
        r#"
[data.nvda]
kind = "csv"
path = ["a.csv", "b/c.csv"]
symbol = "NVDA"
event = "bar"
timeframe = "5min"
timezone = "Europe/Berlin"
columns = { time = "datetime", close = "c" }
on_bad_row = "skip"
on_gap = "fill"
from = 2024-01-31
to = "2024-07-01T12:00:00Z"
save = "kept.parquet"
"#,
    );
    let spec = manifest.data[0].spec.clone().unwrap();
    let named = vec![("time".to_owned(), "datetime".to_owned()), ("close".to_owned(), "c".to_owned())];
    let columns = Columns { has_header: true, named };
    let paths = vec![PathBuf::from("a.csv"), PathBuf::from("b/c.csv")];
    let timezone = "Europe/Berlin".parse().unwrap();
    assert_eq!(spec.origin, Origin::Csv { paths, columns, timezone });
    assert_eq!((spec.name.as_str(), spec.symbol.as_str()), ("nvda", "NVDA"));
    assert_eq!(spec.row_kind, RowKind::Bar { span: Duration::from_mins(5) });
    assert_eq!((spec.on_bad_row, spec.on_gap), (OnBadRow::Skip, OnGap::Fill));
    assert_eq!(
        (spec.from, spec.to),
        (Some(time("2024-01-30T23:00:00Z")), Some(time("2024-07-01T12:00:00Z")))
    );
    assert_eq!(spec.save, Some("kept.parquet".into()));
}

#[test]
fn what_is_not_written_of_a_source_has_its_default() {
    let spec = |text: &str| parse(text).data[0].spec.clone().unwrap();
    let csv = spec("[data.nvda]\nkind = \"csv\"\npath = \"a.csv\"");
    let new_york = "America/New_York".parse().unwrap();
    let columns = Columns { has_header: true, named: Vec::new() };
    assert_eq!(csv.origin, Origin::Csv { paths: vec!["a.csv".into()], columns, timezone: new_york });
    assert_eq!((csv.symbol.as_str(), csv.row_kind), ("NVDA", RowKind::Bar { span: Duration::from_mins(1) }));
    assert_eq!((csv.on_bad_row, csv.on_gap, csv.save), (OnBadRow::Error, OnGap::Keep, None));

    let walk = spec("[data.x]\nkind = \"generator\"\nstart = \"2024-07-01\"\nsessions = \"always\"").origin;
    let start = time("2024-07-01T04:00:00Z");
    let expected =
        Walk { seed: 1, rows: 100_000, start, price: 100.0, volatility: 0.3, drift: 0.0, in_sessions: false };
    assert_eq!(walk, Origin::Generator(expected));

    let alpaca = spec("[data.spy]\nkind = \"alpaca\"\nfrom = \"2024-01-02\"\nto = \"2024-02-01\"").origin;
    let (cache, feed, adjustment) = ("data".into(), "sip".to_owned(), "split".to_owned());
    assert_eq!(alpaca, Origin::Alpaca { cache, feed, adjustment });

    let text = "[data.tape]\nkind = \"recorded\"\npath = \"rec\"\nsymbols = [\"SPY\", \"NVDA\"]";
    let recorded = parse(text).data.remove(0);
    let only = vec!["SPY".parse().unwrap(), "NVDA".parse().unwrap()];
    assert_eq!(recorded.spec.unwrap().origin, Origin::Recorded { path: "rec".into(), only: only.clone() });
    assert_eq!(recorded.symbols, only);

    let live = parse("[data.nvda]\nkind = \"redis\"").data.remove(0);
    assert_eq!((live.kind, live.spec, live.symbols[0].as_str()), (DataKind::Redis, None, "NVDA"));
}

#[test]
fn live_numbers_name_their_stream_and_nothing_else_does() {
    let text = "[data.news]\nkind = \"redis\"\nevent = \"number\"\nstream = \"scores\"";
    let news = parse(text).data.remove(0);
    assert_eq!((news.row_kind, news.stream.as_deref()), (RowKind::Number, Some("scores")));
    assert!(!news.is_priced());
    let half_hours = parse("[data.nvda]\nkind = \"redis\"\ntimeframe = \"30min\"").data.remove(0);
    assert_eq!(half_hours.row_kind, RowKind::Bar { span: Duration::from_mins(30) });
    assert_eq!((half_hours.stream.as_ref(), half_hours.is_priced()), (None, true));
    let text = r#"
[data.news]
kind = "redis"
event = "number"

[data.trades]
kind = "redis"
event = "trade"
stream = "scores"
timeframe = "1min"

[data.file]
kind = "csv"
path = "a.csv"
stream = "scores"

[data.odd]
kind = "redis"
event = "number"
stream = "two words"
"#;
    assert_snapshot!(faults(text), @r#"
5 faults in run.toml
run.toml:2:7: data.news.stream: must be written with event = "number", was missing
run.toml:9:10: data.trades.stream: is allowed with event = "number" only, was event = "trade"
run.toml:10:13: data.trades.timeframe: is allowed with event = "bar" only, was event = "trade"
run.toml:15:10: data.file.stream: is allowed with kind = "redis" only, was kind = "csv"
run.toml:20:10: data.odd.stream: name must be 1 to 200 bytes without spaces and braces, was "two words"
"#);
}

#[test]
fn columns_go_by_number_where_there_is_no_header() {
    let text = "[data.nvda]\nkind = \"csv\"\npath = \"a.csv\"\nheader = false\nevent = \"trade\"\n\
                columns = { time = 1, price = 3 }";
    let Origin::Csv { columns, .. } = parse(text).data.remove(0).spec.unwrap().origin else { panic!() };
    let named = vec![("time".to_owned(), "1".to_owned()), ("price".to_owned(), "3".to_owned())];
    assert_eq!(columns, Columns { has_header: false, named });
}

#[test]
fn sources_keep_the_order_of_the_text() {
    let manifest = parse(CROSS);
    let names: Vec<&str> = manifest.data.iter().map(|data| data.name.as_str()).collect();
    assert_eq!(names, ["spy", "nvda", "news"]);
}

#[test]
fn a_strategy_trades_what_its_main_sources_tell_prices_of() {
    let manifest = parse(CROSS);
    let sources = |index: usize| -> Vec<String> {
        manifest.sources_of(&manifest.strategies[index]).iter().map(|data| data.name.clone()).collect()
    };
    let symbols = |index: usize| -> Vec<String> {
        manifest.strategies[index].symbols_of(&manifest).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        (sources(0), sources(1)),
        (vec!["nvda".into(), "news".into(), "spy".into()], vec!["spy".into()])
    );
    assert_eq!((symbols(0), symbols(1)), (vec!["NVDA".into()], vec!["SPY".into()]));
    assert_eq!(manifest.strategies[0].risk.position_max, Some("100000".parse().unwrap()));
    let written = parse(
        "[data.spy]\nkind = \"generator\"\n[[strategy]]\nname = \"a\"\nkind = \"random\"\nsymbols = [\"F\"]",
    );
    assert_eq!(written.strategies[0].symbols_of(&written), ["F".parse().unwrap()]);
}

#[test]
fn weights_that_are_not_written_share_what_is_left_of_the_net_signal() {
    let strategy =
        |name: &str, more: &str| format!("[[strategy]]\nname = \"{name}\"\nkind = \"random\"\n{more}\n");
    let text = format!(
        "[portfolio]\ncombine = \"net\"\n{}{}{}",
        strategy("a", "weight = 0.5"),
        strategy("b", ""),
        strategy("c", "")
    );
    let weights: Vec<String> = parse(&text).net_weights().iter().map(ToString::to_string).collect();
    assert_eq!(weights, ["0.5", "0.25", "0.25"]);
    let text = format!(
        "[portfolio]\ncombine = \"net\"\n{}{}",
        strategy("a", "weight = 0.7"),
        strategy("b", "weight = \"40%\"")
    );
    assert_snapshot!(faults(&text), @r#"
1 fault in run.toml
run.toml:10:10: strategy.b.weight: weights must sum to at most 1, was "1.1" up to here
"#);
    assert_snapshot!(faults(&strategy("a", "weight = 1")), @r#"
1 fault in run.toml
run.toml:4:10: strategy.a.weight: is allowed with portfolio.combine = "net" only, was "separate"
"#);
}

#[test]
fn a_period_that_is_no_day_needs_its_number_in_a_year() {
    assert_snapshot!(faults("[statistics]\nperiod = \"1h\""), @r#"
1 fault in run.toml
run.toml:2:10: statistics.periods_per_year: must be written with period = "1h", was missing
"#);
}

#[test]
fn terms_belong_to_a_simulated_broker_and_alpaca_has_its_own() {
    assert_eq!(parse("").broker.model().fees, Fees::None);
    assert_eq!(parse("[broker]\nkind = \"alpaca\"").broker.model().fees, Fees::Alpaca);
    assert_eq!(parse("[broker]\nkind = \"simulated\"").broker.model().fees, Fees::None);
    assert_snapshot!(faults("[broker]\nfees = \"none\"\nfill = \"quote\""), @r#"
2 faults in run.toml
run.toml:2:8: broker.fees: is allowed with kind = "simulated" only, was kind = "alpaca"
run.toml:3:8: broker.fill: is allowed with kind = "simulated" only, was kind = "alpaca"
"#);
}

#[test]
fn a_backtest_needs_data_with_a_history_and_a_strategy() {
    let needs = |text: &str| {
        let (folder, document) = folder(text, &["there.csv"]);
        document.read(&[], Purpose::Any).unwrap();
        shown(folder.path(), &document.read(&[], Purpose::Backtest).unwrap_err())
    };
    assert_snapshot!(needs(""), @r#"
2 faults in run.toml
run.toml:1:1: strategy: at least one [[strategy]] must be written for a backtest, was none
run.toml:1:1: data: at least one [data.NAME] must be written for a backtest, was none
"#);
    assert_snapshot!(needs(r#"[broker]
kind = "simulated"
fill = "quote"

[data.nvda]
kind = "csv"
path = ["there.csv", "gone.csv"]

[data.tape]
kind = "recorded"
path = "there.csv"

[data.live]
kind = "redis"

[data.idle]
kind = "redis"

[[strategy]]
name = "a"
kind = "random"
also = ["live"]

[portfolio]
weights = "inverse_volatility"
"#), @r#"
4 faults in run.toml
run.toml:7:22: data.nvda.path: must be a file that exists, was "gone.csv"
run.toml:11:8: data.tape.path: must be a directory that exists, was "there.csv"
run.toml:14:8: data.live.kind: must have a history for a backtest, was "redis"
run.toml:25:11: portfolio.weights: must be "equal" or a table for a backtest, was "inverse_volatility"
"#);
}

#[test]
fn check_shows_data_and_sweep_and_says_whether_a_backtest_would_run() {
    let text = format!("{CROSS}\n[sweep]\n\"strategy.cross.params.fast\" = [5, 10]\n");
    let output = bot(&["check", "run.toml", "--set", "broker.fill=same_close"], Some(&text));
    assert_eq!(output.status.code(), Some(0));
    let shown = stdout(&output);
    let from = shown.find("[data.nvda]").unwrap();
    assert_snapshot!(&shown[from..], @r#"
[data.nvda]
kind       = generator
symbol     = NVDA              (default)
event      = bar               (default)
timeframe  = 1min              (default)
timezone   = America/New_York  (default)
start      = 2024-01-02        (default)
seed       = 1                 (default)
rows       = 10
price      = 100               (default)
volatility = 0.3               (default)
drift      = 0                 (default)
sessions   = regular           (default)
from       = the first         (default)
to         = the last          (default)
save       = off               (default)

[data.news]
kind       = generator
symbol     = NEWS              (default)
event      = number
timezone   = America/New_York  (default)
start      = 2024-01-02        (default)
seed       = 1                 (default)
rows       = 100000            (default)
price      = 100               (default)
volatility = 0.3               (default)
drift      = 0                 (default)
sessions   = regular           (default)
from       = the first         (default)
to         = the last          (default)
save       = off               (default)

[statistics]
benchmark        = none  (default)
period           = day   (default)
periods_per_year = 252   (default)
risk_free        = 0%    (default)
bootstrap        = 1000  (default)
seed             = 1     (default)

[[strategy]]
name              = cross
kind              = ema_cross
symbols           = all                   (default)
data              = nvda
also              = news, spy
weight            = equal                 (default)
capital           = off                   (default)
active            = true                  (default)
every             = event                 (default)
every.session     = regular               (default)
size.rule         = all                   (default)
size.mode         = target                (default)
retry.after       = 2s                    (default)
retry.times       = 3                     (default)
risk.position_max = 100000
params            = fast = 10, slow = 20

[[strategy]]
name              = hold
kind              = buy_and_hold
symbols           = all           (default)
data              = the first     (default)
also              = none          (default)
weight            = equal         (default)
capital           = off           (default)
active            = true          (default)
every             = event         (default)
every.session     = regular       (default)
size.rule         = all           (default)
size.mode         = target        (default)
retry.after       = 2s            (default)
retry.times       = 3             (default)
risk.position_max = off           (default)
params            = its own       (default)

[sweep]
combinations = 2
keys         = strategy.cross.params.fast (2)
where        = off                             (default)
objective    = sharpe                          (default)
walk_forward = off                             (default)

run       not ready
  run.toml:15:8: data.news.kind: numbers must come from "redis" for a live run, was "generator"
backtest  ready
sweep     ready
"#);
}

#[test]
fn check_says_what_a_backtest_lacks_and_takes_overrides() {
    let live = "[data.nvda]\nkind = \"csv\"\npath = \"gone.csv\"\n";
    let output = bot(&["check", "run.toml"], Some(live));
    assert_eq!(output.status.code(), Some(0));
    let shown = stdout(&output);
    assert_snapshot!(&shown[shown.find("not ready").unwrap()..], @r#"
not ready
  run.toml:1:1: strategy: at least one [[strategy]] must be written for a backtest, was none
  run.toml:3:8: data.nvda.path: must be a file that exists, was "gone.csv"
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
    let output = bot(&["check", "run.toml", "--set", "pool.workers=0"], Some(live));
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(stdout(&output), @r#"--set pool.workers=0: pool.workers: must be a whole number from 1 to 1024, was integer "0""#);
    let output = bot(&["check", "run.toml", "--set", "workers"], Some(live));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_missing_manifest_is_told_apart_from_a_wrong_one() {
    let error = Document::open(Path::new("nowhere/run.toml")).unwrap_err();
    assert!(matches!(error, ManifestError::NotFound(_)));
}
