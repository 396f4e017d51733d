//! What a strategy calls its signals goes with them, live: onto the stream, into outcomes, through every step.

use std::time::Duration;

use super::by_hand::ByHand;
use super::*;

/// Longs, shorts and closes by the price of a trade, each under a tag of its own.
const TAGGED: &str = r#"
fn on_event(event) {
    log(`price ${event.price}`);
    if event.price > 101.0 { signal(event.symbol, -1.0, #{ tag: "turn" }); }
    else if event.price > 100.0 { signal(event.symbol, 1.0, #{ tag: "break out" }); }
    else { close(event.symbol, #{ tag: "stop" }); }
}
"#;

#[test]
fn a_tag_and_a_log_line_are_seen_from_outside_of_a_run() {
    let bed = TestBed::new();
    let bot =
        start(&bed, &manifest(&bed, &[("seesaw", &SEESAW.replace("1.0)", "1.0, #{ tag: \"up\" })"))]), &[]);
    wait_for_outcomes(&bed, "seesaw", 2);
    bot.signal("TERM");
    exits(&bot.end(), 0);
    let tags: Vec<_> = of(&bed, "seesaw").iter().map(|outcome| outcome.get("tag").cloned()).collect();
    assert_eq!(tags[..2], [Some("up".to_owned()), None]);
    let sent: Vec<_> = bed.stream("nvda").iter().map(|entry| entry.get("tag").cloned()).collect();
    assert_eq!(sent[..2], [Some("up".to_owned()), None]);
}

#[test]
fn a_line_that_a_script_logs_live_has_its_strategy_and_the_time_of_its_event() {
    let bed = TestBed::new();
    let speaks =
        "fn on_event(event) { log(\"heard\"); plot(\"price\", event.price); signal(event.symbol, 1.0); }";
    let bot = start(&bed, &manifest(&bed, &[("speaks", speaks)]), &["--log-format", "json"]);
    wait_for_outcomes(&bed, "speaks", 1);
    bot.signal("TERM");
    let output = bot.end();
    exits(&output, 0);
    let said = said(&output);
    let lines = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let heard = lines.into_iter().find(|line| line["message"] == "heard").unwrap();
    assert_eq!(heard["strategy"], "speaks", "{heard}");
    Timestamp::parse_rfc3339(heard["at"].as_str().unwrap()).unwrap();
}

#[test]
fn the_missing_part_and_the_second_half_of_a_flip_keep_the_tag_of_their_signal() {
    let bed = ByHand::new();
    bed.write("tagged_strategy.rhai", TAGGED);
    let manifest = format!(
        "[risk]\nshort = true\n{TRADES}[[strategy]]\nname = \"tagged\"\nscript = \"tagged_strategy.rhai\"\n\
         size = {{ rule = \"10sh\", mode = \"target\" }}\n"
    );
    bed.quote(100.0, 6.0);
    bed.run(&manifest, |hand| {
        hand.trade(100.5);
        hand.outcomes(1);
        bed.quote(100.0, 1_000.0);
        hand.advance(Duration::from_secs(2));
        hand.outcomes(2);
        hand.quiet();
        hand.trade(102.0);
        hand.quiet();
        hand.trade(99.0);
        hand.quiet();
    });
    let tags: Vec<String> =
        bed.stream.outcomes().iter().map(|outcome| outcome.tag().unwrap().as_str().to_owned()).collect();
    let story: Vec<String> =
        bed.story().into_iter().zip(tags).map(|(line, tag)| format!("{line} ({tag})")).collect();
    assert_eq!(
        story,
        [
            "tagged buy 6 of 10 partly_filled (break out)",
            "tagged.1 buy 4 of 4 filled (break out)",
            "tagged sell 10 of 10 filled (turn)",
            "tagged.1 sell 10 of 10 filled (turn)",
            "tagged buy 10 of 10 filled (stop)"
        ]
    );
}
