//! The known name that a misspelt one is meant to be, and how it is said. Pure.

use strsim::damerau_levenshtein;

/// The distance takes quadratic time: longer names are compared with none.
const COMPARED_LEN_MAX: usize = 64;

/// The known name that a slip of the fingers turns into `name`, whatever its case: a third of its letters at most.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > COMPARED_LEN_MAX {
        return None;
    }
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (damerau_levenshtein(&name, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// `, did you mean "near"?`, to stand behind what was written; nothing where no known name is near.
pub fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_recognised_and_a_far_one_is_not() {
        let known = ["workers", "queue", "signal_age_max", "NVDA"];
        for (name, near) in [
            ("worker", Some("workers")),
            ("Workers", Some("workers")),
            ("qeue", Some("queue")),
            ("signal_max_age", None),
            ("signalage_max", Some("signal_age_max")),
            ("nvdia", Some("NVDA")),
            ("threads", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), near, "{name}");
        }
        assert_eq!(did_you_mean("qeue", known), ", did you mean \"queue\"?");
        assert_eq!(did_you_mean("threads", known), "");
        assert_eq!(nearest(&"workers".repeat(10), known), None);
    }
}
