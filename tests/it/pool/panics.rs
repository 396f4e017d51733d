//! Panics at every place of an order's life: the pool goes on, and no order is sent twice.

use super::*;

#[test]
fn a_panic_after_the_order_was_sent_still_finds_the_order_and_the_pool_goes_on() {
    let stage = Stage::new();
    stage.send("bbbbbb");
    let sent = AtomicUsize::new(0);
    let summary = stage.run(&config(2), &|_, send| {
        let reply = send();
        assert!(sent.fetch_add(1, Ordering::SeqCst) != 2, "on purpose");
        reply
    });
    assert_eq!(stage.kinds(), ["filled"; 6]);
    assert_eq!(sent.load(Ordering::SeqCst), 6);
    agrees(&summary);
}

#[test]
fn a_panic_before_the_order_was_sent_is_an_outcome_and_never_a_second_order() {
    let stage = Stage::new();
    stage.send("bbb");
    let calls = AtomicUsize::new(0);
    let summary = stage.run(&config(1), &|_, send| {
        assert!(calls.fetch_add(1, Ordering::SeqCst) != 1, "on purpose");
        send()
    });
    assert_eq!(stage.kinds(), ["filled", "expired_unconfirmed", "filled"]);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    agrees(&summary);
}

#[test]
fn a_panic_that_comes_again_ends_the_signal_as_unconfirmed_and_the_drain_does_not_hang() {
    let stage = Stage::new();
    stage.send("b");
    let staged = Staged::new(
        &stage,
        &|_, send| {
            send();
            panic!("on purpose")
        },
        false,
    );
    staged.panics.query.store(1, Ordering::SeqCst);
    let summary = stage.run_staged(&config(1), &staged, &Stop::default());
    assert_eq!(stage.kinds(), ["expired_unconfirmed"]);
    assert!(stage.stream.outcomes()[0].reason.starts_with("internal_error: on purpose"));
    agrees(&summary);
}

#[test]
fn a_tracker_and_a_poller_that_panic_start_over() {
    let stage = Stage::new();
    let staged = Staged::new(&stage, &|_, send| send(), false);
    staged.panics.track.store(2, Ordering::SeqCst);
    staged.panics.snapshots.store(2, Ordering::SeqCst);
    let mut waiting = config(1);
    waiting.drain = false;
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| stage.run_staged(&waiting, &staged, &stop));
        wait_for(|| (staged.panics.track.load(Ordering::SeqCst) == 0).then_some(()));
        wait_for(|| (staged.panics.read.load(Ordering::SeqCst) > 0).then_some(()));
        // The market moves while it is tracked.
        let first = stage.market.with(|core| core.latest(nvda()));
        wait_for(|| (stage.market.with(|core| core.latest(nvda())) != first).then_some(()));
        stop.request();
        running.join().unwrap();
    });
}
