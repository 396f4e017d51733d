//! What a manifest may say of instruments, and what each command refuses of it.

use super::{Manifest, faults, stdout};
use crate::manifest::commands::{bot, folder, said};
use bot::instrument::{FRACTION, Instrument, TickSize};
use insta::assert_snapshot;

const STRATEGY: &str = "[data.nvda]\nkind = \"csv\"\npath = \"nvda.csv\"\n\
    [[strategy]]\nname = \"a\"\nkind = \"buy_and_hold\"\nsize = { rule = \"$100\" }\n";

#[test]
fn what_is_written_of_an_instrument_is_understood_and_the_rest_follows_from_its_kind() {
    let text = "[instrument.NVDA]\nfractions = true\nnotional_min = \"1\"\nshorting = false\n\
        [instrument.\"BTC/USD\"]\nlot = 0.001\ntick = 1e-2\ncurrency = \"EUR\"\ncalendar = \"nyse\"\n";
    let manifest = Manifest::parse("run.toml", text).unwrap();
    let of = |symbol: &str| manifest.instruments().of(symbol.parse().unwrap());
    let (nvda, btc, spy) = (of("NVDA"), of("BTC/USD"), of("SPY"));
    assert_eq!((nvda.lot, nvda.notional_min.to_string(), nvda.shorting), (FRACTION, "1".into(), false));
    assert_eq!((btc.lot.to_string(), btc.currency.to_string()), ("0.001".into(), "EUR".into()));
    assert_eq!(btc.tick, TickSize::Fixed("0.01".parse().unwrap()));
    assert_eq!(btc.calendar.name(), "nyse");
    assert_eq!(spy, Instrument::of(spy.symbol));
}

#[test]
fn what_cannot_be_of_an_instrument_is_a_fault_with_its_line_and_what_is_allowed() {
    let text = "[instrument.NVDA]\nlot = 0\nfractions = true\ntick = 0.0000000001\nnotional_min = 1\n\
        currency = \"dollars\"\nshorting = 1\ncalendar = \"lse\"\nlots = 1\n\
        [instrument.nvda]\n[instrument.\"1NVDA\"]\nlot = -1\n";
    assert_snapshot!(faults(text), @r#"
11 faults in run.toml
run.toml:2:7: instrument.NVDA.lot: must be a number above 0 with at most 9 decimals, was integer "0"
run.toml:2:7: instrument.NVDA.lot: must not be written beside fractions, was integer "0"
run.toml:4:8: instrument.NVDA.tick: must be a number above 0 with at most 9 decimals, was float "0.0000000001"
run.toml:5:16: instrument.NVDA.notional_min: must be dollars above 0, written as a string such as "100000", was integer "1"
run.toml:6:12: instrument.NVDA.currency: must be 3 to 5 capital letters such as "USD", was "dollars"
run.toml:7:12: instrument.NVDA.shorting: must be true or false, was integer "1"
run.toml:8:12: instrument.NVDA.calendar: must be one of "nyse", "always", was "lse"
run.toml:9:1: instrument.NVDA.lots: unknown key, did you mean "lot"? allowed are fractions, lot, tick, notional_min, currency, shorting, calendar
run.toml:10:13: instrument.nvda: symbol must be written once, was "NVDA" before
run.toml:11:13: instrument.1NVDA: symbol must be 1 to 15 letters, digits, dots, slashes or hyphens, starting with a letter, was "1NVDA"
run.toml:12:7: instrument.1NVDA.lot: must be a number above 0 with at most 9 decimals, was integer "-1"
"#);
}

#[test]
fn fractions_that_a_manifest_allows_are_ready_for_every_command_and_described() {
    let text = format!("[instrument.NVDA]\nfractions = true\n{STRATEGY}");
    let folder = folder(&text, &[]);
    let shown = stdout(&bot(folder.path(), &["check", "run.toml"]));
    let from = shown.find("[instrument.NVDA]").unwrap();
    assert_snapshot!(&shown[from..from + shown[from..].find("\n\n").unwrap()], @r#"
[instrument.NVDA]
lot          = 0.000000001
tick         = 0.01 from a dollar up, 0.0001 below it  (default)
notional_min = off                                     (default)
currency     = USD                                     (default)
shorting     = true                                    (default)
calendar     = nyse                                    (default)
"#);
    assert_snapshot!(said(&text, &[], 0), @r#"
run       ready
backtest  ready
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
    assert_snapshot!(said(STRATEGY, &[], 0), @r#"
run       ready
  run.toml:7:17: strategy.a.size.rule: can never trade: must be at least one share at 150 dollars, was "$100"
backtest  ready
  run.toml:7:17: strategy.a.size.rule: can never trade: must be at least one share at 150 dollars, was "$100"
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
}

#[test]
fn an_instrument_that_the_run_does_not_trade_is_refused_by_each_command() {
    assert_snapshot!(said(&format!("{STRATEGY}[instrument.NVDIA]\nlot = 1\n"), &[], 3), @r#"
run       not ready
  run.toml:8:1: instrument.NVDIA: must be of a symbol that the run trades, was "NVDIA", did you mean "NVDA"? allowed are NVDA
backtest  not ready
  run.toml:8:1: instrument.NVDIA: must be of a symbol that the run trades, was "NVDIA", did you mean "NVDA"? allowed are NVDA
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
}

#[test]
fn what_a_command_cannot_honour_of_an_instrument_is_refused_there() {
    let coins = "[broker]\nfees = \"alpaca\"\nkind = \"simulated\"\n[data.btc]\nkind = \"generator\"\nsymbol = \"BTC/USD\"\n\
        [data.eth]\nkind = \"generator\"\nsymbol = \"ETH/BTC\"\n\
        [[strategy]]\nname = \"a\"\nkind = \"buy_and_hold\"\nsymbols = [\"BTC/USD\", \"ETH/BTC\"]\nalso = [\"eth\"]\n\
        [instrument.\"BTC/USD\"]\ncalendar = \"nyse\"\n";
    assert_snapshot!(said(coins, &[], 3), @r#"
run       not ready
  run.toml:1:1: instrument."ETH/BTC".currency: must be "USD" like the account's cash, was "BTC"
backtest  not ready
  run.toml:1:1: instrument."ETH/BTC".currency: must be "USD" like the account's cash, was "BTC"
  run.toml:2:8: broker.fees: must be "none" or { bps = 5 } where BTC/USD is traded, was "alpaca"
  run.toml:16:12: instrument."BTC/USD".calendar: must be "always" for a pair in a backtest, was "nyse"
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
    let live = "[data.btc]\nkind = \"generator\"\nsymbol = \"BTC/USD\"\n[data.nvda]\nkind = \"generator\"\n\
        [[strategy]]\nname = \"a\"\nkind = \"buy_and_hold\"\nsymbols = [\"BTC/USD\", \"NVDA\"]\nalso = [\"nvda\"]\n\
        [instrument.\"BTC/USD\"]\nshorting = true\n[instrument.NVDA]\ncalendar = \"always\"\n";
    assert_snapshot!(said(live, &[], 0), @r#"
run       not ready
  run.toml:12:12: instrument."BTC/USD".shorting: must be false for a coin at Alpaca, was boolean "true"
  run.toml:14:12: instrument.NVDA.calendar: must be "nyse" for a share at Alpaca, was "always"
backtest  ready
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
}
