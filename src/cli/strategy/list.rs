//! `bot strategy list`: the kinds with their parameters, and the scripts that were found.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::Folder;
use crate::cli::Global;
use crate::cli::exit::Failure;
use crate::manifest::strategy::read_script;
use crate::strategy::{Kind, Param, registry};

/// Shows the kinds of strategies with their parameters, and the scripts of the folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot strategy list\n  bot strategy list --dir my-scripts --json")]
pub(super) struct Args {
    #[command(flatten)]
    folder: Folder,
}

const NEEDS_STANDING_ORDERS: &str = "Trades only once standing orders exist: it can be tested, not run.";

pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let registry = registry();
    let scripts = args.folder.scripts()?;
    let mut out = std::io::stdout().lock();
    if global.json {
        let kinds: Vec<Json> = registry.kinds().map(kind_json).collect();
        let scripts: Vec<Json> = scripts.iter().map(|path| script_json(path)).collect();
        writeln!(out, "{}", json!({ "kinds": kinds, "scripts": scripts }))?;
        return Ok(());
    }
    for kind in registry.kinds() {
        writeln!(out, "{}\n  {}", kind.name(), kind.about())?;
        if kind.leaves_orders_standing() {
            writeln!(out, "  {NEEDS_STANDING_ORDERS}")?;
        }
        write_params(&mut out, kind.params())?;
    }
    for path in scripts {
        writeln!(out, "{}", path.display())?;
        match read_script(&path) {
            Ok(script) => {
                if !script.standing_orders().is_empty() {
                    writeln!(out, "  {NEEDS_STANDING_ORDERS}")?;
                }
                write_params(&mut out, script.params())?;
            }
            Err(fault) => writeln!(out, "  does not work: {fault}")?,
        }
    }
    Ok(())
}

fn write_params(out: &mut impl Write, params: &[Param]) -> std::io::Result<()> {
    for param in params {
        let Param { name, about, default, .. } = param;
        write!(out, "    {name} = {default}  {}", param.allowed())?;
        writeln!(out, "{}{about}", if about.is_empty() { "" } else { ". " })?;
    }
    Ok(())
}

fn kind_json(kind: &Kind) -> Json {
    json!({
        "name": kind.name(),
        "about": kind.about(),
        "needs_standing_orders": kind.leaves_orders_standing(),
        "params": params_json(kind.params()),
    })
}

fn script_json(path: &std::path::Path) -> Json {
    match read_script(path) {
        Ok(script) => json!({
            "file": path,
            "ok": true,
            "needs_standing_orders": !script.standing_orders().is_empty(),
            "params": params_json(script.params()),
        }),
        Err(fault) => json!({ "file": path, "ok": false, "fault": fault }),
    }
}

fn params_json(params: &[Param]) -> Vec<Json> {
    let number = |bound: Option<f64>| bound.map_or(Json::Null, Json::from);
    params
        .iter()
        .map(|param| {
            json!({
                "name": param.name,
                "type": param.default.type_name(),
                "default": Json::from(param.default.clone()),
                "from": number(param.range.map(|(from, _)| from)),
                "to": number(param.range.map(|(_, to)| to)),
                "about": param.about,
            })
        })
        .collect()
}
