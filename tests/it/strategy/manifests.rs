//! Strategies as a manifest describes them, and what is said of a description that is wrong.

use super::*;

#[test]
fn a_manifest_describes_strategies() {
    let text = r#"
[[strategy]]
name = "cross"
kind = "ema_cross"
symbols = ["NVDA", "BRK.B"]
capital = "1000000"
active = false
every = { count = 5, skip = 3 }
size = { rule = "100sh", mode = "order" }
params = { fast = 5, slow = 50, warmup = 500 }

[[strategy]]
name = "dip"
script = "strategies/dip_strategy.rhai"
every = "5s"
"#;
    let strategies = Manifest::parse("run.toml", text).unwrap().strategies;
    let [cross, dip] = &strategies[..] else { panic!("two strategies") };
    assert_eq!(cross.source, StrategySource::Kind("ema_cross".into()));
    assert_eq!(cross.symbols, [symbol("NVDA"), symbol("BRK.B")]);
    assert_eq!(cross.capital, Some("1000000".parse().unwrap()));
    assert_eq!((cross.active, cross.every()), (Some(false), Every::count(5, 3).unwrap()));
    assert_eq!((cross.size_rule, cross.size_mode), (Some("100sh".parse().unwrap()), Some(SizeMode::Order)));
    assert_eq!(cross.params, params(&[("fast", "5"), ("slow", "50"), ("warmup", "500")]));
    assert!(cross.make(&[]).is_ok());
    assert_eq!(dip.source, StrategySource::Script("strategies/dip_strategy.rhai".into()));
    assert_eq!(dip.every(), Every::Span(Duration::from_secs(5)));
    assert_eq!((dip.active, dip.size_rule, dip.capital), (None, None, None));
}

#[test]
fn all_faults_of_strategies_are_told_at_once() {
    let text = r#"[[strategy]]
name = "Cross"
kind = "ema_corss"
symbols = ["NVDA", "nvda", "N V", 5]
capital = 5
active = 1
every = "5"
size = { rule = "many", mode = "all", side = "b" }
interval = "5s"

[[strategy]]
kind = "ema_cross"
script = "x.rhai"

[[strategy]]
name = "a"
kind = "ema_cross"
every = { count = 0 }
size = "all"
params = { fast = 0, slwo = 5, slow = [1], warmup = "x" }

[[strategy]]
name = "a"
script = "x.rhai"
params = 5

[[strategy]]
name = "a"
kind = "rsi_reversion"
symbols = []
every = { skip = 1 }
params = { low = 50, high = 50 }
"#;
    // Other tests of this program register kinds of their own.
    let told = Manifest::parse("run.toml", text).unwrap_err().to_string();
    let told: Vec<&str> = told.split(' ').filter(|word| !word.starts_with("own_")).collect();
    let told = told.join(" ");
    assert_snapshot!(told, @r#"
26 faults in run.toml
run.toml:2:8: strategy.Cross.name: name must be 1 to 40 of a-z, 0-9 and _, starting with a letter, was "Cross"
run.toml:3:8: strategy.Cross.kind: kind must be one of breakout, buy_and_hold, ema_cross, naive_test, random, rsi_reversion, sma_cross, was "ema_corss", did you mean "ema_cross"?
run.toml:4:20: strategy.Cross.symbols: symbol must be written once, was "NVDA" before
run.toml:4:28: strategy.Cross.symbols: symbol must be 1 to 15 letters, digits, dots, slashes or hyphens, starting with a letter, was "N V"
run.toml:4:35: strategy.Cross.symbols: must be a list of symbols such as ["NVDA", "SPY"], was integer "5"
run.toml:5:11: strategy.Cross.capital: must be dollars above 0, written as a string such as "100000", was integer "5"
run.toml:6:10: strategy.Cross.active: must be true or false, was integer "1"
run.toml:7:9: strategy.Cross.every: duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was "5"
run.toml:8:17: strategy.Cross.size.rule: size must be all, a percentage such as 10%, shares such as 5sh or dollars such as $1000, was "many"
run.toml:8:32: strategy.Cross.size.mode: must be one of "target", "order", was "all"
run.toml:8:39: strategy.Cross.size.side: unknown key, allowed are rule, mode
run.toml:9:1: strategy.Cross.interval: unknown key, allowed are name, kind, script, symbols, data, also, weight, capital, active, every, size, retry, risk, params
run.toml:11:1: strategy.2.name: must be written, was missing
run.toml:13:10: strategy.2.script: is allowed without kind only, were both
run.toml:18:19: strategy.a.every.count: must be a whole number from 1 to 1000000, was integer "0"
run.toml:19:8: strategy.a.size: must be a table such as { rule = "100sh", mode = "target" }, was "all"
run.toml:20:19: strategy.a.params.fast: must be a whole number from 1 to 100000, was "0"
run.toml:20:29: strategy.a.params.slwo: unknown parameter, allowed are fast, slow, warmup
run.toml:20:39: strategy.a.params.slow: must be true, false, a number or a string, was a list
run.toml:20:53: strategy.a.params.warmup: must be a whole number from 0 to 100000000, was "x"
run.toml:24:10: strategy.a.script: must be a file that ends in _strategy.rhai, was "x.rhai"
run.toml:25:10: strategy.a.params: must be a table such as { fast = 10, slow = 20 }, was integer "5"
run.toml:28:8: strategy.a.name: name must be unique among strategies, was "a" before
run.toml:30:11: strategy.a.symbols: must be a list of symbols such as ["NVDA", "SPY"], was empty
run.toml:31:9: strategy.a.every.count: must be written, was missing
run.toml:32:18: strategy.a.params.low: must be below high 50, was "50"
"#);
    assert_snapshot!(Manifest::parse("run.toml", "[strategy]\nname = \"a\"").unwrap_err().to_string(), @r#"
1 fault in run.toml
run.toml:1:1: strategy: must be tables, each written as [[strategy]], was a table
"#);
}

#[test]
fn how_often_a_target_is_asked_for_again_is_understood_and_bounded() {
    let retry = |written: &str| {
        let text = format!("[[strategy]]\nname = \"a\"\nkind = \"ema_cross\"\n{written}");
        Manifest::parse("run.toml", &text).map(|manifest| manifest.strategies[0].retry())
    };
    let of = |millis, times| Retry { after: Duration::from_millis(millis), times };
    assert_eq!(retry(""), Ok(of(2_000, 3)));
    assert_eq!(retry("retry = { after = \"0s\", times = 0 }"), Ok(of(0, 0)));
    assert_eq!(retry("retry = { times = 100 }"), Ok(of(2_000, 100)));
    assert_eq!(retry("retry = { after = \"250ms\" }"), Ok(of(250, 3)));
    assert_snapshot!(retry("retry = { after = \"2\", times = 101, for = 1 }").unwrap_err(), @r#"
3 faults in run.toml
run.toml:4:19: strategy.a.retry.after: duration must be a number with its unit such as 250ms, 5s, 2m or 1h, was "2"
run.toml:4:32: strategy.a.retry.times: must be a whole number from 0 to 100, was integer "101"
run.toml:4:37: strategy.a.retry.for: unknown key, allowed are after, times
"#);
    assert_snapshot!(retry("size = { mode = \"order\" }\nretry = 3").unwrap_err(), @r#"
2 faults in run.toml
run.toml:5:9: strategy.a.retry: is allowed with size.mode = "target" only, was size.mode = "order"
run.toml:5:9: strategy.a.retry: must be a table such as { after = "2s", times = 3 }, was integer "3"
"#);
}

#[test]
fn two_strategies_whose_orders_would_carry_the_same_tag_are_refused() {
    let parse = |first: &str, second: &str| {
        let section = |name: &str| format!("[[strategy]]\nname = \"{name}\"\nkind = \"ema_cross\"\n");
        Manifest::parse("run.toml", &format!("{}{}", section(first), section(second)))
    };
    // What the ids of orders say decides.
    let tag = |strategy: &str| {
        let fields = [("ticker", "NVDA"), ("direction", "b"), ("strategy", strategy)];
        let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let entry = Entry {
            id: EntryId::new("1-0"),
            fields: fields.into(),
            sent_at: Timestamp::default(),
            deliveries: 1,
        };
        let space = IdSpace { environment: "paper".into(), stream: "nvda".into(), epoch: "1".into() };
        let id = Signal::parse(&entry, &[symbol("NVDA")]).unwrap().client_order_id(&space);
        id.as_str().split('-').nth(1).unwrap().to_owned()
    };
    for (first, second) in [
        ("abcdefghijklmno_1", "abcdefghijklmno_2"),
        ("abcdefgh_ijklmnop_1", "abcdefghijklmnop2"),
        ("ab_c", "a_bc"),
    ] {
        assert_eq!(parse(first, second).is_err(), tag(first) == tag(second), "{first} {second}");
    }
    assert!(parse("abcdefghijklmno_1", "abcdefghijklmno_2").is_ok());
    assert_snapshot!(parse("abcdefgh_ijklmnop_1", "abcdefghijklmnop2").unwrap_err(), @r#"
1 fault in run.toml
run.toml:5:8: strategy.abcdefghijklmnop2.name: name must differ from others in its first 16 letters and digits, was "abcdefghijklmnop2" beside "abcdefgh_ijklmnop_1"
"#);
    assert_snapshot!(parse("ab_c", "a_bc").unwrap_err(), @r#"
1 fault in run.toml
run.toml:5:8: strategy.a_bc.name: name must differ from others in its first 16 letters and digits, was "a_bc" beside "ab_c"
"#);
}

#[test]
fn a_script_that_a_manifest_names_is_checked_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "run.toml",
        "[[strategy]]\nname = \"dip\"\nscript = \"dip_strategy.rhai\"\nparams = { fsat = 1 }\n",
    );
    let faults = || {
        let output = bot(&["check", "run.toml"], folder.path());
        assert_eq!(output.status.code(), Some(3));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_snapshot!(faults(), @r#"
run.toml:3:10: strategy.dip.script: dip_strategy.rhai: No such file or directory (os error 2)
"#);
    write("dip_strategy.rhai", "fn on_event(event) {\n    let x = ;\n}\n");
    assert_snapshot!(faults(), @r#"
run.toml:3:10: strategy.dip.script: dip_strategy.rhai:2:13: Unexpected ';'
"#);
    write("dip_strategy.rhai", "fn params() { #{ fast: 1 } }\nfn on_event(event) { }\n");
    assert_snapshot!(faults(), @r#"
run.toml:4:19: strategy.dip.params.fsat: unknown parameter, allowed are fast
"#);
    write(
        "run.toml",
        "[[strategy]]\nname = \"dip\"\nscript = \"dip_strategy.rhai\"\nparams = { fast = 1 }\n",
    );
    assert_eq!(bot(&["check", "run.toml"], folder.path()).status.code(), Some(0));
}
