//! What a script logs has the time of its event and the name of its strategy, in order.

use serde_json::Value;

use super::*;

const SPEAKS: &str = r#"
fn init() { log("ready"); this.seen = 0; }
fn on_bar(bars) {
    this.seen += 1;
    log(`bar ${this.seen}`);
    print(this.seen + log(10.0));
    if this.seen == 3 { let line = "x"; line.pad(3_000, 'y'); log(line); for i in 0..1_500 { log("again"); } }
    plot("seen", this.seen);
}
"#;
const BARS: &str = "time,open,high,low,close,volume\n2024-01-02 09:30:00,100,101,99,100,5000\n\
    2024-01-02 09:31:00,102,103,101,102,5000\n2024-01-02 09:32:00,103,104,102,103,5000\n";
const RUN: &str = "[broker]\nkind = \"simulated\"\ncash = \"10000\"\n\n[data.x]\nkind = \"csv\"\npath = \"x.csv\"\n\n\
    [[strategy]]\nname = \"speaks\"\nscript = \"speaks_strategy.rhai\"\nsize = { rule = \"10sh\" }\n";

/// `level message`, with strategy and time where there are some.
fn lines(stderr: &str) -> Vec<String> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?; // A summary for people is none.
        let field = |name: &str| line[name].as_str().map_or_else(String::new, |text| format!("{text} "));
        Some(format!("{}{}{}", field("strategy"), field("at"), line["message"].as_str().unwrap()))
    };
    stderr.lines().filter_map(line).collect()
}

#[test]
fn a_line_of_a_script_has_the_time_of_its_event_and_its_strategys_name() {
    let folder = Folder::new(&[("run.toml", RUN), ("x.csv", BARS), ("speaks_strategy.rhai", SPEAKS)]);
    let trial = ["strategy", "test", "speaks_strategy.rhai", "--ticks", "x.csv", "--log-format", "json"];
    for (arguments, name) in [
        (&["backtest", "run.toml", "--log-format", "json"][..], "speaks"),
        (&["backtest", "run.toml", "--log-format", "json", "-v"], "speaks"),
        (&trial, "speaks_strategy.rhai"),
    ] {
        let output = folder.bot(arguments);
        crate::test_bed::exits(&output, 0);
        let said = said(&output);
        let lines: Vec<String> =
            lines(&said).into_iter().filter(|line| line.starts_with(name) || line.contains("log")).collect();
        let expected = [
            format!("{name} 2024-01-02T14:31:00Z bar 1"),
            format!("{name} 2024-01-02T14:31:00Z 2.0"),
            format!("{name} 2024-01-02T14:32:00Z bar 2"),
            format!("{name} 2024-01-02T14:32:00Z 3.0"),
            format!("{name} 2024-01-02T14:33:00Z bar 3"),
            format!("{name} 2024-01-02T14:33:00Z 4.0"),
            format!("{name} 2024-01-02T14:33:00Z x{}", "y".repeat(1_999)),
        ];
        assert_eq!(lines[..7], expected);
        assert_eq!(lines.len(), 2 + 2 + 1_000 + 1, "{arguments:?}");
        assert_eq!(lines[1_004], "one call must log at most 1000 lines, logged more");
        assert!(said.contains("\"left_out\":503") && said.contains("\"ready\""), "{said}");
    }
    let quiet = said(&folder.bot(&["backtest", "run.toml", "-q"]));
    assert!(!quiet.contains("bar 1") && quiet.contains("left_out=503"), "{quiet}");
    let tried = folder.bot(&["strategy", "test", "speaks_strategy.rhai", "--ticks", "x.csv", "-q"]);
    assert!(said(&tried).contains("3 events, 0 intents, 3 points plotted; "), "{}", said(&tried));
}
