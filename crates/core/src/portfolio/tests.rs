//! What the portfolio promises: targets against the books as they are, nets whose parts sum, ends that are followed.

use super::*;
use crate::order::TimeInForce;
use crate::outcome::OutcomeKind;
use crate::signal::EntryId;

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn x() -> Symbol {
    "X".parse().unwrap()
}

fn shares(number: i64) -> Quantity {
    Quantity::new(number.into())
}

fn price() -> Price {
    Price::whole(100)
}

fn member(name: &str, rule: &str, is_target: bool) -> Member {
    Member {
        sizing: Sizing {
            rule: rule.parse().unwrap(),
            is_target,
            short: true,
            position_max: None,
            within_equity: false,
            weights: vec![(x(), Weight::ONE)],
        },
        weight: Weight::percent(50),
        retry: Retry::default(),
        book: StrategyBook::new(name, Money::whole(10_000)),
    }
}

fn signal(id: &str, strategy: &str, wanted: Wanted) -> Signal {
    Signal {
        id: EntryId::new(id),
        producer_id: None,
        symbol: x(),
        wanted,
        limit: None,
        time_in_force: TimeInForce::Ioc,
        strategy: strategy.into(),
        tag: None,
        is_own: true,
        time_to_live: None,
        sent_at: NOW,
        step: None,
        redelivered: false,
    }
}

fn strength(number: f64) -> Wanted {
    Wanted::Strength(Strength::new(number).unwrap())
}

/// Drafts, sends and fills a signal with so many shares of what it asks for; says the draft and what follows.
fn play(
    portfolio: &mut Portfolio,
    signal: &Signal,
    filled: impl Fn(Quantity) -> Quantity,
) -> (Result<Draft, Refusal>, Ended) {
    let place = portfolio.place(&signal.strategy).unwrap();
    let draft = portfolio.draft(place, signal, price(), &|_| Some(price()));
    let (ordered, parts) = match &draft {
        Ok(draft) => {
            let signed = if draft.side == Side::Sell { -draft.quantity } else { draft.quantity };
            portfolio.ordered(place, x(), signed, draft.parts.as_ref(), NOW);
            (signed, draft.parts.clone())
        }
        Err(_) => (Quantity::ZERO, None),
    };
    let done = filled(ordered.abs());
    let kind = match &draft {
        Err(refusal) => refusal.outcome(),
        Ok(_) if done == ordered.abs() => OutcomeKind::Filled,
        Ok(_) if done.is_zero() => OutcomeKind::Unfilled,
        Ok(_) => OutcomeKind::PartlyFilled,
    };
    let reason = draft.as_ref().err().map_or(String::new(), |refusal| format!("{}: x", refusal.code()));
    let filled = if ordered.is_negative() { -done } else { done };
    let ending = Ending {
        place,
        signal,
        kind,
        reason: &reason,
        ordered,
        parts: parts.as_ref(),
        goes_on: false,
        filled,
        paid: price() * filled,
        fee: Money::ZERO,
        at: NOW,
        opens_at: None,
    };
    let ended = portfolio.end(&ending);
    (draft, ended)
}

fn all(ordered: Quantity) -> Quantity {
    ordered
}

#[test]
fn a_target_that_is_sent_again_changes_nothing() {
    let mut portfolio = Portfolio::new(Combine::Separate, vec![member("a", "10sh", true)]);
    let (draft, ended) = play(&mut portfolio, &signal("1-0", "a", strength(1.0)), all);
    assert_eq!((draft.unwrap().quantity, ended.next), (shares(10), None));
    for id in ["1-0", "2-0"] {
        let (draft, ended) = play(&mut portfolio, &signal(id, "a", strength(1.0)), all);
        assert_eq!((draft.unwrap_err().code(), ended.next), ("at_target", None));
    }
    let (draft, _) = play(&mut portfolio, &signal("3-0", "a", Wanted::Target(shares(-5))), all);
    let draft = draft.unwrap();
    assert_eq!((draft.side, draft.quantity), (Side::Sell, shares(15)));
    assert_eq!(portfolio.book(0).held(x()), shares(-5));
}

#[test]
fn a_missing_part_is_asked_for_again_until_it_is_there_or_was_asked_for_often_enough() {
    let mut portfolio = Portfolio::new(Combine::Separate, vec![member("a", "10sh", true)]);
    let first = signal("1-0", "a", strength(1.0));
    let (_, ended) = play(&mut portfolio, &first, |_| shares(4));
    let step = ended.next.unwrap();
    assert_eq!((step.number, step.retries, step.due), (1, 1, NOW + Duration::from_secs(2)));
    let mut next = first.followed_by(step);
    assert_eq!((next.first(), next.identity()), ("1-0", "1-0.1"));
    for retries in 2..=3 {
        let (draft, ended) = play(&mut portfolio, &next, |_| Quantity::ZERO);
        assert_eq!(draft.unwrap().quantity, shares(6));
        let step = ended.next.unwrap();
        assert_eq!((step.retries, step.number), (retries, retries));
        next = next.followed_by(step);
    }
    let (_, ended) = play(&mut portfolio, &next, |_| Quantity::ZERO);
    assert_eq!(ended.next, None, "three times are enough");
}

#[test]
fn a_step_of_a_target_that_is_not_wanted_any_more_is_superseded() {
    let mut portfolio = Portfolio::new(Combine::Separate, vec![member("a", "10sh", true)]);
    let first = signal("1-0", "a", strength(1.0));
    let (_, ended) = play(&mut portfolio, &first, |_| shares(4));
    let step = first.followed_by(ended.next.unwrap());
    let _ = play(&mut portfolio, &signal("2-0", "a", strength(0.0)), all);
    let (draft, ended) = play(&mut portfolio, &step, all);
    assert_eq!((draft.unwrap_err().code(), ended.next), ("superseded", None));
    assert_eq!(portfolio.book(0).held(x()), Quantity::ZERO);
}

#[test]
fn a_refusal_that_repeats_ends_it() {
    let mut portfolio = Portfolio::new(Combine::Separate, vec![member("a", "10sh", true)]);
    let first = signal("1-0", "a", strength(1.0));
    let refused = |portfolio: &mut Portfolio, signal: &Signal, reason: &str| {
        portfolio.draft(0, signal, price(), &|_| Some(price())).unwrap();
        let kind = OutcomeKind::Refused;
        let (ordered, filled, paid, fee) = (Quantity::ZERO, Quantity::ZERO, Money::ZERO, Money::ZERO);
        let ending = Ending {
            place: 0,
            signal,
            kind,
            reason,
            ordered,
            parts: None,
            goes_on: false,
            filled,
            paid,
            fee,
            at: NOW,
            opens_at: None,
        };
        portfolio.end(&ending).next
    };
    let second = first.followed_by(refused(&mut portfolio, &first, "wide_spread: 200").unwrap());
    let third = second.followed_by(refused(&mut portfolio, &second, "order_rate: 3").unwrap());
    assert_eq!(refused(&mut portfolio, &third, "order_rate: 5"), None);
}

#[test]
fn a_strength_as_an_order_trades_that_part_of_the_rule_and_0_closes() {
    let mut portfolio = Portfolio::new(Combine::Separate, vec![member("a", "all", false)]);
    let mut trade = |id: &str, number: f64| {
        let (draft, ended) = play(&mut portfolio, &signal(id, "a", strength(number)), all);
        assert_eq!(ended.next, None);
        draft.map(|draft| (draft.side, draft.quantity)).map_err(|refusal| refusal.code())
    };
    assert_eq!(trade("1-0", 0.5), Ok((Side::Buy, shares(50))));
    assert_eq!(trade("2-0", 1.0), Ok((Side::Buy, shares(50))));
    assert_eq!(trade("3-0", 1.0), Err("at_target"));
    assert_eq!(trade("4-0", -0.25), Ok((Side::Sell, shares(25))));
    assert_eq!(trade("5-0", 0.0), Ok((Side::Sell, shares(75))));
    assert_eq!(trade("6-0", -1.0), Ok((Side::Sell, shares(100))));
    assert_eq!(trade("7-0", 0.0), Ok((Side::Buy, shares(100))));
}

#[test]
fn two_at_half_weight_hold_what_one_would() {
    let members = vec![member("a", "10sh", true), member("b", "10sh", true)];
    let mut portfolio = Portfolio::new(Combine::Net, members);
    let _ = play(&mut portfolio, &signal("1-0", "a", strength(1.0)), all);
    let _ = play(&mut portfolio, &signal("2-0", "b", strength(1.0)), all);
    assert_eq!(portfolio.held(x()), shares(10));
    assert_eq!(portfolio.book(0).target(x()).unwrap().shares, shares(5), "its part of what is wanted");
    // One turns round: five of its ten shares are netted against the other's.
    let (draft, ended) = play(&mut portfolio, &signal("3-0", "b", strength(-1.0)), all);
    assert_eq!(draft.unwrap().quantity, shares(10));
    assert_eq!(ended.others, []);
    assert_eq!((portfolio.book(0).held(x()), portfolio.book(1).held(x())), (shares(5), shares(-5)));
    let (draft, _) = play(&mut portfolio, &signal("4-0", "a", strength(1.0)), all);
    assert_eq!(draft.unwrap_err().code(), "at_target");
}

#[test]
fn a_partly_filled_net_order_moves_each_book_by_its_part() {
    let members = vec![member("a", "20sh", true), member("b", "20sh", true)];
    let mut portfolio = Portfolio::new(Combine::Net, members);
    let _ = play(&mut portfolio, &signal("1-0", "a", strength(1.0)), |_| Quantity::ZERO);
    let (draft, ended) = play(&mut portfolio, &signal("2-0", "b", strength(1.0)), |_| shares(10));
    assert_eq!(draft.unwrap().quantity, shares(20));
    assert_eq!((portfolio.book(0).held(x()), portfolio.book(1).held(x())), (shares(5), shares(5)));
    let told: Vec<_> = ended.told(&portfolio, Some(1), (OutcomeKind::PartlyFilled, "x")).collect();
    assert_eq!((told[0].0, told[0].1.outcome.is_some()), (1, true));
    assert_eq!((told[1].0, told[1].1.outcome, told[1].1.position.quantity()), (0, None, shares(5)));
    let cash = portfolio.book(0).cash() + portfolio.book(1).cash();
    assert_eq!(cash, Money::whole(19_000));
}

#[test]
fn an_intent_that_a_newer_one_overtook_is_superseded() {
    let mut portfolio = Portfolio::new(Combine::Separate, vec![member("a", "10sh", true)]);
    let (draft, _) = play(&mut portfolio, &signal("9-3", "a", strength(1.0)), all);
    assert_eq!(draft.unwrap().quantity, shares(10));
    for older in ["9-2", "8-7"] {
        let (draft, ended) = play(&mut portfolio, &signal(older, "a", strength(0.0)), all);
        assert_eq!((draft.unwrap_err(), ended.next), (Refusal::Superseded(x()), None), "{older}");
    }
    assert_eq!(portfolio.book(0).target(x()).unwrap().shares, shares(10));
    let (draft, _) = play(&mut portfolio, &signal("10-0", "a", strength(0.5)), all);
    assert_eq!((draft.unwrap().side, portfolio.book(0).held(x())), (Side::Sell, shares(5)));
}
