//! Lanes: no symbol holds up another, and neither a flood nor orders that hang hold up the pool.

use super::*;

/// With both symbols.
fn both(workers: usize) -> Config {
    Config { symbols: vec![nvda(), spy()], ..config(workers) }
}

#[test]
fn opposite_sides_of_one_symbol_hold_up_no_order_of_another() {
    let stage = Stage::new();
    for direction in ["b", "s", "s", "s"] {
        stage.send_of("NVDA", direction);
    }
    stage.send_of("SPY", "b");
    let spy_is_sent = AtomicBool::new(false);
    let summary = stage.run(&both(2), &|order, send| {
        // The broker takes the first order only once it has that of the other symbol.
        if order.symbol == spy() {
            spy_is_sent.store(true, Ordering::SeqCst);
        } else {
            wait_for(|| spy_is_sent.load(Ordering::SeqCst).then_some(()));
        }
        send()
    });
    // One of the sells has what the buy bought.
    let counts = (summary.tally.count(OutcomeKind::Filled), summary.tally.count(OutcomeKind::Skipped));
    assert_eq!(counts, (3, 2));
    agrees(&summary);
}

#[test]
fn one_symbols_flood_is_bounded_keeps_its_order_and_holds_up_no_other_symbol() {
    let stage = Stage::new();
    for _ in 0..9_000 {
        stage.send_of("NVDA", "b");
    }
    stage.send_of("SPY", "b");
    let mut flooded = both(4);
    flooded.rules.limits.signal_age_max = Duration::from_hours(1);
    flooded.rules.limits.quote_age_max = Duration::from_hours(1);
    flooded.rules.cash_buffer = "0%".parse().unwrap();
    let sent: Mutex<Vec<Symbol>> = Mutex::default();
    let summary = stage.run(&flooded, &|order, send| {
        sent.lock().unwrap().push(order.symbol);
        send()
    });
    assert_eq!(summary.tally.recorded(), 9_001);
    let before = sent.lock().unwrap().iter().position(|symbol| *symbol == spy()).unwrap();
    assert!(before < 3_000, "{before} orders of the flood went first");
    agrees(&summary);
}

#[test]
fn a_flood_is_worked_off_in_the_streams_order_whatever_was_deferred() {
    let stage = Stage::new();
    let intents: Vec<String> = (1..=200).map(|number| format!("{}", number % 7 + 1)).collect();
    for quantity in &intents {
        stage.stream.send(&[("ticker", "NVDA"), ("direction", "b"), ("qty", quantity)]).unwrap();
    }
    let sent: Mutex<Vec<String>> = Mutex::default();
    let mut small = config(1);
    small.signal_queue_len = 4;
    small.rules.limits.signal_age_max = Duration::from_hours(1);
    small.rules.limits.quote_age_max = Duration::from_hours(1);
    stage.run(&small, &|order, send| {
        sent.lock().unwrap().push(order.quantity.to_string());
        send()
    });
    assert_eq!(*sent.lock().unwrap(), intents, "one worker, one symbol: the stream's order");
}

#[test]
fn orders_that_hang_and_whose_cancels_hang_keep_no_worker_busy() {
    let stage = Stage::new();
    for direction in ["b", "b"] {
        stage.send_of("NVDA", direction);
    }
    let staged = Staged::new(
        &stage,
        &|order, send| {
            if order.symbol == spy() {
                return send();
            }
            Reply::Report(OrderReport {
                client_order_id: order.client_order_id.clone(),
                order_id: OrderId::new("hangs"),
                symbol: order.symbol,
                side: order.side,
                quantity: order.quantity,
                status: "suspended".into(),
                filled: bot::units::Quantity::ZERO,
                average_price: None,
                submitted_at: None,
            })
        },
        false,
    );
    let hanging = staged.cancels.lock().unwrap();
    let mut hurried = both(2);
    hurried.drain = false;
    hurried.drain_timeout = Duration::from_millis(50);
    hurried.rules.limits.quote_age_max = Duration::from_hours(1);
    hurried.timeouts.park_after = Duration::from_millis(50);
    hurried.timeouts.cancel_after = Duration::from_millis(60);
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| stage.run_staged(&hurried, &staged, &stop));
        for count in 1..=20 {
            stage.send_of("SPY", "b");
            wait_for(|| (stage.kinds().len() == count).then_some(()));
        }
        stop.request();
        drop(hanging);
        let summary = running.join().unwrap();
        assert_eq!((summary.tally.count(OutcomeKind::Filled), summary.left_pending), (20, 2));
    });
}
