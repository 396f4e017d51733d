//! What strategies plot is a file and charts of the report.

use super::*;

const SHOWS: &str = r#"
fn params() { #{ every: 1 } }
fn indicators() { #{ slow: sma(3) } }
fn warm_up() { 2 }
fn on_bar(bars) {
    for bar in bars {
        if this.params.every > 0 { plot("close", bar.close); }
        if this.params.every > 0 && bar.slow != () { plot("slow mean", bar.slow); }
        signal(bar.symbol, 1.0);
    }
}
"#;
const RUN: &str = "[broker]\nkind = \"simulated\"\ncash = \"10000\"\n\n[data.x]\nkind = \"csv\"\npath = \"x.csv\"\n\n\
    [[strategy]]\nname = \"shows\"\nscript = \"shows_strategy.rhai\"\nsize = { rule = \"10sh\" }\n\n\
    [statistics]\nperiod = \"1min\"\nperiods_per_year = 98280\n";
const BARS: &str = "time,open,high,low,close,volume\n2024-01-02 09:30:00,100,101,99,100,5000\n\
    2024-01-02 09:31:00,102,103,101,102,5000\n2024-01-02 09:32:00,103,104,102,104,5000\n\
    2024-01-02 09:33:00,103,106,102,106,5000\n";

#[test]
fn plots_are_charts_of_the_report_and_rows_of_a_file() {
    let folder = Folder::new(&[("run.toml", RUN), ("x.csv", BARS), ("shows_strategy.rhai", SHOWS)]);
    let output = folder.bot(&["backtest", "run.toml", "--json"]);
    crate::test_bed::exits(&output, 0);
    let answer = crate::test_bed::summary(&output);
    assert_eq!((&answer["plots"], &answer["plots_left_out"]), (&4.into(), &0.into()));
    // The first two bars are the warm-up: nothing is plotted in it.
    assert_eq!(
        folder.read("bot-backtest/plots.csv"),
        "time,strategy,name,value\n\
         2024-01-02T14:33:00Z,shows,close,104\n2024-01-02T14:33:00Z,shows,slow mean,102\n\
         2024-01-02T14:34:00Z,shows,close,106\n2024-01-02T14:34:00Z,shows,slow mean,104\n"
    );
    let report = folder.read("bot-backtest/report.html");
    for title in ["<h2>shows: close</h2>", "<h2>shows: slow mean</h2>"] {
        assert!(report.contains(title), "{title}");
    }
    assert!(report.contains("2 points from 102 to 104, 104 at the end."));
    // A run that plots nothing leaves no plots of another one.
    let quiet = folder.bot(&["backtest", "run.toml", "--json", "--set", "strategy.shows.params.every=0"]);
    crate::test_bed::exits(&quiet, 0);
    assert!(!folder.path("bot-backtest/plots.csv").exists());
    assert_eq!(crate::test_bed::summary(&quiet)["hash"], answer["hash"], "what is shown changes no order");
}
