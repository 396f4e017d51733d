//! Long/short strategies, live against `bot exchange`: with `--margin` it takes what they sell short.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// Ten shares short at its third event, flat at its sixth, and so on.
const SHORT_AND_FLAT: &str = r"
fn init() { this.seen = 0; }
fn on_event(event) {
    this.seen += 1;
    if this.seen % 6 == 3 { signal(event.symbol, -1.0); }
    if this.seen % 6 == 0 { signal(event.symbol, 0.0); }
}
";

/// A `bot exchange`, ended when dropped.
struct ExchangeProcess(Child);

impl ExchangeProcess {
    /// Opens it on a free port, and answers with its address.
    fn open(flags: &[&str]) -> (Self, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bot"));
        command.args(["exchange", "--listen", "127.0.0.1:0", "--hours", "always", "--rate-limit", "off"]);
        let mut child = command.args(flags).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: serde_json::Value = serde_json::from_str(&line).unwrap();
        (Self(child), format!("http://{}", listening["listening"].as_str().unwrap()))
    }
}

impl Drop for ExchangeProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the strategy until so many of its signals are settled; what became of them, and the summary of the run.
fn traded(flags: &[&str], script: &str, count: usize) -> (Vec<Fields>, serde_json::Value) {
    let (_exchange, address) = ExchangeProcess::open(flags);
    let mut bed = TestBed::new();
    bed.address = address;
    let path = manifest(&bed, &[("short", script)]);
    let text = format!("[risk]\nshort = true\n{}", std::fs::read_to_string(&path).unwrap());
    let bot = start(&bed, &write(&bed, "short.toml", &text), &[]);
    wait_for_outcomes(&bed, "short", count);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    (of(&bed, "short"), summary(&output))
}

#[test]
fn a_strategy_that_may_go_short_does_so_at_an_exchange_with_margin_and_closes_again() {
    let (outcomes, summary) = traded(&["--margin"], SHORT_AND_FLAT, 4);
    let words = ["outcome", "direction", "filled_qty"];
    let told: Vec<_> = outcomes.iter().map(|outcome| words.map(|word| &*outcome[word]).join(" ")).collect();
    assert_eq!(told[..4], ["filled s 10", "filled b 10", "filled s 10", "filled b 10"]);
    assert_eq!(summary["broker"]["agrees"], true, "{summary}");
}

#[test]
fn a_short_position_that_is_held_at_the_end_is_the_same_in_books_and_account() {
    let (_, summary) = traded(&["--margin"], "fn on_event(event) { signal(event.symbol, -1.0); }", 1);
    assert_eq!(summary["positions"]["NVDA"], "-10", "{summary}");
    assert_eq!(summary["broker"]["agrees"], true, "{summary}");
}

#[test]
fn an_exchange_without_margin_rejects_the_short_sale_with_its_reason() {
    let (outcomes, summary) = traded(&[], SHORT_AND_FLAT, 1);
    assert_eq!(outcomes[0]["outcome"], "rejected", "{outcomes:?}");
    assert!(outcomes[0]["reason"].contains("account is not allowed to short"), "{outcomes:?}");
    assert_eq!(summary["positions"]["NVDA"].as_str().unwrap_or("0"), "0", "{summary}");
}
