//! What a script shows: plots.

use super::*;
use bot_core::strategy::PlotRoom;

#[test]
fn what_a_script_plots_is_kept_by_name_and_time() {
    let mut runner = runner(
        "fn on_event(event) {
            plot(\"price\", event.price);
            if event.time > 1000 { plot(\"two\", 2); }
            if event.price > 101.0 { throw \"too high\"; }
        }",
    );
    runner.keep_plots(PlotRoom::of(100));
    assert_eq!(runner.on_event(&tick(1, 100.0)).unwrap().count(), 0);
    assert!(runner.on_event(&tick(2, 102.0)).is_err());
    assert_eq!(runner.on_event(&tick(3, 101.0)).unwrap().count(), 0);
    let (names, points) = runner.plotted();
    assert_eq!(names, ["price", "two"]);
    let points: Vec<_> = points.iter().map(|point| (point.at.millis(), point.name, point.value)).collect();
    assert_eq!(points, [(1_000, 0, 100.0), (3_000, 0, 101.0), (3_000, 1, 2.0)]);
}

#[test]
fn what_cannot_be_plotted_is_an_error_with_its_line() {
    check("plot(\"z\", 0.0 / 0.0);", "x_strategy.rhai:2:5: plot \"z\" must be of a finite number, was NaN");
    check("plot(\"z\", ());", "x_strategy.rhai:2:5: plot \"z\" must be a number, was ()");
    check("plot(\"a,b\", 1);", "x_strategy.rhai:2:5: name of a plot must be 1 to 32 printable characters");
    check(
        "for name in 0..21 { plot(name.to_string(), 1); }",
        "x_strategy.rhai:2:25: a strategy must plot under at most 20 names, was \"20\" beside those",
    );
    check(
        "loop { plot(\"z\", 1); }",
        "x_strategy.rhai:2:12: one call must want and plot at most 1000 things",
    );
}
