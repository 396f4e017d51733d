//! The two examples in Rust make the orders of their scripts.

use std::sync::Once;

use super::*;

#[path = "../../../examples/rust_strategies/momentum.rs"]
mod momentum;
#[path = "../../../examples/rust_strategies/sma_cross.rs"]
mod sma_cross;

/// Known by name from now on, in all tests of this program.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        bot::strategy::register(sma_cross::kind()).unwrap();
        bot::strategy::register(momentum::kind().unwrap()).unwrap();
    });
}

#[track_caller]
fn makes_the_orders_of_its_script(name: &str) {
    register();
    let script = run(name);
    let text = std::fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
    let in_rust =
        text.replace(&format!("script = \"{name}_strategy.rhai\""), &format!("kind = \"own_{name}\""));
    assert_ne!(in_rust, text);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("run.toml");
    std::fs::write(&path, in_rust).unwrap();
    let record = run_with(&path, &[]);
    assert!(record.fills.len() >= 20, "{} fills", record.fills.len());
    assert_eq!(record.hash(), script.hash());
}

#[test]
fn sma_cross_in_rust_makes_the_orders_of_its_script() {
    makes_the_orders_of_its_script("sma_cross");
}

#[test]
fn momentum_in_rust_makes_the_orders_of_its_script() {
    makes_the_orders_of_its_script("momentum");
}
