//! `bot check`: what it says of a manifest, to people and to machines.

use super::*;

#[test]
fn check_says_what_was_understood_and_marks_defaults() {
    let output = bot(&["check", "run.toml"], Some("[pool]\nworkers = 8\n[broker]\nkind = \"simulated\"\n"));
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(stdout(&output), @r#"
run.toml has no faults

name = none  (default)

[redis]
url    = redis://127.0.0.1:6379  (default)
stream = nvda                    (default)
group  = bot                     (default)

[pool]
workers        = 8
queue          = 64  (default)
signal_age_max = 5s  (default)
quote_age_max  = 5s  (default)

[broker]
kind          = simulated
cash          = 100000                         (default)
fill          = next_open                      (default)
fees          = none                           (default)
slippage_bps  = 0                              (default)
latency       = 0s                             (default)
volume_share  = off                            (default)
margin        = initial 100%, maintenance 25%  (default)
on_short_cash = reduce                         (default)
size_at       = decision                       (default)

[portfolio]
combine     = separate  (default)
weights     = equal     (default)
cash_buffer = 2%        (default)

[risk]
short                 = false  (default)
order_qty_max         = off    (default)
order_notional_max    = off    (default)
position_notional_max = off    (default)
orders_per_minute_max = off    (default)
spread_bps_max        = 100    (default)

[statistics]
benchmark        = none  (default)
period           = day   (default)
periods_per_year = 252   (default)
risk_free        = 0%    (default)
bootstrap        = 1000  (default)
seed             = 1     (default)

run       ready
backtest  not ready
  run.toml:1:1: strategy: at least one [[strategy]] must be written for a backtest, was none
  run.toml:1:1: data: at least one [data.NAME] must be written for a backtest, was none
sweep     not ready
  run.toml:1:1: sweep: there must be something to sweep: a key with its values, was nothing
"#);
}

#[test]
fn check_ends_with_3_when_the_manifest_is_wrong_and_4_when_there_is_none() {
    let output = bot(&["check", "run.toml"], Some("[pool]\nworkers = 0\nqueue = 0\n"));
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(stdout(&output), @r#"
run.toml:2:11: pool.workers: must be a whole number from 1 to 1024, was integer "0"
run.toml:3:9: pool.queue: must be a whole number from 1 to 65536, was integer "0"
"#);
    assert_snapshot!(stderr(&output), @"bot: 2 faults in run.toml");

    let output = bot(&["check", "run.toml"], None);
    assert_eq!(output.status.code(), Some(4));
    assert_snapshot!(stderr(&output), @r#"bot: manifest must be a file that exists, was "run.toml""#);

    let output = bot(&["check", "."], None);
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(stderr(&output), @"bot: read manifest .: Is a directory (os error 21)");
}

#[test]
fn check_answers_machines_with_one_object() {
    let output = bot(&["check", "run.toml", "--json", "--symbols", "NVDA,BRK.B"], Some(GOOD));
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(stdout(&output), @r#"
{"ok":true,"faults":[],"run":{"ready":true,"faults":[],"warnings":[{"file":"run.toml","line":35,"column":22,"key":"risk.order_notional_max","message":"refuses each buy of an account with more cash, unless --size says less, was \"250000.5\""}]},"backtest":{"ready":false,"faults":[{"file":"run.toml","line":1,"column":1,"key":"strategy","message":"at least one [[strategy]] must be written for a backtest, was none"},{"file":"run.toml","line":25,"column":11,"key":"broker.size_at","message":"must be \"decision\" where portfolio.combine is \"net\", was \"fill\""}],"warnings":[]},"sweep":{"ready":false,"faults":[{"file":"run.toml","line":1,"column":1,"key":"sweep","message":"there must be something to sweep: a key with its values, was nothing"}],"warnings":[]}}
"#);
    let output = bot(&["check", "run.toml", "--json"], Some(""));
    assert_eq!(output.status.code(), Some(0));
    let shown = stdout(&output);
    assert!(
        shown.starts_with(r#"{"ok":true,"faults":[],"run":{"ready":true,"faults":[],"warnings":[]},"#),
        "{shown}"
    );

    let output = bot(&["--json", "check", "run.toml"], Some("[pool]\nworkers = 0\n"));
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(stdout(&output), @r#"
{"ok":false,"faults":[{"file":"run.toml","line":2,"column":11,"key":"pool.workers","message":"must be a whole number from 1 to 1024, was integer \"0\""}],"run":{"ready":false,"faults":[{"file":"run.toml","line":2,"column":11,"key":"pool.workers","message":"must be a whole number from 1 to 1024, was integer \"0\""}],"warnings":[]},"backtest":{"ready":false,"faults":[{"file":"run.toml","line":1,"column":1,"key":"strategy","message":"at least one [[strategy]] must be written for a backtest, was none"},{"file":"run.toml","line":1,"column":1,"key":"data","message":"at least one [data.NAME] must be written for a backtest, was none"},{"file":"run.toml","line":2,"column":11,"key":"pool.workers","message":"must be a whole number from 1 to 1024, was integer \"0\""}],"warnings":[]},"sweep":{"ready":false,"faults":[{"file":"run.toml","line":1,"column":1,"key":"sweep","message":"there must be something to sweep: a key with its values, was nothing"},{"file":"run.toml","line":2,"column":11,"key":"pool.workers","message":"must be a whole number from 1 to 1024, was integer \"0\""}],"warnings":[]}}
"#);
}
