//! What is read of an entry, and what its order is called.

use proptest::prelude::*;

use super::*;
use crate::signal::{CLIENT_ORDER_ID_PREFIX, EntryId, IdSpace};

fn entry(fields: &[(&str, &[u8])]) -> Entry {
    Entry {
        id: EntryId::new("1700000000000-0"),
        fields: fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect(),
        sent_at: Timestamp::from_millis(1_700_000_000_000),
        deliveries: 1,
    }
}

fn nvda() -> Vec<Symbol> {
    vec!["NVDA".parse().unwrap()]
}

#[track_caller]
fn check(fields: &[(&str, &[u8])], expected: &str) {
    let found = match Signal::parse(&entry(fields), &nvda()) {
        Ok(signal) => format!("{} {}", signal.symbol, signal.wanted.word()),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn names_and_directions_are_read_in_any_case_and_trimmed() {
    check(&[("ticker", b"NVDA"), ("direction", b"b")], "NVDA buy");
    check(&[("Ticker", b" nvda "), ("Direction", b"SELL\n")], "NVDA sell");
    check(&[("TICKER", b"NVDA"), ("direction", b"Buy"), ("extra", b"\xff")], "NVDA buy");
    check(&[("ticker", b"NVDA"), ("Ticker", b"NVDA"), ("direction", b"s")], "NVDA sell");
}

#[test]
fn a_missing_direction_never_becomes_a_buy() {
    check(&[("ticker", b"NVDA")], "field direction is missing");
    check(&[("ticker", b"NVDA"), ("direction", b"  ")], "field direction is missing");
}

#[test]
fn malformed_entries_say_which_field_and_what_is_allowed() {
    check(&[("direction", b"b")], "field ticker is missing");
    check(&[("ticker", b"NVDA"), ("direction", b"b"), ("DIRECTION", b"s")], "field direction is given twice");
    check(
        &[("ticker", b"NVDA"), ("direction", b"\xff\xfe")],
        "field direction must be UTF-8 text, was \"\u{fffd}\u{fffd}\"",
    );
    check(&[("ticker", b"TSLA"), ("direction", b"b")], "field ticker must be one of NVDA, was \"TSLA\"");
    check(
        &[("ticker", b"NVDA"), ("direction", b"hold")],
        "field direction must be b, s, buy or sell, was \"hold\"",
    );
    check(
        &[("ticker", b"NVDA"), ("direction", b"b"), ("qty", b"-1")],
        "field qty must be a number of shares above 0, at most 9 decimals, was \"-1\"",
    );
    check(
        &[("ticker", b"NVDA"), ("direction", b"b"), ("strength", b"nan")],
        "field strength must be a number from -1 to 1, was \"nan\"",
    );
    let long = [b'x'; 200];
    assert!(Signal::parse(&entry(&[("ticker", &long), ("direction", b"b")]), &nvda()).is_err());
}

#[test]
fn the_order_id_depends_on_content_epoch_and_the_producers_id_alone() {
    let space = IdSpace { environment: "paper".into(), stream: "nvda".into(), epoch: "e1".into() };
    let buy = Signal::parse(&entry(&[("ticker", b"NVDA"), ("direction", b"b")]), &nvda()).unwrap();
    let sell =
        Signal { wanted: Wanted::Order { side: Side::Sell, quantity: None, strength: None }, ..buy.clone() };
    let id = buy.client_order_id(&space);
    assert_eq!(id, Signal { redelivered: true, ..buy.clone() }.client_order_id(&space));
    assert_ne!(id, sell.client_order_id(&space));
    assert_ne!(id, buy.client_order_id(&IdSpace { epoch: "e2".into(), ..space.clone() }));
    let resent =
        |entry: &str| Signal { id: EntryId::new(entry), producer_id: Some("mine-7".into()), ..buy.clone() };
    assert_eq!(resent("1-0").client_order_id(&space), resent("2-0").client_order_id(&space));
    assert!(id.as_str().starts_with(CLIENT_ORDER_ID_PREFIX));
}

#[test]
fn a_tag_travels_with_its_signal_and_changes_nothing_of_its_order() {
    let read = |tag: &str| {
        Signal::parse(&entry(&[("ticker", b"NVDA"), ("direction", b"b"), ("Tag", tag.as_bytes())]), &nvda())
    };
    let tagged = read("break out ").unwrap();
    assert_eq!(tagged.tag.as_ref().map(Tag::as_str), Some("break out"));
    let fields = tagged.fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    assert_eq!(Signal::parse(&entry(&fields), &nvda()).unwrap(), tagged);
    let space = IdSpace { environment: "paper".into(), stream: "nvda".into(), epoch: "e1".into() };
    let plain = Signal { tag: None, ..tagged.clone() };
    assert_eq!(tagged.client_order_id(&space), plain.client_order_id(&space));
    let step = tagged.next_step(true, "no_fill", Timestamp::from_secs(1));
    assert_eq!(tagged.followed_by(step).tag, tagged.tag);
    assert_eq!(
        read("a,b").unwrap_err().to_string(),
        "field tag must be 1 to 32 printable characters, no comma, no quote and no space at its ends, was \"a,b\""
    );
}

#[test]
fn a_weight_travels_alone_with_its_strategy() {
    let read = |fields: &[(&str, &[u8])]| {
        let own: [(&str, &[u8]); 2] = [("ticker", b"NVDA"), ("weight", b"-0.25")];
        Signal::parse(&entry(&[&own[..], fields].concat()), &nvda())
    };
    let signal = read(&[("strategy", b"pairs")]).unwrap();
    assert_eq!(signal.wanted, Wanted::Weight(TargetWeight::new(-0.25).unwrap()));
    let fields = signal.fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    assert_eq!(Signal::parse(&entry(&fields), &nvda()).unwrap(), signal);
    let alone: [&[(&str, &[u8])]; 3] =
        [&[], &[("strategy", b"pairs"), ("direction", b"b")], &[("strategy", b"pairs"), ("qty", b"5")]];
    for others in alone {
        assert_eq!(
            read(others).unwrap_err().to_string(),
            "field weight must be alone, with the strategy whose equity it is a part of, was \"-0.25\""
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_signal_or_an_error_never_a_panic(
        fields in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..12), prop::collection::vec(any::<u8>(), 0..200)), 0..8)
    ) {
        let entry = Entry { fields, ..entry(&[]) };
        let _ = Signal::parse(&entry, &nvda());
    }

    #[test]
    fn every_strategy_name_gives_a_legal_order_id(strategy in ".{0,200}") {
        let signal = Signal { strategy: strategy.into(), ..Signal::parse(&entry(&[("ticker", b"NVDA"), ("direction", b"b")]), &nvda()).unwrap() };
        let space = IdSpace { environment: String::new(), stream: String::new(), epoch: String::new() };
        prop_assert!(signal.client_order_id(&space).as_str().len() <= 48);
    }
}
