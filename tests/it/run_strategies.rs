//! Strategies inside `bot run`, and engines beside it: their signals take the way of all signals; they are started,
//! stopped and hurt alone.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bot::clock::{SystemClock, Timestamp};
use bot::engine::{Engine, Outlet, TradeDirection, TradeOrder, Trader, TraderError, TraderSetup};
use bot::history;
use bot::host::outbox::to_stream;
use bot::strategy::{Every, Runner, Wish, WrittenParams};
use bot::symbol::Symbol;
use bot::ticks::{Tick, Window};

use crate::house::{Bot, Fields, House, exits, said, summary};
use crate::redis_server::wait_until;

const LONG: Duration = Duration::from_mins(1);

/// Buys ten shares at its third event, sells them at its sixth, and so on.
const SEESAW: &str = r"
fn init() { this.seen = 0; }
fn on_event(event) {
    this.seen += 1;
    if this.seen % 6 == 3 { signal(event.symbol, 1.0); }
    if this.seen % 6 == 0 { signal(event.symbol, 0.0); }
}
";

fn write(house: &House, file: &str, text: &str) -> String {
    let path = house.state(file);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A manifest with a strategy for each script, sized ten shares.
fn manifest(house: &House, scripts: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, script) in scripts {
        write(house, &format!("{name}_strategy.rhai"), script);
        writeln!(
            text,
            "[[strategy]]\nname = \"{name}\"\nscript = \"{name}_strategy.rhai\"\nsymbols = [\"NVDA\"]"
        )
        .unwrap();
        writeln!(text, "size = {{ rule = \"10sh\", mode = \"target\" }}").unwrap();
    }
    write(house, "run.toml", &text)
}

fn start(house: &House, manifest: &str, more: &[&str]) -> Bot {
    let arguments = [&["run", manifest, "--json", "--rate-limit", "off", "-w", "2"], more].concat();
    Bot::start(house.command("state", &arguments))
}

fn of(house: &House, strategy: &str) -> Vec<Fields> {
    house
        .outcomes()
        .into_iter()
        .filter(|outcome| outcome.get("strategy").is_some_and(|name| name == strategy))
        .collect()
}

#[track_caller]
fn wait_for_outcomes(house: &House, strategy: &str, count: usize) {
    let enough = wait_until(LONG, || (of(house, strategy).len() >= count).then_some(()));
    assert!(enough.is_some(), "{} of {count} outcomes of {strategy}", of(house, strategy).len());
}

#[test]
fn a_strategys_signals_are_traded_like_all_others_and_its_position_follows_its_strength() {
    let house = House::new();
    let bot = start(&house, &manifest(&house, &[("seesaw", SEESAW)]), &[]);
    wait_for_outcomes(&house, "seesaw", 4);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let outcomes = of(&house, "seesaw");
    let sides: Vec<_> =
        outcomes.iter().map(|outcome| format!("{} {}", outcome["direction"], outcome["qty"])).collect();
    assert_eq!(sides[..4], ["b 10", "s 10", "b 10", "s 10"]);
    assert!(outcomes.iter().all(|outcome| outcome["outcome"] == "filled"), "{outcomes:?}");
    let summary = summary(&output);
    house.check_books(&summary);
    assert_eq!(summary["strategies"][0]["signals"].as_u64().unwrap(), house.orders().len() as u64);
}

#[test]
fn a_script_in_the_strategies_folder_is_found_by_its_strategys_name() {
    let house = House::new();
    std::fs::create_dir(house.state("strategies")).unwrap();
    write(&house, "strategies/seesaw_strategy.rhai", SEESAW);
    let size = "size = { rule = \"10sh\" }";
    let manifest = write(&house, "run.toml", &format!("[[strategy]]\nname = \"seesaw\"\n{size}\n"));
    let bot = start(&house, &manifest, &["--for", "1s"]);
    wait_for_outcomes(&house, "seesaw", 1);
    exits(&bot.end(), 0);
    let nowhere = write(&house, "nowhere.toml", "[[strategy]]\nname = \"ghost\"\n");
    let output = house.run(&["check", &nowhere]);
    exits(&output, 3);
    let says = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        says.contains("kind or script must be written, or strategies/ghost_strategy.rhai be there"),
        "{says}"
    );
}

#[test]
fn strategies_are_stopped_and_started_by_name_while_the_bot_runs() {
    let house = House::new();
    let bot = start(&house, &manifest(&house, &[("seesaw", SEESAW), ("other", SEESAW)]), &[]);
    wait_for_outcomes(&house, "seesaw", 1);
    let switch =
        |arguments: &[&str]| Bot::start(house.command("state", &[&["strategy"], arguments].concat())).end();
    exits(&switch(&["stop", "seesaw"]), 0);
    let status = summary(&switch(&["status", "--json"]));
    assert_eq!((&status[0]["active"], &status[1]["active"]), (&false.into(), &true.into()));
    let events = status[1]["signals"].as_u64().unwrap();
    wait_for_outcomes(&house, "other", usize::try_from(events).unwrap() + 2);
    let stopped_at = summary(&switch(&["status", "--json"]))[0]["signals"].clone();
    assert_eq!(stopped_at, status[0]["signals"], "a stopped strategy sends nothing");
    exits(&switch(&["start", "seesaw"]), 0);
    wait_for_outcomes(&house, "seesaw", usize::try_from(stopped_at.as_u64().unwrap()).unwrap() + 1);
    let nobody = switch(&["stop", "nobody"]);
    exits(&nobody, 4);
    assert!(
        said(&nobody).contains("strategy must be one of seesaw, other, was \"nobody\""),
        "{}",
        said(&nobody)
    );
    bot.signal("TERM");
    exits(&bot.end(), 0);
    exits(&switch(&["status"]), 4);
}

#[test]
fn a_strategy_that_loops_fails_or_returns_nan_hurts_only_itself() {
    let house = House::new();
    let scripts = [
        ("forever", "fn on_event(event) { loop { } }"),
        ("nan", "fn on_event(event) { signal(event.symbol, 0.0 / 0.0); }"),
        ("throws", "fn on_event(event) { throw \"on purpose\"; }"),
        ("seesaw", SEESAW),
    ];
    let bot = start(&house, &manifest(&house, &scripts), &[]);
    wait_for_outcomes(&house, "seesaw", 3);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let summary = summary(&output);
    for (at, (name, _)) in scripts.iter().enumerate().take(3) {
        let status = &summary["strategies"][at];
        let failure = status["last_failure"].as_str().unwrap_or_default();
        assert!(failure.contains(name) && failure.contains("_strategy.rhai:"), "{name}: {failure}");
        assert_eq!(status["active"], false, "{name}");
        assert!(
            said(&output).contains(&format!("strategy \\\"{name}\\\" failed"))
                || said(&output).contains(failure)
        );
    }
    house.check_books(&summary);
}

/// Long above the mean of the last two seconds' trades, flat below: all that it knows comes from its window.
const ABOVE_MEAN: &str = r#"
fn horizon() { "10s" }
fn init() { this.said = 0.0; }
fn on_event(event) {
    if event.kind != "trade" || count(event.symbol, "2s") < 3 { return; }
    let level = if event.price > mean(event.symbol, "2s") { 1.0 } else { 0.0 };
    if level != this.said { signal(event.symbol, level); }
    this.said = level;
}
"#;

#[track_caller]
fn check_live_and_replayed(script: &str) {
    let house = House::new();
    let record = house.state("tape").display().to_string();
    let bot = start(&house, &manifest(&house, &[("same", script)]), &["--record", &record]);
    wait_for_outcomes(&house, "same", 4);
    bot.signal("TERM");
    exits(&bot.end(), 0);
    let sent: Vec<String> = house
        .stream("nvda")
        .iter()
        .map(|signal| format!("{} {}", signal["id"], signal["strength"]))
        .collect();
    let replayed = replay(Path::new(&record), house.state("same_strategy.rhai").as_path());
    assert_eq!(sent, replayed[..sent.len()], "replay");
    assert!(
        replayed.len() <= sent.len() + 1,
        "the tape may hold a last event that the strategy no longer saw"
    );
}

#[test]
fn the_same_ticks_give_the_same_signals_live_and_replayed() {
    check_live_and_replayed(SEESAW);
}

#[test]
fn a_window_of_ticks_is_the_same_live_and_replayed() {
    check_live_and_replayed(ABOVE_MEAN);
}

/// What the strategy wishes for over the recorded events, named as the live run names its signals.
fn replay(tape: &Path, script: &Path) -> Vec<String> {
    let symbols: Vec<Symbol> = vec!["NVDA".parse().unwrap()];
    let strategy = bot::manifest::strategy::read_script(script)
        .unwrap()
        .make(&WrittenParams::default(), &symbols)
        .unwrap();
    let mut runner = Runner::new("same", strategy, &symbols, Every::Event);
    let mut signals = Vec::new();
    for event in history::read(tape, history::OnFault::Error).unwrap() {
        let event = event.unwrap();
        let wishes: Vec<Wish> = runner.on_event(&event).unwrap().collect();
        for wish in wishes {
            let Wish::Signal { strength, .. } = wish else { panic!("{wish:?}") };
            signals.push(format!("same-{}-0 {}", event.known_at().nanos(), strength.get()));
        }
    }
    signals
}

/// Goes long at its first evaluation, closes at its second, and has nothing more to say.
struct InAndOut(u32);

impl Trader for InAndOut {
    fn evaluate(&mut self, now: Timestamp, _: &Window) -> Result<Option<TradeOrder>, TraderError> {
        self.0 += 1;
        let order = |direction| TradeOrder::new(now, direction, "NVDA".parse().unwrap());
        Ok(match self.0 {
            1 => Some(order(TradeDirection::Long).invalid_at(now + LONG)),
            2 => Some(order(TradeDirection::Close)),
            _ => None,
        })
    }
}

#[test]
fn an_engines_orders_are_traded_by_the_pool_each_exactly_once() {
    let house = House::new();
    let bot = Bot::start(house.command("state", &["run", "--json", "--rate-limit", "off", "-w", "2"]));
    let outbox = to_stream(&house.redis.url().parse().unwrap(), "nvda");
    let outlet = Outlet::new("walnut", Some("10".parse().unwrap()), Arc::new(SystemClock), outbox);
    let issued = Arc::new(Mutex::new(Vec::new()));
    let (note, sender) = (Arc::clone(&issued), outlet.clone());
    let engine = Engine::new(LONG, move |_| {
        let (note, mut send) = (Arc::clone(&note), sender.callback());
        TraderSetup::new(InAndOut(0), Duration::from_millis(50), move |order| {
            note.lock().unwrap().push(order);
            send(order);
        })
    });
    let nvda: Symbol = "NVDA".parse().unwrap();
    engine.tick(Tick::new(nvda, 180.0)).unwrap();
    engine.start(nvda).unwrap();
    wait_for_outcomes(&house, "walnut", 2);
    engine.stop(nvda).unwrap();

    // Whoever is not sure that an order arrived sends it again: the same signal, no second order.
    let first = issued.lock().unwrap()[0];
    outlet.send(&first).unwrap();
    let elsewhere = to_stream(&house.redis.url().parse().unwrap(), "nvda");
    let another_process =
        Outlet::new("walnut", Some("10".parse().unwrap()), Arc::new(SystemClock), elsewhere);
    another_process.send(&first).unwrap();
    wait_for_outcomes(&house, "walnut", 4);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);

    let entries = house.stream("nvda");
    let id = format!("walnut-NVDA-{}-long", first.timestamp.nanos());
    assert_eq!((&entries[0]["id"], &entries[0]["strength"]), (&id, &"1".to_owned()));
    assert!(entries[0]["ttl_ms"].parse::<u64>().unwrap() <= 60_000);
    let outcomes = of(&house, "walnut");
    let sides: Vec<_> =
        outcomes.iter().map(|outcome| format!("{} {}", outcome["direction"], outcome["qty"])).collect();
    assert_eq!(sides[..2], ["b 10", "s 10"]);
    assert_eq!(house.orders().len(), 2, "one order for each that the engine issued");
    house.check_books(&summary(&output));
}
