//! Strategies inside `bot run`, and engines beside it: their signals take the way of all signals; they are started,
//! stopped and hurt alone.

mod by_hand;
mod contract;
mod feeds;
mod shorts;
mod tags;
mod targets;

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bot::clock::{SystemClock, Timestamp};
use bot::engine::{Engine, OrderForwarder, TradeDirection, TradeOrder, Trader, TraderError, TraderSetup};
use bot::history;
use bot::series::{Series, SeriesFeed};
use bot::signal::Wanted;
use bot::strategy::{Every, Listener, Runner, StrategyRun, StrategySignal, WrittenParams};
use bot::strategy_threads::signal_sender::to_stream;
use bot::symbol::Symbol;
use bot::ticks::{Span, Tick};
use bot::units::Price;

use crate::redis_server::{RedisServer, wait_until};
use crate::test_bed::{Bot, Fields, TestBed, exits, said, summary};

const LONG: Duration = Duration::from_mins(1);

/// The trades of the live feed: without a data section a strategy hears bars of a minute.
const TRADES: &str = "[data.nvda]\nkind = \"redis\"\nevent = \"trade\"\n";

/// Buys ten shares at its third event, sells them at its sixth, and so on.
const SEESAW: &str = r"
fn init() { this.seen = 0; }
fn on_event(event) {
    this.seen += 1;
    if this.seen % 6 == 3 { signal(event.symbol, 1.0); }
    if this.seen % 6 == 0 { signal(event.symbol, 0.0); }
}
";

fn write(bed: &TestBed, file: &str, text: &str) -> String {
    let path = bed.state(file);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A manifest with a strategy for each script, asked at each trade and sized ten shares.
fn manifest(bed: &TestBed, scripts: &[(&str, &str)]) -> String {
    let mut text = TRADES.to_owned();
    for (name, script) in scripts {
        write(bed, &format!("{name}_strategy.rhai"), script);
        writeln!(
            text,
            "[[strategy]]\nname = \"{name}\"\nscript = \"{name}_strategy.rhai\"\nsymbols = [\"NVDA\"]"
        )
        .unwrap();
        writeln!(text, "size = {{ rule = \"10sh\", mode = \"target\" }}").unwrap();
    }
    write(bed, "run.toml", &text)
}

fn start(bed: &TestBed, manifest: &str, more: &[&str]) -> Bot {
    let arguments = [&["run", manifest, "--json", "--rate-limit", "off", "-w", "2"], more].concat();
    Bot::start(bed.command("state", &arguments))
}

fn of(bed: &TestBed, strategy: &str) -> Vec<Fields> {
    bed.outcomes()
        .into_iter()
        .filter(|outcome| outcome.get("strategy").is_some_and(|name| name == strategy))
        .collect()
}

#[track_caller]
fn wait_for_outcomes(bed: &TestBed, strategy: &str, count: usize) {
    let enough = wait_until(LONG, || (of(bed, strategy).len() >= count).then_some(()));
    assert!(enough.is_some(), "{} of {count} outcomes of {strategy}", of(bed, strategy).len());
}

#[test]
fn a_strategys_signals_are_traded_like_all_others_and_its_position_follows_its_strength() {
    let bed = TestBed::new();
    let bot = start(&bed, &manifest(&bed, &[("seesaw", SEESAW)]), &[]);
    wait_for_outcomes(&bed, "seesaw", 4);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let outcomes = of(&bed, "seesaw");
    let sides: Vec<_> =
        outcomes.iter().map(|outcome| format!("{} {}", outcome["direction"], outcome["qty"])).collect();
    assert_eq!(sides[..4], ["b 10", "s 10", "b 10", "s 10"]);
    assert!(outcomes.iter().all(|outcome| outcome["outcome"] == "filled"), "{outcomes:?}");
    let summary = summary(&output);
    bed.check_books(&summary);
    // What it sent after the intake had stopped stays on the stream for the next process.
    assert_eq!(summary["strategies"][0]["signals"].as_u64().unwrap(), bed.stream("nvda").len() as u64);
    assert_eq!(summary["signals"].as_u64().unwrap(), outcomes.len() as u64);
    assert_eq!(outcomes.len(), bed.orders().len());
}

#[test]
fn a_script_in_the_strategies_folder_is_found_by_its_strategys_name() {
    let bed = TestBed::new();
    std::fs::create_dir(bed.state("strategies")).unwrap();
    write(&bed, "strategies/seesaw_strategy.rhai", SEESAW);
    let size = "size = { rule = \"10sh\" }";
    let manifest = write(&bed, "run.toml", &format!("{TRADES}[[strategy]]\nname = \"seesaw\"\n{size}\n"));
    let bot = start(&bed, &manifest, &["--for", "1s"]);
    wait_for_outcomes(&bed, "seesaw", 1);
    exits(&bot.end(), 0);
    let nowhere = write(&bed, "nowhere.toml", "[[strategy]]\nname = \"ghost\"\n");
    let output = bed.run(&["check", &nowhere]);
    exits(&output, 3);
    let says = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        says.contains("kind or script must be written, or strategies/ghost_strategy.rhai be there"),
        "{says}"
    );
}

#[test]
fn strategies_are_stopped_and_started_by_name_while_the_bot_runs() {
    let bed = TestBed::new();
    let bot = start(&bed, &manifest(&bed, &[("seesaw", SEESAW), ("other", SEESAW)]), &[]);
    wait_for_outcomes(&bed, "seesaw", 1);
    let switch =
        |arguments: &[&str]| Bot::start(bed.command("state", &[&["strategy"], arguments].concat())).end();
    exits(&switch(&["stop", "seesaw"]), 0);
    let status = summary(&switch(&["status", "--json"]));
    assert_eq!((&status[0]["active"], &status[1]["active"]), (&false.into(), &true.into()));
    let events = status[1]["signals"].as_u64().unwrap();
    wait_for_outcomes(&bed, "other", usize::try_from(events).unwrap() + 2);
    let stopped_at = summary(&switch(&["status", "--json"]))[0]["signals"].clone();
    assert_eq!(stopped_at, status[0]["signals"], "a stopped strategy sends nothing");
    exits(&switch(&["start", "seesaw"]), 0);
    wait_for_outcomes(&bed, "seesaw", usize::try_from(stopped_at.as_u64().unwrap()).unwrap() + 1);
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
    let bed = TestBed::new();
    let scripts = [
        ("forever", "fn on_event(event) { loop { } }"),
        ("nan", "fn on_event(event) { signal(event.symbol, 0.0 / 0.0); }"),
        ("throws", "fn on_event(event) { throw \"on purpose\"; }"),
        ("seesaw", SEESAW),
    ];
    let bot = start(&bed, &manifest(&bed, &scripts), &[]);
    wait_for_outcomes(&bed, "seesaw", 3);
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
    bed.check_books(&summary);
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
    let bed = TestBed::new();
    let record = bed.state("tape").display().to_string();
    let bot = start(&bed, &manifest(&bed, &[("same", script)]), &["--record", &record]);
    wait_for_outcomes(&bed, "same", 4);
    bot.signal("TERM");
    exits(&bot.end(), 0);
    let sent: Vec<String> =
        bed.stream("nvda").iter().map(|signal| format!("{} {}", signal["id"], signal["strength"])).collect();
    let replayed = replay(Path::new(&record), bed.state("same_strategy.rhai").as_path());
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

/// What the strategy wants over the recorded events, named as the live run names its signals.
fn replay(tape: &Path, script: &Path) -> Vec<String> {
    let symbols: Vec<Symbol> = vec!["NVDA".parse().unwrap()];
    let strategy = bot::manifest::strategy::read_script(script)
        .unwrap()
        .make(&WrittenParams::default(), &symbols)
        .unwrap();
    let run = StrategyRun::new(Runner::new("same", strategy, &symbols, Every::Event), true, true);
    let mut listener = Listener::new(run, SeriesFeed::new(vec![Series::Trades(symbols[0])], Vec::new()));
    let mut strategy_signals = Vec::new();
    for event in history::read(tape, history::OnFault::Error).unwrap() {
        listener.hear(&[event.unwrap()], &mut strategy_signals).unwrap();
    }
    let named = |strategy_signal: &StrategySignal| {
        let Wanted::Strength(strength) = strategy_signal.wanted else { panic!("{strategy_signal:?}") };
        format!("{} {}", strategy_signal.id("same"), strength.get())
    };
    strategy_signals.iter().map(named).collect()
}

/// Goes long at its first evaluation, closes at its second, and has nothing more to say.
struct InAndOut(u32);

impl Trader for InAndOut {
    fn evaluate(&mut self, now: Timestamp, _: Span<'_>) -> Result<Option<TradeOrder>, TraderError> {
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
    let bed = TestBed::new();
    let bot = Bot::start(bed.command("state", &["run", "--json", "--rate-limit", "off", "-w", "2"]));
    let sender = to_stream(&bed.redis.url().parse().unwrap(), "nvda");
    let outlet = OrderForwarder::new("walnut", Some("10".parse().unwrap()), Arc::new(SystemClock), sender);
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
    wait_for_outcomes(&bed, "walnut", 2);
    engine.stop(nvda).unwrap();

    // Whoever is not sure that an order arrived sends it again: the same signal, no second order.
    let first = issued.lock().unwrap()[0];
    outlet.send(&first).unwrap();
    let another_process = || {
        let elsewhere = to_stream(&bed.redis.url().parse().unwrap(), "nvda");
        OrderForwarder::new("walnut", Some("10".parse().unwrap()), Arc::new(SystemClock), elsewhere)
    };
    another_process().send(&first).unwrap();
    wait_for_outcomes(&bed, "walnut", 4);

    // Long again, said twice, and closed after a restart: what is held already is not bought a second time.
    let later =
        |seconds, direction| TradeOrder::new(first.timestamp + Duration::from_secs(seconds), direction, nvda);
    let orders = [(1, TradeDirection::Long), (2, TradeDirection::Long), (3, TradeDirection::Close)];
    for (seconds, direction) in orders {
        another_process().send(&later(seconds, direction)).unwrap();
        wait_for_outcomes(&bed, "walnut", 4 + usize::try_from(seconds).unwrap());
    }
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);

    let entries = bed.stream("nvda");
    let id = format!("walnut-NVDA-{}-long", first.timestamp.nanos());
    assert_eq!((&entries[0]["id"], &entries[0]["target"]), (&id, &"10".to_owned()));
    assert!(entries[0]["ttl_ms"].parse::<u64>().unwrap() <= 60_000);
    let outcomes = of(&bed, "walnut");
    let word = |outcome: &Fields, field| outcome.get(field).cloned().unwrap_or_default();
    let sides: Vec<_> = outcomes
        .iter()
        .map(|outcome| ["outcome", "direction", "qty"].map(|field| word(outcome, field)).join(" "))
        .collect();
    assert_eq!(sides[..2], ["filled b 10", "filled s 10"]);
    assert_eq!(sides[4..], ["filled b 10", "skipped  ", "filled s 10"]);
    assert_eq!(bed.orders().len(), 4, "one order for each that changes what is held");
    bed.check_books(&summary(&output));
}

#[test]
fn numbers_of_a_redis_stream_and_another_symbols_quotes_are_looked_at_live() {
    let bed = TestBed::with(RedisServer::start(), |config| {
        config.market.symbols.push(("SPY".parse().unwrap(), Price::whole(500)));
    });
    bed.redis.run(&["XADD", "scores", "*", "value", "0.25"]);
    let script = r#"
fn on_event(event) {
    let news = latest("NEWS");
    let spy = latest("SPY");
    if news != () && spy != () && spy.price > 300.0 { signal(event.symbol, news.price); }
}
"#;
    write(&bed, "reader_strategy.rhai", script);
    let manifest = format!(
        "{TRADES}[data.spy]\nkind = \"redis\"\nevent = \"quote\"\n\
         [data.news]\nkind = \"redis\"\nevent = \"number\"\nstream = \"scores\"\n\
         [[strategy]]\nname = \"reader\"\nscript = \"reader_strategy.rhai\"\nsymbols = [\"NVDA\"]\n\
         also = [\"spy\", \"news\"]\nsize = {{ rule = \"40sh\", mode = \"target\" }}\n"
    );
    let bot = start(&bed, &write(&bed, "run.toml", &manifest), &[]);
    wait_for_outcomes(&bed, "reader", 1);
    bed.redis.run(&["XADD", "scores", "*", "value", "0.5"]);
    wait_for_outcomes(&bed, "reader", 2);
    bot.signal("TERM");
    exits(&bot.end(), 0);
    let bought = of(&bed, "reader");
    let bought: Vec<_> = bought.iter().map(|one| (&*one["direction"], &*one["filled_qty"])).collect();
    assert_eq!(bought, [("b", "10"), ("b", "10")]);
}

#[test]
fn each_number_of_a_redis_stream_calls_a_script_whose_main_data_it_is() {
    let bed = TestBed::new();
    let script = "fn on_number(number) { if number.value > 0.0 { buy(\"NVDA\", number.value); } }\n";
    write(&bed, "scores_strategy.rhai", script);
    let manifest = "[data.news]\nkind = \"redis\"\nevent = \"number\"\nstream = \"scores\"\n\
        [[strategy]]\nname = \"scores\"\nscript = \"scores_strategy.rhai\"\nsymbols = [\"NVDA\"]\n";
    let bot = start(&bed, &write(&bed, "run.toml", manifest), &[]);
    // Of those that were there before it only the latest is heard.
    bed.redis.run(&["XADD", "scores", "*", "value", "2"]);
    wait_for_outcomes(&bed, "scores", 1);
    bed.redis.run(&["XADD", "scores", "*", "value", "-1"]);
    bed.redis.run(&["XADD", "scores", "*", "value", "3"]);
    wait_for_outcomes(&bed, "scores", 2);
    bot.signal("TERM");
    exits(&bot.end(), 0);
    let bought = of(&bed, "scores");
    let bought: Vec<_> = bought.iter().map(|one| (&*one["direction"], &*one["filled_qty"])).collect();
    assert_eq!(bought, [("b", "2"), ("b", "3")]);
}

#[test]
fn what_cannot_be_fed_live_is_refused_at_the_start_with_the_section_that_names_it() {
    let bed = TestBed::new();
    write(&bed, "news.csv", "time,value\n2026-11-20T15:00:00Z,1\n");
    let news = "[data.news]\nkind = \"csv\"\nevent = \"number\"\npath = \"news.csv\"\n";
    let strategy = "[[strategy]]\nname = \"hold\"\nkind = \"buy_and_hold\"\nalso = [\"news\"]\n";
    let output = bed.run(&["run", &write(&bed, "run.toml", &format!("{TRADES}{news}{strategy}"))]);
    exits(&output, 3);
    let rule = "data.news.kind: numbers must come from \"redis\" for a live run, was \"csv\"";
    assert!(said(&output).contains(rule), "{}", said(&output));
    assert_eq!(bed.exchange().counts().requests, 0, "nothing was started");
}

#[test]
fn a_strategy_that_leaves_orders_standing_is_refused_at_the_start() {
    let bed = TestBed::new();
    write(&bed, "rests_strategy.rhai", "fn on_event(event) { buy(event.symbol, 5, 90.0); cancel_all(); }");
    for (code, rule) in [
        ("kind = \"naive_test\"", "kind must be one whose orders end at once until standing orders exist"),
        ("script = \"rests_strategy.rhai\"", "until standing orders exist"),
    ] {
        let manifest =
            format!("{TRADES}[[strategy]]\nname = \"rests\"\n{code}\nsize = {{ mode = \"order\" }}\n");
        let output = bed.run(&["run", &write(&bed, "run.toml", &manifest)]);
        exits(&output, 3);
        assert!(said(&output).contains(rule), "{}", said(&output));
    }
    assert_eq!(bed.exchange().counts().requests, 0);
}

/// Shares that the account holds at the exchange.
fn held(bed: &TestBed) -> String {
    let nvda = "NVDA".parse().unwrap();
    bed.exchange()
        .with(|core| core.position(nvda).map_or_else(String::new, |found| found.quantity.to_string()))
}

fn hold(bed: &TestBed, name: &str) -> String {
    let size = "size = { rule = \"5sh\", mode = \"target\" }";
    let text = format!("{TRADES}[[strategy]]\nname = \"{name}\"\nkind = \"buy_and_hold\"\n{size}\n");
    write(bed, &format!("{name}.toml"), &text)
}

#[test]
fn a_strategy_that_holds_five_shares_holds_five_after_every_restart_and_after_redis_forgot_all() {
    let bed = TestBed::new();
    let manifest = hold(&bed, "hold");
    for round in 0..4 {
        if round == 3 {
            bed.redis.run(&["FLUSHALL"]);
        }
        let bot = start(&bed, &manifest, &[]);
        if round == 0 {
            wait_for_outcomes(&bed, "hold", 1);
        }
        wait_for_events(&bed, "state", 20);
        bot.signal(if round == 1 { "KILL" } else { "TERM" });
        let output = bot.end();
        if round != 1 {
            exits(&output, 0);
            bed.check_books(&summary(&output));
        }
        assert_eq!(held(&bed), "5", "start {round}");
    }
    assert_eq!(bed.orders().len(), 1);
}

/// Waits until the only strategy of the bot in this state directory was asked so often.
#[track_caller]
fn wait_for_events(bed: &TestBed, state: &str, count: u64) {
    let asked = || {
        let output = Bot::start(bed.command(state, &["strategy", "status", "--json"])).end();
        output.status.success().then(|| summary(&output)[0]["events"].as_u64()).flatten()
    };
    let enough = wait_until(LONG, || asked().filter(|events| *events >= count));
    assert!(enough.is_some(), "{count} events");
}

#[test]
fn who_does_not_run_the_strategies_says_so_and_hands_their_signals_to_who_does() {
    let bed = TestBed::new();
    let manifest = manifest(&bed, &[("seesaw", SEESAW)]);
    let runs = start(&bed, &manifest, &[]);
    wait_for_events(&bed, "state", 1);
    let second = [&["run", &*manifest][..], &["--json", "--rate-limit", "off", "-w", "2"]].concat();
    let second = Bot::start(bed.command("second", &second));
    let plain = Bot::start(bed.command("plain", &["run", "--json", "--rate-limit", "off", "-w", "2"]));
    wait_for_outcomes(&bed, "seesaw", 12);
    let plain_signals: Vec<_> =
        (0..6).map(|_| bed.send(&["ticker", "NVDA", "direction", "b", "qty", "1"])).collect();
    let all = || {
        let outcomes = bed.outcomes();
        plain_signals.iter().all(|id| outcomes.iter().any(|outcome| outcome["signal"] == *id)).then_some(())
    };
    assert!(wait_until(LONG, all).is_some());
    for other in [&second, &plain] {
        other.signal("TERM");
    }
    let (second, plain) = (second.end(), plain.end());
    exits(&second, 0);
    exits(&plain, 0);
    assert!(said(&second).contains("another process runs the strategies"), "{}", said(&second));
    runs.signal("TERM");
    exits(&runs.end(), 0);
    let outcomes = of(&bed, "seesaw");
    let instances: HashSet<_> = outcomes.iter().map(|outcome| &outcome["instance"]).collect();
    assert_eq!(instances.len(), 1, "one process follows them all");
    // On their way over the other processes some are overtaken, and none is traded twice or late.
    let ends: HashSet<_> = outcomes.iter().map(|outcome| &*outcome["outcome"]).collect();
    assert!(ends.is_subset(&HashSet::from(["filled", "skipped"])), "{ends:?}");
    let filled = outcomes.iter().filter(|outcome| outcome["outcome"] == "filled");
    let sides: Vec<_> = filled.map(|outcome| &*outcome["direction"]).collect();
    assert!(sides.len() >= 4 && sides.windows(2).all(|pair| pair[0] != pair[1]), "{sides:?}");
    let own = if sides.last() == Some(&"b") { 10 } else { 0 };
    assert_eq!(held(&bed), (own + plain_signals.len()).to_string());
}
