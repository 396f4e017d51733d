//! `[sweep] where`: constraints such as `fast < slow`, which a combination must meet. Pure.

use rust_decimal::Decimal;

use super::fault::near_or_allowed;

/// Comparisons of swept numbers, read from a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    text: String,
    truth: Truth,
    /// The place of each key in it.
    places: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Truth {
    Compare(Term, Comparison, Term),
    Both(Box<Truth>, Box<Truth>),
    Either(Box<Truth>, Box<Truth>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Number(Decimal),
    /// The value of the key at this place.
    Key(usize),
    Of(Box<Term>, Arithmetic, Box<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// The keys that a constraint may name: each whole, and by its short name.
pub(super) struct Keys<'k> {
    pub(super) whole: &'k [&'k str],
    pub(super) short: &'k [String],
}

/// A longer one is no constraint that a person reads.
const LEN_MAX: usize = 500;
/// So many parentheses and signs may stand in each other.
const DEPTH_MAX: usize = 20;

impl Constraint {
    /// Reads `text`; names are those of `keys`.
    pub(super) fn parse(text: &str, keys: &Keys<'_>) -> Result<Self, String> {
        if text.len() > LEN_MAX {
            return Err(format!("must have at most {LEN_MAX} characters, were {}", text.len()));
        }
        let mut parser = Parser { text, at: 0, depth: 0, keys, places: Vec::new() };
        let read = parser.either()?;
        if parser.next().is_some() {
            return Err(parser.expected("an operator"));
        }
        Ok(Self { text: text.trim().to_owned(), truth: parser.truth(read)?, places: parser.places })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of each key in it, as often as it is named.
    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    /// Whether a combination meets it; `value` answers for the key at a place. What divides by 0 is not met.
    pub(super) fn is_met(&self, value: &impl Fn(usize) -> Option<Decimal>) -> bool {
        self.truth.holds(value)
    }
}

impl Truth {
    fn holds(&self, value: &impl Fn(usize) -> Option<Decimal>) -> bool {
        match self {
            Self::Both(one, two) => one.holds(value) && two.holds(value),
            Self::Either(one, two) => one.holds(value) || two.holds(value),
            Self::Compare(one, comparison, two) => {
                let (Some(one), Some(two)) = (one.number(value), two.number(value)) else { return false };
                match comparison {
                    Comparison::Less => one < two,
                    Comparison::LessOrEqual => one <= two,
                    Comparison::Greater => one > two,
                    Comparison::GreaterOrEqual => one >= two,
                    Comparison::Equal => one == two,
                    Comparison::NotEqual => one != two,
                }
            }
        }
    }
}

impl Term {
    /// None where it is not defined.
    fn number(&self, value: &impl Fn(usize) -> Option<Decimal>) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Key(place) => value(*place),
            Self::Of(one, arithmetic, two) => {
                let (one, two) = (one.number(value)?, two.number(value)?);
                match arithmetic {
                    Arithmetic::Add => one.checked_add(two),
                    Arithmetic::Subtract => one.checked_sub(two),
                    Arithmetic::Multiply => one.checked_mul(two),
                    Arithmetic::Divide => one.checked_div(two),
                }
            }
        }
    }
}

/// What was read so far: only comparisons are true or false, and only numbers are compared.
enum Parsed {
    Number(Term),
    Truth(Truth),
}

/// Each function reads one level of precedence, the loosest first.
struct Parser<'t> {
    text: &'t str,
    /// The byte up to which it is read.
    at: usize,
    /// In how many parentheses and signs it stands.
    depth: usize,
    keys: &'t Keys<'t>,
    places: Vec<usize>,
}

impl<'t> Parser<'t> {
    fn either(&mut self) -> Result<Parsed, String> {
        let mut read = self.both()?;
        while self.accept(&[("||", ())]).is_some() {
            let next = self.both()?;
            read = Parsed::Truth(Truth::Either(Box::new(self.truth(read)?), Box::new(self.truth(next)?)));
        }
        Ok(read)
    }

    fn both(&mut self) -> Result<Parsed, String> {
        let mut read = self.comparison()?;
        while self.accept(&[("&&", ())]).is_some() {
            let next = self.comparison()?;
            read = Parsed::Truth(Truth::Both(Box::new(self.truth(read)?), Box::new(self.truth(next)?)));
        }
        Ok(read)
    }

    fn comparison(&mut self) -> Result<Parsed, String> {
        let one = self.sum()?;
        let comparison = self.accept(&[
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ]);
        let Some(comparison) = comparison else { return Ok(one) };
        let two = self.sum()?;
        Ok(Parsed::Truth(Truth::Compare(self.number(one)?, comparison, self.number(two)?)))
    }

    fn sum(&mut self) -> Result<Parsed, String> {
        let signs = [("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];
        self.row(&signs, Self::product)
    }

    fn product(&mut self) -> Result<Parsed, String> {
        let signs = [("*", Arithmetic::Multiply), ("/", Arithmetic::Divide)];
        self.row(&signs, Self::single)
    }

    /// What `part` reads, as often as one of the signs stands between.
    fn row(
        &mut self,
        signs: &[(&str, Arithmetic)],
        part: fn(&mut Self) -> Result<Parsed, String>,
    ) -> Result<Parsed, String> {
        let mut read = part(self)?;
        while let Some(sign) = self.accept(signs) {
            let next = part(self)?;
            read = Parsed::Number(Term::Of(Box::new(self.number(read)?), sign, Box::new(self.number(next)?)));
        }
        Ok(read)
    }

    fn single(&mut self) -> Result<Parsed, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("must have at most {DEPTH_MAX} parentheses in each other, had more"));
        }
        let read = self.single_within();
        self.depth -= 1;
        read
    }

    fn single_within(&mut self) -> Result<Parsed, String> {
        if self.accept(&[("(", ())]).is_some() {
            let read = self.either()?;
            return self.accept(&[(")", ())]).map(|()| read).ok_or_else(|| self.expected("\")\""));
        }
        if self.accept(&[("-", ())]).is_some() {
            let (zero, next) = (Term::Number(Decimal::ZERO), self.single()?);
            let next = self.number(next)?;
            return Ok(Parsed::Number(Term::Of(Box::new(zero), Arithmetic::Subtract, Box::new(next))));
        }
        let expected = self.expected("a number, a name or \"(\"");
        match self.next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = &self.text[self.at + 1..];
                let end = inner.find(quote).ok_or(expected)?;
                self.at += end + 2;
                self.key(&inner[..end])
            }
            Some(first) if first.is_ascii_digit() => {
                let digits = self.word();
                let number = Decimal::from_str_exact(digits).map_err(|_| expected)?;
                Ok(Parsed::Number(Term::Number(number)))
            }
            Some(first) if first.is_alphabetic() || first == '_' => {
                let name = self.word();
                self.key(name)
            }
            Some(_) | None => Err(expected),
        }
    }

    /// The key that goes by `name`.
    fn key(&mut self, name: &str) -> Result<Parsed, String> {
        let Keys { whole, short } = self.keys;
        let place =
            whole.iter().position(|key| *key == name).or_else(|| short.iter().position(|key| key == name));
        if let Some(place) = place {
            self.places.push(place);
            return Ok(Parsed::Number(Term::Key(place)));
        }
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        let ends = |key: &&&str| key.strip_suffix(name).is_some_and(|before| before.ends_with('.'));
        if whole.iter().filter(ends).count() > 1 {
            let allowed = short.join(", ");
            return Err(format!("must name one key, was \"{name}\" of several, allowed are {allowed}"));
        }
        Err(format!("unknown name \"{}\"{}", name.escape_debug(), near_or_allowed(name, &short)))
    }

    /// The next character that is no space; it stays unread.
    fn next(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    /// Reads the first of these signs that comes next.
    fn accept<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        self.next();
        let (sign, found) = signs.iter().find(|(sign, _)| self.text[self.at..].starts_with(sign))?;
        self.at += sign.len();
        Some(*found)
    }

    /// Reads letters, digits, `_` and dots.
    fn word(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn truth(&self, parsed: Parsed) -> Result<Truth, String> {
        match parsed {
            Parsed::Truth(truth) => Ok(truth),
            Parsed::Number(_) => {
                let shown = self.text.escape_debug();
                Err(format!("must be made of comparisons such as fast < slow, was \"{shown}\""))
            }
        }
    }

    fn number(&self, parsed: Parsed) -> Result<Term, String> {
        match parsed {
            Parsed::Number(term) => Ok(term),
            Parsed::Truth(_) => {
                let shown = self.text.escape_debug();
                Err(format!("must compare and reckon with numbers, was a comparison in \"{shown}\""))
            }
        }
    }

    /// The rule for what comes next, and what was there.
    fn expected(&mut self, what: &str) -> String {
        let found = match self.next() {
            Some(c) => {
                format!("\"{}\" at character {}", c.escape_debug(), self.text[..self.at].chars().count() + 1)
            }
            None => "its end".to_owned(),
        };
        format!("must go on with {what}, was {found} in \"{}\"", self.text.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: [&str; 4] =
        ["strategy.a.params.fast", "strategy.a.params.slow", "strategy.b.params.fast", "broker.slippage_bps"];

    fn parse(text: &str) -> Result<Constraint, String> {
        let short = ["strategy.a.params.fast", "slow", "strategy.b.params.fast", "slippage_bps"];
        Constraint::parse(text, &Keys { whole: &WHOLE, short: &short.map(str::to_owned) })
    }

    /// Whether 5, 20, 7 and 0.5, the values of the four keys, meet the constraint.
    #[track_caller]
    fn check(text: &str, expected: bool) {
        let values = [(50, 1), (200, 1), (70, 1), (5, 1)].map(|(number, scale)| Decimal::new(number, scale));
        let value = |place: usize| values.get(place).copied();
        assert_eq!(parse(text).map(|constraint| constraint.is_met(&value)), Ok(expected), "{text}");
    }

    #[test]
    fn comparisons_are_exact_and_bind_as_in_arithmetic() {
        check("slow < 20", false);
        check("slow <= 20", true);
        check("slow > 20.0", false);
        check("slow>=20", true);
        check("slow == 20", true);
        check("slow != 20", false);
        check("slippage_bps + 0.1 + 0.2 == 0.8", true);
        check("2 + 3 * 6 == slow", true);
        check("(2 + 3) * 6 == slow", false);
        check("40 - 10 - 10 == slow", true);
        check("80 / 2 / 2 == slow", true);
        check("-slow + 40 == - (slow - 40)", true);
        check("slow == 1 && slow == 2 || slow == 20", true);
        check("slow == 20 || slow == 1 && slow == 2", true);
        check("(slow == 20 || slow == 1) && slow == 2", false);
        check(&format!("{}0 < 1", "0 + ".repeat(120)), true);
    }

    #[test]
    fn a_key_goes_by_its_last_part_or_whole_in_quotes_and_without() {
        check("strategy.a.params.fast < strategy.b.params.fast", true);
        check("'strategy.a.params.fast' * 4 == \"broker.slippage_bps\" * 40", true);
        let constraint = parse(" slow > strategy.a.params.fast ").unwrap();
        assert_eq!((constraint.text(), constraint.places()), ("slow > strategy.a.params.fast", &[1, 0][..]));
    }

    #[test]
    fn what_is_not_defined_is_not_met() {
        check("slow / (slow - 20) > 0", false);
        check("slow / (slow - 20) != 1", false);
        check("slow * 79228162514264337593543950335 > 0", false);
    }

    #[test]
    fn what_is_no_constraint_says_what_is_allowed() {
        for (text, rule) in [
            ("", "must go on with a number, a name or \"(\", was its end in \"\""),
            ("slow <", "must go on with a number, a name or \"(\", was its end in \"slow <\""),
            (
                "slow < )",
                "must go on with a number, a name or \"(\", was \")\" at character 8 in \"slow < )\"",
            ),
            ("(slow < 1", "must go on with \")\", was its end in \"(slow < 1\""),
            ("slow < 1 slow", "must go on with an operator, was \"s\" at character 10 in \"slow < 1 slow\""),
            ("1 < slow < 3", "must go on with an operator, was \"<\" at character 10 in \"1 < slow < 3\""),
            ("slow = 1", "must go on with an operator, was \"=\" at character 6 in \"slow = 1\""),
            (
                "slow < 1.2.3",
                "must go on with a number, a name or \"(\", was \"1\" at character 8 in \"slow < 1.2.3\"",
            ),
            (
                "slow < 'x",
                "must go on with a number, a name or \"(\", was \"\\'\" at character 8 in \"slow < \\'x\"",
            ),
            ("slow + 1", "must be made of comparisons such as fast < slow, was \"slow + 1\""),
            ("slow && slow < 1", "must be made of comparisons such as fast < slow, was \"slow && slow < 1\""),
            (
                "(slow < 1) + 1 < 2",
                "must compare and reckon with numbers, was a comparison in \"(slow < 1) + 1 < 2\"",
            ),
            (
                "slwo < 1",
                "unknown name \"slwo\", did you mean \"slow\"? allowed are strategy.a.params.fast, slow, \
                 strategy.b.params.fast, slippage_bps",
            ),
            (
                "fast < slow",
                "must name one key, was \"fast\" of several, allowed are strategy.a.params.fast, slow, \
                 strategy.b.params.fast, slippage_bps",
            ),
        ] {
            assert_eq!(parse(text), Err(rule.to_owned()), "{text}");
        }
        assert_eq!(parse(&"(".repeat(501)), Err("must have at most 500 characters, were 501".to_owned()));
        let nested = parse(&"(".repeat(500));
        assert_eq!(nested, Err("must have at most 20 parentheses in each other, had more".to_owned()));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "([a-z0-9<>=!&|()+*/ .'\"-]|slow|é){0,40}") {
            drop(parse(&text));
        }
    }
}
