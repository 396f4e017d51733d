//! What a strategy calls its orders stands with them in files and in the report.

use super::*;

const TAGGED: &str = r#"
fn init() { this.bar = 0; }
fn on_bar(bars) {
    let symbol = bars[0].symbol;
    this.bar += 1;
    switch this.bar {
        1 => signal(symbol, 1.0, #{ tag: "entry" }),
        2 => signal(symbol, -1.0, #{ tag: "turn" }),
        3 => close(symbol, #{ tag: "stop" }),
        4 => buy(symbol, 3, #{ tag: "third" }),
        5 => sell(symbol, 3, 1.0, "ioc", #{ tag: "at limit" }),
        6 => set_holdings(#{ X: 0.5 }, #{ tag: "half" }),
        7 => order_target_percent(symbol, 0.25, #{}),
        8 => set_holdings(#{}, #{ tag: "out" }),
        _ => (),
    }
}
"#;

fn run(script: &str, broker: &str) -> Folder {
    let manifest = format!(
        "[broker]\nkind = \"simulated\"\ncash = \"10000\"\n{broker}\n[risk]\nshort = true\n\n[data.x]\nkind = \"csv\"\n\
         path = \"x.csv\"\nsymbol = \"X\"\n\n[[strategy]]\nname = \"tagged\"\nscript = \"tagged_strategy.rhai\"\n\
         size = {{ rule = \"10sh\" }}\n"
    );
    let minutes = 30..40;
    let bars = minutes.map(|minute| format!("2024-01-02 09:{minute}:00,100,101,99,100,5000\n"));
    let bars = format!("time,open,high,low,close,volume\n{}", bars.collect::<String>());
    let folder = Folder::new(&[("run.toml", &manifest), ("x.csv", &bars), ("tagged_strategy.rhai", script)]);
    folder.backtest("run.toml", &[]);
    folder
}

/// Side, shares asked, step and tag of each row.
fn orders(folder: &Folder) -> Vec<String> {
    let text = folder.read("bot-backtest/orders.csv");
    let heads: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    assert_eq!(heads.last(), Some(&"tag"));
    let place = |name: &str| heads.iter().position(|head| *head == name).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let side = if cells[place("buy")] == "X" { "buy" } else { "sell" };
        format!("{side} {} step {} {}", cells[place("amount")], cells[place("step")], cells[place("tag")])
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn a_tag_stands_with_its_orders_and_trades_in_files_and_in_the_report() {
    let folder = run(TAGGED, "");
    assert_eq!(
        orders(&folder),
        [
            "buy 10 step 0 entry",
            "sell 20 step 0 turn",
            "buy 10 step 0 stop",
            "buy 3 step 0 third",
            "sell 3 step 0 at limit",
            "buy 50 step 0 half",
            "sell 25 step 0 ",
            "sell 25 step 0 out"
        ]
    );
    let trades = folder.read("bot-backtest/trades.csv");
    let tags: Vec<&str> =
        trades.lines().map(|line| &line[line.rmatch_indices(',').nth(1).unwrap().0..]).collect();
    assert_eq!(
        tags,
        [",entry_tag,exit_tag", ",entry,turn", ",turn,stop", ",third,at limit", ",half,", ",half,out"]
    );
    let report = folder.read("bot-backtest/report.html");
    assert!(report.contains("Entry tag") && report.contains("<td>at limit</td>"));
}

#[test]
fn the_missing_part_keeps_the_tag_of_its_signal_and_no_tag_changes_an_order() {
    let once = |options: &str| {
        format!(
            "fn init() {{ this.seen = 0; }}\n\
             fn on_event(event) {{ this.seen += 1; if this.seen == 1 {{ signal(\"X\", 1.0{options}); }} }}"
        )
    };
    let part = "volume_share = \"0.1%\"\n";
    let tagged = run(&once(", #{ tag: \"up\" }"), part);
    assert_eq!(orders(&tagged), ["buy 5 step 0 up", "buy 5 step 1 up"]);
    let plain = run(&once(""), part);
    assert_eq!(orders(&plain), ["buy 5 step 0 ", "buy 5 step 1 "]);
    let hash = |folder: &Folder| {
        let stats: serde_json::Value = serde_json::from_str(&folder.read("bot-backtest/stats.json")).unwrap();
        stats["made"]["hash"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash(&tagged), hash(&plain));
}
