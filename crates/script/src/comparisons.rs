//! What cannot be compared is an error: the library says false of it, and a script would wait for ever.

use std::any::TypeId;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FLOAT, INT, ImmutableString, Map, NativeCallContext};

use super::views::{EndView, EventView, FillView};

const OPERATORS: [&str; 4] = ["<", "<=", ">", ">="];
/// How tightly the library binds them.
const PRECEDENCE: u8 = 130;

/// Registers an operator for two numbers, as IEEE 754 compares them, and for two texts.
macro_rules! compare {
    ($engine:ident, $name:literal, $operator:tt) => {
        #[allow(clippy::cast_precision_loss, reason = "nobody counts to 2^53")]
        $engine
            .register_fn($name, |left: INT, right: INT| left $operator right)
            .register_fn($name, |left: FLOAT, right: FLOAT| left $operator right)
            .register_fn($name, |left: INT, right: FLOAT| (left as FLOAT) $operator right)
            .register_fn($name, |left: FLOAT, right: INT| left $operator (right as FLOAT))
            .register_fn($name, |left: ImmutableString, right: ImmutableString| left $operator right)
    };
}

/// Makes the operators compare two numbers or two texts, and refuse any other two values.
pub(super) fn register(engine: &mut Engine) {
    // The library takes its own comparisons, whatever is registered, unless they are not its operators any more.
    for operator in OPERATORS {
        engine.disable_symbol(operator);
        let registered = engine.register_custom_operator(operator, PRECEDENCE).err();
        debug_assert_eq!(registered, None, "{operator}");
    }
    compare!(engine, "<", <);
    compare!(engine, "<=", <=);
    compare!(engine, ">", >);
    compare!(engine, ">=", >=);
    let numbers = [TypeId::of::<INT>(), TypeId::of::<FLOAT>()];
    let text = [TypeId::of::<ImmutableString>()];
    let others = [
        TypeId::of::<()>(),
        TypeId::of::<bool>(),
        TypeId::of::<Array>(),
        TypeId::of::<Map>(),
        TypeId::of::<EventView>(),
        TypeId::of::<FillView>(),
        TypeId::of::<EndView>(),
    ];
    let all = || numbers.iter().chain(&text).chain(&others);
    let is_ordered =
        |left, right| [&numbers[..], &text].iter().any(|kind| kind.contains(left) && kind.contains(right));
    for (left, right) in all().flat_map(|left| all().map(move |right| (left, right))) {
        if is_ordered(left, right) {
            continue;
        }
        for operator in OPERATORS {
            let refuse = move |context: NativeCallContext<'_>, sides: &mut [&mut Dynamic]| {
                Err::<bool, Box<EvalAltResult>>(refusal(&context, operator, sides).into())
            };
            engine.register_raw_fn(operator, [*left, *right], refuse);
        }
    }
}

fn refusal(context: &NativeCallContext<'_>, operator: &str, sides: &[&mut Dynamic]) -> String {
    let words = |side: &Dynamic| match context.engine().map_type_name(side.type_name()) {
        _ if side.is_unit() => "() (nothing is known yet)".to_owned(),
        kind => format!("a value of type {kind}"),
    };
    let were: Vec<String> = sides.iter().map(|side| words(side)).collect();
    let advice = if sides.iter().any(|side| side.is_unit()) { ": ask `value != ()` first" } else { "" };
    let were = were.join(&format!(" {operator} "));
    format!("{operator} must compare two numbers or two texts, was {were}{advice}")
}
