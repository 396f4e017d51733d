//! The order and the names of data sections decide nothing: one hash.

use std::fmt::Write;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Printed with every failure.
const SEED: u64 = 20_260_601;
const ROWS: &str = "rows = 500";

/// A manifest in parts.
struct Parts {
    /// All before the first data section.
    head: String,
    /// Name and keys of each data section; a key says its symbol.
    sections: Vec<(String, String)>,
    strategy: String,
    script: String,
}

impl Parts {
    fn of(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
        let (head, rest) = text.split_once("\n[data.").unwrap();
        let (sections, strategy) = rest.split_once("\n[[strategy]]").unwrap();
        let section = |section: &str| {
            let (name, keys) = section.split_once("]\n").unwrap();
            let keys: Vec<&str> =
                keys.lines().map(|key| if key.starts_with("rows") { ROWS } else { key }).collect();
            (name.to_owned(), format!("symbol = \"{}\"\n{}", name.to_uppercase(), keys.join("\n")))
        };
        let sections = sections.split("\n[data.").map(section).collect();
        let strategy: Vec<&str> = strategy.split("data = ").collect();
        let params = strategy[1].split_once("params").map(|(_, rest)| format!("params{rest}")).unwrap();
        Self {
            head: head.to_owned(),
            sections,
            strategy: format!("{}{params}", strategy[0]),
            script: format!("{name}_strategy.rhai"),
        }
    }

    /// The hash of a run with these sections in this order, `main` of them heard and the others looked at, in the order
    /// of these lists.
    #[track_caller]
    fn hash(&self, sections: &[(String, String)], main: &[String], also: &[String]) -> String {
        let quoted =
            |names: &[String]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let mut text = self.head.clone();
        for (name, keys) in sections {
            write!(text, "\n[data.{name}]\n{keys}\n").unwrap();
        }
        let (main, also) = (quoted(main), quoted(also));
        write!(text, "\n[[strategy]]{}data = [{main}]\nalso = [{also}]\n", self.strategy).unwrap();
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join("run.toml"), &text).unwrap();
        std::fs::copy(folder().join(&self.script), out.path().join(&self.script)).unwrap();
        let record = run_with(&out.path().join("run.toml"), &[]);
        assert!(record.fills.len() >= 10, "{} fills", record.fills.len());
        record.hash()
    }
}

/// All orders of `count` places.
fn orders_of(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let shorter = orders_of(last);
    let with_last = |order: &Vec<usize>, place: usize| {
        let mut order = order.clone();
        order.insert(place, last);
        order
    };
    shorter.iter().flat_map(|order| (0..count).map(move |place| with_last(order, place))).collect()
}

#[test]
fn any_order_and_any_names_of_three_sections_give_one_hash() {
    let parts = Parts::of("pairs");
    let third =
        ("core".to_owned(), parts.sections[0].1.replace("ACME", "CORE").replace("seed = ", "seed = 9"));
    let sections = [parts.sections.clone(), vec![third]].concat();
    let mut hashes = std::collections::BTreeSet::new();
    for order in orders_of(3) {
        for names in [["acme", "bolt", "core"], ["z", "y", "x"], ["m2", "m3", "m1"]] {
            let named: Vec<(String, String)> =
                sections.iter().zip(names).map(|((_, keys), name)| (name.to_owned(), keys.clone())).collect();
            let in_order: Vec<(String, String)> = order.iter().map(|place| named[*place].clone()).collect();
            let of =
                |places: &[usize]| places.iter().map(|place| named[*place].0.clone()).collect::<Vec<_>>();
            for (main, also) in [(of(&[0, 1]), of(&[2])), (of(&[1, 0]), of(&[2]))] {
                hashes.insert(parts.hash(&in_order, &main, &also));
            }
        }
    }
    assert_eq!(hashes.len(), 1, "{hashes:?}");
}

#[test]
fn the_order_of_what_is_looked_at_decides_nothing() {
    let parts = Parts::of("pairs");
    let more = |name: &str, seed: &str| {
        let keys = parts.sections[0].1.replace("ACME", &name.to_uppercase()).replace("seed = ", seed);
        (name.to_owned(), keys)
    };
    let sections =
        [parts.sections.clone(), vec![more("core", "seed = 8"), more("dune", "seed = 9")]].concat();
    let names = |places: [usize; 2]| places.map(|place| sections[place].0.clone());
    let mut hashes = std::collections::BTreeSet::new();
    for main in [[0, 1], [1, 0]] {
        for also in [[2, 3], [3, 2]] {
            hashes.insert(parts.hash(&sections, &names(main), &names(also)));
        }
    }
    assert_eq!(hashes.len(), 1, "{hashes:?}");
}

#[test]
fn any_order_and_any_names_of_twenty_sections_give_one_hash() {
    let parts = Parts::of("momentum");
    let names =
        |sections: &[(String, String)]| sections.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let expected = parts.hash(&parts.sections, &names(&parts.sections), &[]);
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for round in 0..20 {
        let mut sections = parts.sections.clone();
        if round % 2 == 1 {
            for (name, _) in &mut sections {
                *name = format!("s{}", random.next_u32());
            }
        }
        let mut main = names(&sections);
        sections.shuffle(&mut random);
        main.shuffle(&mut random);
        assert_eq!(parts.hash(&sections, &main, &[]), expected, "seed {SEED}, round {round}");
    }
}

#[test]
fn numbers_may_stand_before_the_bars() {
    let manifest = folder().join("news.toml");
    let hash = |data: &str| run_with(&manifest, &[("strategy.news.data", data)]).hash();
    assert_eq!(hash("[\"score\", \"acme\"]"), hash("[\"acme\", \"score\"]"));
}
