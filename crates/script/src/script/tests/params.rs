//! What `params()` of a script declares, and what is written of it.

use super::*;

#[test]
fn a_script_says_the_range_of_a_parameter_and_what_it_does() {
    let source = r#"fn params() { #{
        fast: int(10, 2, 200, "bars of the fast average"),
        share: float(0.5, 0, 1),
        short: bool(false, "whether it goes short"),
        venue: text("iex", "where it looks"),
    } } fn on_event(event) { if this.params.fast == 3 && this.params.share == 0.25 { signal(event.symbol, 1); } }"#;
    let script = Script::compile("x_strategy.rhai", source).unwrap();
    let shown: Vec<String> = script
        .params()
        .iter()
        .map(|param| format!("{} = {}, {}: {}", param.name, param.default, param.allowed(), param.about))
        .collect();
    let expected = [
        "fast = 10, a whole number from 2 to 200: bars of the fast average",
        "share = 0.5, a number from 0 to 1: ",
        "short = false, true or false: whether it goes short",
        "venue = \"iex\", a string: where it looks",
    ];
    assert_eq!(shown, expected);
    let made = |fast: i64, share: f64| {
        let written = [("fast", Value::Whole(fast)), ("share", Value::Number(share))];
        script.make(&written.map(|(name, value)| (name.to_owned(), value)).into(), &[nvda()])
    };
    let Err(MakeError::Params(faults)) = made(1, 1.5) else { panic!("out of range") };
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "fast: must be a whole number from 2 to 200, was \"1\"",
            "share: must be a number from 0 to 1, was \"1.5\""
        ]
    );
    let mut runner = Runner::new("x", made(3, 0.25).unwrap(), &[nvda()], Every::Event);
    assert_eq!(runner.on_event(&tick(1, 5.0)).unwrap().count(), 1);
    for (params, said) in [
        ("fast: int(1, 2, 3)", "int(default, from, to) must have a default from 2 to 3, was 1"),
        (
            "fast: float(0.5, 1, 2, \"x\")",
            "float(default, from, to) must have a default from 1 to 2, was 0.5",
        ),
        ("fast: float(\"a\", 1, 2)", "default must be a number, was string"),
    ] {
        let source = format!("fn on_event(event) {{}}\nfn params() {{ #{{ {params} }} }}");
        let fault = Script::compile("x_strategy.rhai", &source).unwrap_err().to_string();
        assert!(fault.starts_with("x_strategy.rhai:2") && fault.ends_with(said), "{fault}");
    }
}

#[test]
fn parameters_of_a_script_are_checked_by_the_type_of_their_default() {
    let source = "fn params() { #{ fast: 10, share: 0.5, short: false } } fn on_event(event) {}";
    let script = Script::compile("x_strategy.rhai", source).unwrap();
    let written = [("fsat", Value::Whole(1)), ("fast", Value::Number(1.5)), ("short", Value::Whole(1))]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    assert_eq!(
        script.make(&written, &[]).err().unwrap().to_string(),
        "fsat: unknown parameter, allowed are fast, share, short; fast: must be a whole number, was \"1.5\"; \
         short: must be true or false, was \"1\""
    );
}
