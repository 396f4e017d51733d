//! What a script may import, and how a fault in a module is told.

use super::*;

/// The files of a folder.
fn folder(
    files: &'static [(&'static str, &'static str)],
) -> impl Fn(&str) -> Result<(String, String), String> {
    move |name| {
        let found = files.iter().find(|(own, _)| *own == name);
        found
            .map(|(name, text)| (format!("{name}.rhai"), (*text).to_owned()))
            .ok_or_else(|| format!("a module must be there, was {name}"))
    }
}

#[track_caller]
fn check(source: &str, files: &'static [(&'static str, &'static str)], expected: &str) {
    let said = Script::compile_with("x_strategy.rhai", source, &folder(files)).unwrap_err().to_string();
    assert_eq!(said, expected);
}

const MATHS: &str = "import \"base\" as base;\nfn half(x) { helper(base::same(x)) }\nfn helper(x) { x / 2.0 }\n\
                     fn fails(x) {\n    helper_that_fails(x)\n}\nfn helper_that_fails(x) {\n    throw \"no \" + x;\n}\n\
                     fn long(symbol) { signal(symbol, 1); }\nfn loops() { loop { } }";
const FILES: &[(&str, &str)] =
    &[("maths", MATHS), ("base", "fn same(x) { x }\nfn helper(x) { throw \"not this\" }")];

#[test]
fn a_script_calls_functions_of_its_modules_and_they_call_the_bots() {
    let source = "import \"maths\" as m;\nimport \"base\" as b;\nfn helper(x) { 0.25 }\n\
                  fn on_event(event) {\n    this.n = b::same(m::half(1.0));\n    signal(event.symbol, this.n);\n    \
                  signal(event.symbol, helper(1));\n    m::long(event.symbol);\n}";
    let script = Script::compile_with("x_strategy.rhai", source, &folder(FILES)).unwrap();
    let names: Vec<&str> = script.modules().iter().map(|module| module.name.as_str()).collect();
    assert_eq!(names, ["maths", "base"]);
    let strategy = script.make(&WrittenParams::new(), &[nvda()]).unwrap();
    let mut runner = Runner::new("x", strategy, &[nvda()], Every::Event);
    let strength = |intent: Intent| match intent {
        Intent::Signal { strength, .. } => strength.get(),
        other => panic!("{other:?}"),
    };
    for second in 0..2 {
        let said: Vec<f64> = runner.on_event(&tick(second, 1.0)).unwrap().map(strength).collect();
        assert_eq!(said, [0.5, 0.25, 1.0]);
    }
}

#[test]
fn a_fault_in_a_module_names_its_file_and_line() {
    let fails = |body: &str| {
        let source = format!("import \"maths\" as m;\nfn on_event(event) {{\n    {body}\n}}");
        let script = Script::compile_with("x_strategy.rhai", &source, &folder(FILES)).unwrap();
        let strategy = script.make(&WrittenParams::new(), &[nvda()]).unwrap();
        let mut runner = Runner::new("x", strategy, &[nvda()], Every::Event);
        runner.on_event(&tick(0, 1.0)).map(drop).unwrap_err().error.to_string()
    };
    assert_eq!(fails("m::fails(7);"), "maths.rhai:8:5: no 7");
    assert_eq!(fails("m::long(\"N V\");").split(": ").next(), Some("maths.rhai:10:19"));
    // One call has one limit, wherever the steps are taken.
    assert!(fails("m::loops();").contains("one call must take at most 1000000 steps"));
    let none = fails("m::none(7);");
    assert!(none.starts_with("x_strategy.rhai:3:8: Function not found: m::none"), "{none}");
    check(
        "import \"a\" as a;\nfn on_event(event) { }",
        &[("a", "fn f() {\n    let x = ;\n}")],
        "a.rhai:2:13: Unexpected ';'",
    );
}

#[test]
fn what_may_not_be_imported_is_told_with_its_place() {
    let on = "fn on_event(event) { }";
    let main = |import: &str| format!("{on}\n{import}");
    let name = "a module must be NAME of a file NAME.rhai in the script's folder, 1 to 64 of a-z, A-Z, 0-9, _ and -, was";
    for path in ["../a", "/etc/a", "a.rhai", "a/b", ""] {
        check(
            &main(&format!("import \"{path}\" as a;")),
            &[],
            &format!("x_strategy.rhai:2:1: {name} \"{path}\""),
        );
    }
    check(
        &main("import \"b_strategy\" as b;"),
        &[],
        "x_strategy.rhai:2:1: a module must not end in _strategy, which is a strategy, was \"b_strategy\"",
    );
    check(&main("import \"b\" as b;"), &[], "x_strategy.rhai:2:1: a module must be there, was b");
    check(
        &main("import \"a\";"),
        &[],
        "x_strategy.rhai:2:1: import must be written as import \"a\" as x;, was without a name",
    );
    check(
        &main("import 1 + 1 as a;"),
        &[],
        "x_strategy.rhai:2:1: import must name a module in quotes, such as import \"name\" as x;, was an expression",
    );
    check(
        "fn on_event(event) {\n    import \"a\" as a;\n}",
        &[],
        "x_strategy.rhai:2:5: import must stand outside of functions, was within one",
    );
    check(
        &main("print(\"x\");"),
        &[],
        "x_strategy.rhai:2:1: a script must be functions and imports only, was a statement outside of functions",
    );
    let twice: &[(&str, &str)] = &[("a", "fn f() { }"), ("b", "fn f() { }")];
    check(
        &main("import \"a\" as x;\nimport \"b\" as x;"),
        twice,
        "x_strategy.rhai:3:1: each import must have a name of its own, was \"x\" twice",
    );
    let circle: &[(&str, &str)] =
        &[("a", "import \"b\" as b;\nfn f() { }"), ("b", "fn g() { }\nimport \"a\" as a;")];
    check(
        &main("import \"a\" as a;"),
        circle,
        "b.rhai:2:1: modules must not import each other in a circle, was a imports b imports a",
    );
    let this = "a function of a module must not use `this`: it must take what it needs as an argument";
    check(
        &main("import \"a\" as a;"),
        &[("a", "fn f() {\n    this.n = 1;\n}")],
        &format!("a.rhai:2:5: {this}"),
    );
    check(
        &main("import \"a\" as a;"),
        &[("a", "fn f() { 1 }\nlet n = 1;")],
        "a.rhai:2:1: a script must be functions and imports only, was a statement outside of functions",
    );
    let many = |name: &str| Ok((format!("{name}.rhai"), "fn f() { }".to_owned()));
    let imports: Vec<String> = (0..17).map(|n| format!("import \"m{n}\" as m{n};\n")).collect();
    let source = imports.concat();
    let said = Script::compile_with("x_strategy.rhai", &(source + on), &many).unwrap_err().to_string();
    assert_eq!(said, "x_strategy.rhai:17:1: a script must import at most 16 modules, was more");
    let text = Script::compile("x_strategy.rhai", &main("import \"a\" as a;")).unwrap_err().to_string();
    assert!(
        text.ends_with(
            "2:1: a script that imports must be a file of a folder, was a text that imports \"a\""
        ),
        "{text}"
    );
}

#[test]
fn standing_orders_of_a_module_are_told_with_its_file() {
    let files: &[(&str, &str)] = &[("a", "fn f(s) { buy(s, 1, 2.0); }")];
    let source = "import \"a\" as a;\nfn on_event(event) { a::f(event.symbol); }";
    let script = Script::compile_with("x_strategy.rhai", source, &folder(files)).unwrap();
    let told: Vec<String> = script.standing_orders().iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].starts_with("a.rhai:1:11: a limit order must be"), "{told:?}");
}
