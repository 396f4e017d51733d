//! `bot sweep` as people run it: the same results whoever runs them, failures told, nothing seen before its time.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

const BIN: &str = env!("CARGO_BIN_EXE_bot");

const RUN: &str = r#"
name = "grid"
[broker]
kind = "simulated"
cash = "1000000"
[data.sym]
kind = "generator"
symbol = "SYM"
rows = 3000
seed = 7
[[strategy]]
name = "cross"
kind = "ema_cross"
size = { rule = "100sh", mode = "target" }
params = { fast = 10, slow = 20 }
[risk]
short = true
"#;

const GRID: &str = r#"
[sweep]
"strategy.cross.params.fast" = [3, 5, 8]
"strategy.cross.params.slow" = { from = 20, to = 60, step = 20 }
"broker.fees" = ["none", { bps = 1 }]
walk_forward = { train = 3, test = "2d" }
"#;

/// RSI's own rule is that low stands below high: some pairs break it, though each value is allowed.
const PAIRS: &str = r#"
[broker]
kind = "simulated"
[data.sym]
kind = "generator"
rows = 1500
[[strategy]]
name = "rsi"
kind = "rsi_reversion"
size = { rule = "10sh", mode = "target" }
[sweep]
"strategy.rsi.params.low" = [20, 50]
"strategy.rsi.params.high" = [50, 80]
"#;

struct Desk(TempDir);

impl Desk {
    fn new(manifest: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("m.toml", manifest);
        desk
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn bot(&self, arguments: &[&str]) -> Output {
        Command::new(BIN).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// `bot sweep m.toml ARGUMENTS --json`, which must end well.
    #[track_caller]
    fn sweep(&self, arguments: &[&str]) -> Json {
        let output = self.bot(&[&["sweep", "m.toml", "--json"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The exit code and the last line on stderr.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.bot(&[&["sweep", "m.toml"], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said.lines().last().unwrap_or_default().to_owned())
    }

    /// The cells of a CSV file by the names of its columns; no cell of these tests has a comma in it but the last one.
    fn rows(&self, name: &str) -> Vec<Vec<(String, String)>> {
        let text = self.read(name);
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let head = lines.next().unwrap();
        lines.map(|cells| head.iter().cloned().zip(cells).collect()).collect()
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn cell<'r>(row: &'r [(String, String)], name: &str) -> &'r str {
    &row.iter().find(|(column, _)| column == name).unwrap_or_else(|| panic!("no column {name}")).1
}

#[test]
fn one_job_two_jobs_and_three_shards_leave_the_same_bytes() {
    let desk = Desk::new(&format!("{RUN}{GRID}"));
    let one = desk.sweep(&["--jobs", "1", "--out", "one"]);
    let mut two = desk.sweep(&["--jobs", "2", "--out", "two"]);
    for shard in ["3/3", "1/3", "2/3"] {
        let part = desk.sweep(&["--shard", shard, "--out", "parts"]);
        assert_eq!((&part["trials"], &part["deflated_sharpe"]), (&6.into(), &Json::Null), "{shard}");
    }
    let mut merged = desk.sweep(&["--merge", "--out", "parts"]);
    for other in [&mut two, &mut merged] {
        for own in ["seconds", "files"] {
            other[own] = one[own].clone();
        }
        assert_eq!(*other, one);
    }
    let files = desk.files("one");
    assert_eq!(
        files,
        [
            "manifest.toml",
            "sweep.csv",
            "sweep.html",
            "sweep.parquet",
            "walk_forward.csv",
            "walk_forward_equity.csv"
        ]
    );
    for name in files {
        let bytes = |folder: &str| fs::read(desk.0.path().join(folder).join(&name)).unwrap();
        assert!(bytes("one") == bytes("two"), "{name} differs with two jobs");
        assert!(bytes("one") == bytes("parts"), "{name} differs when merged");
    }
    assert_eq!((&one["combinations"], &one["trials"], &one["failed"]), (&18.into(), &18.into(), &0.into()));
    assert!(one["deflated_sharpe"].as_f64().unwrap() <= 1.0);
}

#[test]
fn a_row_is_what_a_backtest_of_its_combination_says_also_where_data_are_swept() {
    let grid = "[sweep]\n\"data.sym.seed\" = [1, 2, 3]\n\"strategy.cross.params.fast\" = [3, 5]\n";
    let desk = Desk::new(&format!("{RUN}{grid}"));
    let answer = desk.sweep(&["--out", "out"]);
    let rows = desk.rows("out/sweep.csv");
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let keys = ["data.sym.seed", "strategy.cross.params.fast"];
        let sets = keys.map(|key| format!("{key}={}", cell(row, key)));
        let run = desk.bot(&["backtest", "m.toml", "--json", "--set", &sets[0], "--set", &sets[1]]);
        let run: Json = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(run["hash"], cell(row, "hash"), "{sets:?}");
        assert_eq!(run["profit"], cell(row, "profit"));
        assert_eq!(run["orders"].to_string(), cell(row, "orders"));
    }
    let best = rows
        .iter()
        .max_by(|one, two| {
            let sharpe = |row: &[(String, String)]| cell(row, "sharpe_252").parse::<f64>().unwrap();
            sharpe(one).total_cmp(&sharpe(two))
        })
        .unwrap();
    assert_eq!(answer["best"]["index"].to_string(), cell(best, "index"));
    assert_eq!(answer["best"]["overrides"]["data.sym.seed"], cell(best, "data.sym.seed"));
}

#[test]
fn a_combination_that_fails_stands_in_the_table_and_stops_nobody() {
    let desk = Desk::new(PAIRS);
    let answer = desk.sweep(&["--out", "out"]);
    assert_eq!((&answer["trials"], &answer["failed"]), (&4.into(), &1.into()));
    let rows = desk.rows("out/sweep.csv");
    let failed: Vec<&str> =
        rows.iter().filter(|row| cell(row, "hash").is_empty()).map(|row| cell(row, "index")).collect();
    assert_eq!(failed, ["2"]);
    assert!(desk.read("out/sweep.csv").contains("must be below high 50"));
}

#[test]
fn what_where_leaves_out_is_not_run_and_counted_whoever_runs_the_rest() {
    let constraint = "where = [\"fast * 4 <= slow\", \"slow != 40 || fast < 8\"]\n";
    let desk = Desk::new(&format!("{RUN}{GRID}{constraint}"));
    let counts = |answer: &Json| {
        ["combinations", "left_out", "trials", "failed"].map(|key| answer[key].as_u64().unwrap())
    };
    let one = desk.sweep(&["--jobs", "1", "--out", "one"]);
    assert_eq!(counts(&one), [14, 4, 14, 0]);
    let rows = desk.rows("one/sweep.csv");
    let pairs: Vec<String> = rows
        .iter()
        .filter(|row| cell(row, "broker.fees") == "none")
        .map(|row| {
            ["index", "strategy.cross.params.fast", "strategy.cross.params.slow"]
                .map(|key| cell(row, key))
                .join(" ")
        })
        .collect();
    assert_eq!(pairs, ["0 3 20", "2 3 40", "4 3 60", "6 5 20", "8 5 40", "10 5 60", "16 8 60"]);
    for (shard, trials) in [("1/3", 5), ("2/3", 5), ("3/3", 4)] {
        assert_eq!(counts(&desk.sweep(&["--shard", shard, "--out", "parts"])), [14, 4, trials, 0], "{shard}");
    }
    desk.sweep(&["--merge", "--out", "parts"]);
    for name in desk.files("one") {
        let bytes = |folder: &str| fs::read(desk.0.path().join(folder).join(&name)).unwrap();
        assert!(bytes("one") == bytes("parts"), "{name} differs when merged");
    }
    assert!(desk.read("one/sweep.html").contains("4 left out by where"));
    let chosen: Vec<String> =
        desk.rows("one/walk_forward.csv").iter().map(|row| cell(row, "index").to_owned()).collect();
    // On one fold nothing has the objective.
    let is_run = |index: &String| rows.iter().any(|row| cell(row, "index") == index);
    assert!(chosen.iter().all(|index| index.is_empty() || is_run(index)), "{chosen:?}");
    let said = String::from_utf8(desk.bot(&["sweep", "m.toml", "--out", "said"]).stdout).unwrap();
    assert!(said.contains("14 combinations, 4 left out by where, in "), "{said}");
    let check = String::from_utf8(desk.bot(&["check", "m.toml"]).stdout).unwrap();
    assert!(check.contains("= 14 of 18\n"), "{check}");
    let (code, said) = desk.refused(&["--set", "sweep.where=fast > slow"]);
    assert_eq!(code, 3);
    assert!(
        said.contains("sweep.where: must be met by at least one combination, was met by none of 18"),
        "{said}"
    );
}

#[test]
fn a_row_tells_of_a_strategy_that_failed_and_has_no_numbers_where_it_was_stopped() {
    let desk = Desk::new(
        "[data.sym]\nkind = \"generator\"\nrows = 50\n[[strategy]]\nname = \"clumsy\"\nscript = \"clumsy_strategy.rhai\"\n\
         [sweep]\n\"strategy.clumsy.params.failures\" = [0, 2, 3]\n",
    );
    desk.write(
        "clumsy_strategy.rhai",
        "fn params() { #{ failures: 0 } }\nfn on_event(event) {\n    \
         if bar_index(event.symbol) <= this.params.failures { throw \"no idea\"; }\n}\n",
    );
    let answer = desk.sweep(&["--out", "out"]);
    assert_eq!((&answer["trials"], &answer["failed"]), (&3.into(), &1.into()));
    let told: Vec<(bool, bool, bool)> = desk
        .rows("out/sweep.csv")
        .iter()
        .map(|row| {
            let error = cell(row, "error");
            (error.contains("no idea"), error.contains("it is stopped"), cell(row, "hash").is_empty())
        })
        .collect();
    assert_eq!(told, [(false, false, false), (true, false, false), (true, true, true)]);
}

#[test]
fn a_sweep_of_failures_only_is_invalid_and_still_tells_why_each_failed() {
    let desk = Desk::new(
        &PAIRS
            .replace("[20, 50]", "[50]")
            .replace("[50, 80]", "[50]\n\"broker.cash\" = [\"1000\", \"2000\"]"),
    );
    let (code, said) = desk.refused(&["--out", "out"]);
    assert_eq!(code, 3);
    assert!(said.starts_with("bot: all 2 combinations failed: "), "{said}");
    assert_eq!(desk.rows("out/sweep.csv").len(), 2);
}

#[test]
fn what_is_no_ratio_is_refused_with_its_neighbours_before_anything_is_run() {
    let desk = Desk::new(&format!("{RUN}{GRID}"));
    let (code, said) = desk.refused(&["--set", "sweep.objective=sharp"]);
    assert_eq!(code, 3);
    assert!(
        said.contains("sweep.objective: must be a ratio's name, was \"sharp\", did you mean \"sharpe\"?"),
        "{said}"
    );
    assert!(!desk.0.path().join("bot-sweep").exists());
    let desk = Desk::new(RUN);
    assert_eq!(desk.refused(&[]).0, 3);
}

#[test]
fn the_lowest_is_the_best_where_low_is_good() {
    let desk = Desk::new(&format!("{RUN}{GRID}"));
    let answer = desk.sweep(&["--set", "sweep.objective=volatility", "--out", "out"]);
    let rows = desk.rows("out/sweep.csv");
    let lowest =
        rows.iter().map(|row| cell(row, "volatility_252").parse::<f64>().unwrap()).fold(1.0, f64::min);
    assert_eq!(answer["objective"], "volatility_252");
    assert_eq!(answer["best"]["values"]["volatility_252"], lowest);
}

#[test]
fn shards_that_do_not_belong_together_are_refused() {
    let desk = Desk::new(PAIRS);
    let refused = |wanted: &str| {
        let (code, said) = desk.refused(&["--merge", "--out", "out"]);
        assert_eq!(code, 3, "{said}");
        assert!(said.contains(wanted), "{said}");
    };
    refused("must have the files of all shards");
    desk.sweep(&["--shard", "1/2", "--out", "out"]);
    refused("all 2 shards must be there, missing are 2/2");
    desk.sweep(&["--shard", "2/2", "--out", "out", "--set", "broker.cash=\"5000\""]);
    refused("shard 2/2 was made from another manifest");
    desk.sweep(&["--shard", "2/2", "--out", "out"]);
    desk.sweep(&["--merge", "--out", "out"]);
    desk.write(
        "out/sweep-2-of-2.json",
        &desk.read("out/sweep-2-of-2.json").replace("\"done\": 2", "\"done\": 1"),
    );
    refused("shard 2/2 was interrupted, 1 of 2 combinations are done");
    desk.sweep(&["--shard", "1/3", "--out", "out"]);
    refused("must have shards of one sweep");
}

/// Minute bars of sessions that follow each other, with a price for each minute.
fn bars(sessions: u32, price: impl Fn(u32) -> f64) -> String {
    let mut text = "time,open,high,low,close,volume\n".to_owned();
    for session in 0..sessions {
        for minute in 0..60 {
            let (week, day) = (session / 5, session % 5);
            let price = price(session * 60 + minute);
            let date = 22 + week * 7 + day; // From Monday, 22 January 2024 on.
            writeln!(text, "2024-01-{date:02} 10:{minute:02}:00,{price},{price},{price},{price},100")
                .unwrap();
        }
    }
    text
}

#[test]
fn a_choice_does_not_change_when_later_data_change() {
    let walk = "[sweep]\n\"strategy.cross.params.fast\" = [2, 4, 8]\n\"strategy.cross.params.slow\" = [10, 20, 30]\n\
                walk_forward = { train = 3, test = 1 }\n";
    let csv = "kind = \"csv\"\npath = \"bars.csv\"\n";
    let desk = Desk::new(
        &format!("{RUN}{walk}")
            .replace("kind = \"generator\"\nsymbol", &format!("{csv}symbol"))
            .replace("rows = 3000\nseed = 7\n", ""),
    );
    let wave = |minute: u32| {
        let at = f64::from(minute);
        100.0 + (8.0 * (at / 17.0).sin() + 3.0 * (at / 5.0).cos() + 2.0 * (at / 61.0).sin()).round() / 4.0
    };
    // The fifth session is another one: it is the test of fold 2 and in the train of folds 3 and later.
    let other = |minute: u32| if minute < 4 * 60 { wave(minute) } else { 100.0 + f64::from(minute % 7) };
    let folds = |name: &str, price: &dyn Fn(u32) -> f64| {
        desk.write("bars.csv", &bars(8, price));
        desk.sweep(&["--out", name]);
        desk.rows(&format!("{name}/walk_forward.csv"))
    };
    let (first, second) = (folds("first", &wave), folds("second", &other));
    assert_eq!((first.len(), second.len()), (5, 5));
    let train =
        |row: &[(String, String)]| (cell(row, "index").to_owned(), cell(row, "train_sharpe_252").to_owned());
    for fold in 0..2 {
        assert_eq!(train(&first[fold]), train(&second[fold]), "fold {fold}");
    }
    assert_eq!(cell(&first[0], "test_hash"), cell(&second[0], "test_hash"));
    assert_ne!(cell(&first[1], "test_hash"), cell(&second[1], "test_hash"));
    assert_ne!(train(&first[2]), train(&second[2]));
    // Each test begins flat with the cash of the start and trades after its start only.
    let equity = desk.rows("first/walk_forward_equity.csv");
    assert_eq!(cell(&equity[0], "equity"), "1000000");
    assert!(cell(&equity[1], "time") > cell(&first[0], "test_after"));
    assert_eq!(equity.len(), 6);
}

#[test]
fn ctrl_c_writes_what_is_done_so_far() {
    let many = "[sweep]\n\"strategy.cross.params.fast\" = { from = 1, to = 200, step = 1 }\n\
                \"strategy.cross.params.slow\" = { from = 201, to = 600, step = 1 }\n";
    let desk = Desk::new(&format!("{RUN}{many}"));
    let mut child = Command::new(BIN)
        .args(["sweep", "m.toml", "--json", "-v", "--out", "out"])
        .current_dir(desk.0.path())
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("the sweep starts")));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["interrupted"], &answer["combinations"]), (&true.into(), &80_000.into()));
    let rows = desk.rows("out/sweep.csv").len();
    assert_eq!(answer["trials"], rows);
    assert!(rows < 80_000 && Path::new(&desk.0.path().join("out/sweep.html")).exists());
}
