//! A manifest in which everything about a backtest is wrong.

use bot::manifest::Manifest;
use insta::assert_snapshot;

use super::faults;

const BROKEN: &str = r#"[data.nvda]
kind = "csv"
timeframe = "1 fortnight"
timezone = "America/NewYork"
columns = { tme = "datetime", close = 4, bid = "b" }
header = "yes"
on_bad_row = "ignore"
on_gap = "interpolate"
from = "2024-02-30"
save = "out.json"
seed = 5
pth = "NVDA.csv"

[data.Spy]
kind = "cvs"
path = 7

[data.long_name]
kind = "generator"
event = "quote"
timeframe = "5min"
rows = 0
price = -1
volatility = "high"
sessions = "night"
from = 2024-03-01
to = 2024-02-01
path = "x"

[data.tape]
kind = "recorded"
path = ["a", "b"]
event = "bar"
symbols = ["NVDA", "nvda"]

[data.hist]
kind = "alpaca"
event = "number"
feed = "sipp"
adjustment = "none"
cache = 1

[data.live]
kind = "redis"
from = 2024-01-01

[data.none]

[data]
other = 5

[broker]
kind = "simulated"
fill = "close"
fees = { bp = 5 }
slippage_bps = -1
latency = "soon"
volume_share = 0

[portfolio]
combine = "sum"

[[strategy]]
name = "cross"
kind = "ema_cross"
data = "nvdia"
also = ["nvda", "nvda", 5, "tap"]
weight = 2

[strategy.risk]
position_max = 100000
postion = 1

[statistics]
benchmark = "spx"
period = "week"
periods_per_year = 0
risk_free = "all"
bootstrap = -1
sed = 1
"#;

#[test]
fn all_faults_of_a_backtest_are_told_at_once() {
    assert_snapshot!(faults(BROKEN), @r#"
57 faults in run.toml
run.toml:1:7: data.nvda.path: must be written, was missing
run.toml:3:13: data.nvda.timeframe: must be a timeframe such as "1min", "5min", "1h" or "1day", was "1 fortnight"
run.toml:4:12: data.nvda.timezone: must be a time zone such as "America/New_York" or "UTC", was "America/NewYork", did you mean "America/New_York"?
run.toml:5:13: data.nvda.columns.tme: unknown key, did you mean "time"? allowed are time, open, high, low, close, volume
run.toml:5:39: data.nvda.columns.close: must be the name of a column, as the header says it, was integer "4"
run.toml:5:42: data.nvda.columns.bid: unknown key, allowed are time, open, high, low, close, volume
run.toml:6:10: data.nvda.header: must be true or false, was "yes"
run.toml:7:14: data.nvda.on_bad_row: must be one of "error", "skip", was "ignore"
run.toml:8:10: data.nvda.on_gap: must be one of "keep", "fill", was "interpolate"
run.toml:9:8: data.nvda.from: must be a date such as "2024-01-31" or a time such as "2024-01-31T14:30:00Z", was "2024-02-30"
run.toml:10:8: data.nvda.save: must be a file that ends in .csv or .parquet, was "out.json"
run.toml:11:8: data.nvda.seed: is allowed with kind = "generator" only, was kind = "csv"
run.toml:12:1: data.nvda.pth: unknown key, did you mean "path"? allowed are kind, path, symbol, symbols, event, timeframe, timezone, columns, header, on_bad_row, on_gap, from, to, save, cache, feed, adjustment, seed, rows, start, price, volatility, drift, sessions, stream
run.toml:14:7: data.Spy: name must be 1 to 40 of a-z, 0-9 and _, starting with a letter, was "Spy"
run.toml:15:8: data.Spy.kind: must be one of "csv", "parquet", "alpaca", "recorded", "generator", "redis", was "cvs"
run.toml:16:8: data.Spy.path: must be a file's name or a list of such, relative to the manifest, was integer "7"
run.toml:18:7: data.long_name.symbol: must be written since "long_name" is no symbol, was missing
run.toml:21:13: data.long_name.timeframe: is allowed with event = "bar" only, was event = "quote"
run.toml:22:8: data.long_name.rows: must be a whole number from 1 to 10000000000, was integer "0"
run.toml:23:9: data.long_name.price: must be dollars above 0, was integer "-1"
run.toml:24:14: data.long_name.volatility: must be a year's volatility from 0 to 100, was "high"
run.toml:25:12: data.long_name.sessions: must be one of "regular", "always", was "night"
run.toml:27:6: data.long_name.to: must be later than from, 2024-03-01T05:00:00Z, was "2024-02-01T05:00:00Z"
run.toml:28:8: data.long_name.path: is allowed with kind = "csv", "parquet", "recorded" only, was kind = "generator"
run.toml:32:8: data.tape.path: must be one directory with kind = "recorded", were several
run.toml:33:9: data.tape.event: is allowed with kind = "csv", "parquet", "alpaca", "generator", "redis" only, was kind = "recorded"
run.toml:34:20: data.tape.symbols: symbol must be written once, was "NVDA" before
run.toml:36:7: data.hist.from: must be written with kind = "alpaca", was missing
run.toml:36:7: data.hist.to: must be written with kind = "alpaca", was missing
run.toml:38:9: data.hist.event: must be one of "bar", "trade", "quote" with kind = "alpaca", was "number"
run.toml:39:8: data.hist.feed: must be one of "sip", "iex", "otc", "boats", was "sipp"
run.toml:40:14: data.hist.adjustment: must be one of "raw", "split", "dividend", "spin-off", "all", was "none"
run.toml:41:9: data.hist.cache: must be a folder's name, relative to the manifest, was integer "1"
run.toml:45:8: data.live.from: is allowed with kind = "csv", "parquet", "alpaca", "recorded", "generator" only, was kind = "redis"
run.toml:47:7: data.none.kind: must be written as one of "csv", "parquet", "alpaca", "recorded", "generator", "redis", was missing
run.toml:50:9: data.other: must be tables, each written as [data.NAME], was integer "5"
run.toml:54:8: broker.fill: must be one of "next_open", "same_close", "quote", was "close"
run.toml:55:8: broker.fees.bps: must be written, was missing
run.toml:55:10: broker.fees.bp: unknown key, did you mean "bps"? allowed are bps
run.toml:56:16: broker.slippage_bps: must be a number of basis points, 0 or more, was integer "-1"
run.toml:57:11: broker.latency: duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was "soon"
run.toml:58:16: broker.volume_share: must be above 0 to 1, as a fraction such as 0.1 or "10%", was integer "0"
run.toml:61:11: portfolio.combine: must be one of "separate", "net", was "sum"
run.toml:66:8: strategy.cross.data: must be the name of a data section, was "nvdia", did you mean "nvda"? allowed are nvda, Spy, long_name, tape, hist, live, none
run.toml:67:17: strategy.cross.also: data section must be named once, was "nvda" before
run.toml:67:25: strategy.cross.also: must be the name of a data section, was integer "5"
run.toml:67:28: strategy.cross.also: must be the name of a data section, was "tap", did you mean "tape"? allowed are nvda, Spy, long_name, tape, hist, live, none
run.toml:68:10: strategy.cross.weight: must be a weight from 0 to 1, such as 0.6 or "60%", was integer "2"
run.toml:68:10: strategy.cross.weight: is allowed with portfolio.combine = "net" only, was "separate"
run.toml:71:16: strategy.cross.risk.position_max: must be dollars above 0, written as a string such as "100000", was integer "100000"
run.toml:72:1: strategy.cross.risk.postion: unknown key, allowed are position_max
run.toml:75:13: statistics.benchmark: must be the name of a data section, was "spx", did you mean "Spy"? allowed are nvda, Spy, long_name, tape, hist, live, none
run.toml:76:10: statistics.period: duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was "week"
run.toml:77:20: statistics.periods_per_year: must be a whole number from 1 to 31536000, was integer "0"
run.toml:78:13: statistics.risk_free: must be a year's return as a fraction such as 0.03 or "3%", was "all"
run.toml:79:13: statistics.bootstrap: must be a whole number from 0 to 1000000, was integer "-1"
run.toml:80:1: statistics.sed: unknown key, did you mean "seed"? allowed are benchmark, period, periods_per_year, risk_free, bootstrap, seed
"#);
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, b"name = \"a\"\n# \xff").unwrap();
    let error = Manifest::read(&path).unwrap_err().to_string();
    assert!(error.ends_with("run.toml:2:3: must be UTF-8, was the byte \"0xff\""), "{error}");

    std::fs::write(&path, vec![b'\n'; 1 << 21]).unwrap();
    assert!(Manifest::read(&path).unwrap_err().to_string().starts_with("read manifest"));
}
