//! What is wrong is said before anything runs: all of it at once, with its line and what is allowed.

use super::*;

const GOOD: &str = "[broker]\nkind = \"simulated\"\ncash = \"10000\"\n\n[data.x]\nkind = \"csv\"\npath = \"x.csv\"\n\n\
    [[strategy]]\nname = \"hold\"\nkind = \"buy_and_hold\"\nsize = { rule = \"10sh\" }\n";
const BARS: &str = "time,open,high,low,close,volume\n2024-01-02 09:30:00,100,101,99,100,5000\n\
    2024-01-02 09:31:00,102,103,101,102,5000\n2024-01-02 09:32:00,103,104,102,103,5000\n";

#[track_caller]
fn refused(folder: &Folder, arguments: &[&str], code: i32) -> String {
    let output = folder.bot(&[&["backtest"], arguments].concat());
    crate::test_bed::exits(&output, code);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "stdout holds only answers");
    said(&output)
}

#[test]
fn all_faults_are_told_at_once_with_line_and_what_is_allowed() {
    let broken = r#"name = 5
[broker]
kind = "simulatd"
fill = "best"
fees = "free"
latency = "soon"
[data.y]
kind = "csv"
path = "nosuch.csv"
timezone = "Mars/Olympus"
on_gap = "maybe"
[[strategy]]
name = "cross"
kind = "ema_cross"
data = "z"
every = "never"
size = { rule = "lots" }
params = { fast = 0, slw = 4 }
[statistics]
benchmark = "q"
[typo]
"#;
    let folder = Folder::new(&[("broken.toml", broken)]);
    let said = refused(&folder, &["broken.toml", "--json"], 3);
    for expected in [
        "15 faults in broken.toml",
        "broken.toml:1:8: name: must be",
        "broken.toml:3:8: broker.kind: must be one of \"alpaca\", \"simulated\", was \"simulatd\"",
        "broken.toml:4:8: broker.fill: must be one of \"next_open\", \"same_close\", \"quote\", was \"best\"",
        "broken.toml:5:8: broker.fees: must be \"none\", \"alpaca\" or a table",
        "broken.toml:6:11: broker.latency: ",
        "broken.toml:9:8: data.y.path: must be a file that exists, was \"nosuch.csv\"",
        "broken.toml:10:12: data.y.timezone: ",
        "broken.toml:11:10: data.y.on_gap: must be one of \"keep\", \"fill\", was \"maybe\"",
        "broken.toml:15:8: strategy.cross.data: must be the name of a data section, was \"z\"",
        "broken.toml:16:9: strategy.cross.every: ",
        "broken.toml:17:17: strategy.cross.size.rule: ",
        "broken.toml:18:19: strategy.cross.params.fast: must be a whole number from 1 to 100000, was \"0\"",
        "broken.toml:18:28: strategy.cross.params.slw: unknown parameter, allowed are fast, slow, warmup",
        "broken.toml:20:13: statistics.benchmark: ",
        "broken.toml:21:2: typo: unknown key, allowed are ",
    ] {
        assert!(said.contains(expected), "{expected} is missing in\n{said}");
    }
    assert!(!folder.path("bot-backtest").exists(), "nothing was begun");
}

#[test]
fn what_is_not_there_is_said_so() {
    let folder = Folder::new(&[("run.toml", GOOD)]);
    assert!(
        refused(&folder, &["nosuch.toml"], 4).contains("must be a file that exists, was \"nosuch.toml\"")
    );
    assert!(
        refused(&folder, &["run.toml"], 3)
            .contains("run.toml:7:8: data.x.path: must be a file that exists, was \"x.csv\"")
    );
    assert!(refused(&folder, &["run.toml", "--set", "broker.cash"], 2).contains("--set"));
}

#[test]
fn bad_rows_end_the_run_with_file_and_line() {
    let line = |text: &str| BARS.replace("2024-01-02 09:31:00,102,103,101,102,5000", text);
    for (row, fault) in [
        ("2024-01-02 09:31:00,102,x,101,102,5000", "x.csv:3: high must be a number, was \"x\""),
        ("2024-01-02 09:31:00,102,103", "x.csv:3: "),
        ("yesterday,102,103,101,102,5000", "x.csv:3: "),
        ("2024-01-02 09:31:00,102,101,103,102,5000", "x.csv:3: "),
        ("2024-01-02 09:31:00,0,103,0,102,5000", "x.csv:3: "),
        ("2024-01-02 09:31:00,NaN,103,101,102,5000", "x.csv:3: "),
        ("2024-01-02 09:30:00,102,103,101,102,5000", "x.csv:3: "),
        ("2024-01-02 09:29:00,102,103,101,102,5000", "x.csv:3: "),
    ] {
        let folder = Folder::new(&[("run.toml", GOOD), ("x.csv", &line(row))]);
        let said = refused(&folder, &["run.toml", "--json"], 3);
        assert!(said.contains(fault), "{row}: {said}");
        let skipped = folder.backtest("run.toml", &["--out", "out", "--set", "data.x.on_bad_row=skip"]);
        assert_eq!(skipped["events"], 2, "{row}");
        let report = folder.read("out/report.html");
        assert!(report.contains("x.csv:3: "), "{row}: the report does not tell of the row that was left out");
    }
}

#[test]
fn a_key_set_on_the_command_line_counts() {
    let folder = Folder::new(&[("run.toml", GOOD), ("x.csv", BARS)]);
    let set = |overrides: &[&str]| {
        let more: Vec<&str> = overrides.iter().flat_map(|text| ["--set", text]).collect();
        let answer = folder.backtest("run.toml", &more);
        [&answer["final_cash"], &answer["final_equity"]].map(|value| value.as_str().unwrap().to_owned())
    };
    assert_eq!(set(&[]), ["8980", "10010"]); // 10 at the open of 102, worth 103.
    assert_eq!(set(&["broker.fill=same_close"]), ["9000", "10030"]);
    assert_eq!(set(&["broker.fees={ bps = 100 }", "strategy.hold.size.rule=20sh"]), ["7939.6", "9999.6"]);
    assert_eq!(set(&["broker.cash=\"500\""]), ["500", "500"]);
    let said = refused(
        &folder,
        &["run.toml", "--set", "broker.fill=best", "--set", "strategy.nobody.every=event"],
        3,
    );
    assert!(said.contains("--set broker.fill=best: broker.fill: must be one of"), "{said}");
    assert!(said.contains("nobody"), "{said}");
}
