//! The page of the manifest says what is true.

use bot::manifest::{BrokerKind, Manifest, defaults};

#[test]
fn the_documentation_names_every_key_with_its_default() {
    let page = include_str!("../../../docs/manifest.md");
    let mut manifest = Manifest::default();
    manifest.broker.kind = Some(BrokerKind::Simulated);
    for part in manifest.describe() {
        for line in part.lines {
            let dot = if part.name.is_empty() { "" } else { "." };
            let default = if line.key == "kind" { defaults::BROKER.to_string() } else { line.value };
            let row = format!("| `{}{dot}{}` | {default} |", part.name, line.key);
            assert!(page.contains(&row), "docs/manifest.md must have the row {row}");
        }
    }
    let nvda = Manifest::parse("run.toml", "[instrument.NVDA]").unwrap().describe();
    for line in nvda.into_iter().find(|part| part.name == "instrument.NVDA").unwrap().lines {
        let row = format!("| `instrument.SYMBOL.{}` | {} |", line.key, line.value);
        assert!(page.contains(&row), "docs/manifest.md must have the row {row}");
    }
    let text = "[[strategy]]\nname = \"cross\"\nkind = \"ema_cross\"";
    let strategy = Manifest::parse("run.toml", text).unwrap().describe().pop().unwrap();
    for line in strategy.lines {
        let default = if line.is_default { line.value } else { "required".to_owned() };
        let row = format!("| `strategy.{}` | {default} |", line.key);
        assert!(page.contains(&row), "docs/manifest.md must have the row {row}");
    }
    for kind in ["csv", "parquet", "alpaca", "recorded", "generator", "redis"] {
        let keys = match kind {
            "csv" | "parquet" | "recorded" => "path = \"x\"",
            "alpaca" => "from = 2024-01-02\nto = 2024-02-01",
            _ => "",
        };
        let text = format!("[data.nvda]\nkind = \"{kind}\"\n{keys}");
        let manifest = Manifest::parse("run.toml", &text).unwrap();
        for line in manifest.describe().into_iter().find(|part| part.name == "data.nvda").unwrap().lines {
            let default = match line.key {
                "symbol" => "the name in upper case",
                "kind" | "path" => "required",
                _ if line.is_default => &line.value,
                _ => continue,
            };
            let key = format!("| `data.NAME.{}` |", line.key);
            let row = page.lines().find(|row| row.starts_with(&key));
            let row = row.unwrap_or_else(|| panic!("docs/manifest.md must have a row {key}"));
            assert!(row.contains(&format!(" | {default} | ")), "{row} must have the default {default}");
        }
    }
    for line in Manifest::default().sweep.describe() {
        let row = format!("| `sweep.{}` | {} |", line.key, line.value);
        assert!(line.key == "combinations" || line.key == "keys" || page.contains(&row), "{row} is missing");
    }
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 3);
    for example in &examples[..2] {
        Manifest::parse("docs/manifest.md", example).unwrap();
    }
    Manifest::parse("docs/manifest.md", &format!("{}{}", examples[0], examples[2])).unwrap();
}
