//! Scripts import functions of other files of their folder, and of no other place.

use std::fs;
use std::os::unix::fs::symlink;

use bot::manifest::strategy::read_script;
use bot::manifest::{Document, Purpose};
use tempfile::TempDir;

use super::{bot, check};

const DIP: &str = "import \"shared\" as own;\nfn on_event(event) { signal(event.symbol, own::half(1.0)); }\n";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("strategies")).unwrap();
    write(&folder, "strategies/dip_strategy.rhai", DIP);
    write(&folder, "strategies/shared.rhai", "fn half(x) {\n    x / 2.0\n}\n");
    folder
}

fn write(folder: &TempDir, name: &str, text: &str) {
    fs::write(folder.path().join(name), text).unwrap();
}

#[test]
fn a_module_of_the_folder_is_imported_and_is_no_strategy() {
    let folder = folder();
    check(&folder, &["check", "dip"], 0, "dip has no faults");
    check(&folder, &["test", "dip", "--count", "1"], 0, "NVDA signal +0.5");
    let listed = String::from_utf8(bot(&["strategy", "list"], folder.path()).stdout).unwrap();
    assert!(listed.contains("dip_strategy.rhai") && !listed.contains("shared"), "{listed}");
    check(&folder, &["check", "shared"], 4, "was \"strategies/shared_strategy.rhai\"");
    let rule =
        "strategy must be a kind or a file that ends in _strategy.rhai, was \"strategies/shared.rhai\"";
    check(&folder, &["check", "strategies/shared.rhai"], 2, rule);
    write(&folder, "strategies/shared.rhai", "fn half(x) {\n    throw \"no half\";\n}\n");
    check(&folder, &["check", "dip"], 3, "strategies/shared.rhai:2:5: no half");
    write(&folder, "strategies/shared.rhai", "fn half(x) {\n    let\n}\n");
    check(&folder, &["check", "dip"], 3, "strategies/shared.rhai:3:1: ");
    let manifest = "[data.nvda]\nkind = \"generator\"\nrows = 10\n[[strategy]]\nname = \"dip\"\n";
    write(&folder, "run.toml", manifest);
    let output = bot(&["check", "run.toml"], folder.path());
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("strategies/shared.rhai:3:1: "), "{said}");
}

#[test]
fn what_lies_elsewhere_is_not_imported() {
    let folder = folder();
    fs::remove_file(folder.path().join("strategies/shared.rhai")).unwrap();
    check(
        &folder,
        &["check", "dip"],
        3,
        "dip_strategy.rhai:1:1: a module must be a file that exists, was strategies/shared.rhai: No such file",
    );
    write(&folder, "outside.rhai", "fn half(x) { x }\n");
    symlink("../outside.rhai", folder.path().join("strategies/shared.rhai")).unwrap();
    check(
        &folder,
        &["check", "dip"],
        3,
        "a module must lie in the folder of its script, was strategies/shared.rhai, a link to /",
    );
    fs::remove_file(folder.path().join("strategies/shared.rhai")).unwrap();
    write(&folder, "strategies/other.rhai", "fn half(x) { x }\n");
    symlink("other.rhai", folder.path().join("strategies/shared.rhai")).unwrap();
    check(&folder, &["check", "dip"], 0, "no faults");
    write(&folder, "strategies/other.rhai", &"/".repeat(300 * 1024));
    check(&folder, &["check", "dip"], 3, "module must have at most 262144 bytes, was 307200");
    write(&folder, "strategies/dip_strategy.rhai", &DIP.replace("shared\"", "../outside\""));
    check(
        &folder,
        &["check", "dip"],
        3,
        "dip_strategy.rhai:1:1: a module must be NAME of a file NAME.rhai in the script's folder",
    );
}

#[test]
fn a_sweep_notices_that_a_module_changed() {
    let folder = folder();
    let manifest = "[data.nvda]\nkind = \"generator\"\nrows = 10\n[[strategy]]\nname = \"dip\"\n\
                    [sweep]\n\"data.nvda.seed\" = [1, 2]\n";
    write(&folder, "run.toml", manifest);
    let hash = || {
        let document = Document::open(&folder.path().join("run.toml")).unwrap();
        document.read(&[], Purpose::Sweep).unwrap();
        bot::sweep::SweepPlan::new(document, Vec::new()).unwrap().hash(folder.path()).unwrap()
    };
    let before = hash();
    assert_eq!(hash(), before);
    write(&folder, "strategies/shared.rhai", "fn half(x) {\n    x / 4.0\n}\n");
    assert_ne!(hash(), before);
    let script = read_script(&folder.path().join("strategies/dip_strategy.rhai")).unwrap();
    assert!(script.modules()[0].text.contains("4.0"));
}
