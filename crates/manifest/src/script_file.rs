//! Scripts as files: their text, and the modules that lie beside them.

use std::fs;
use std::path::Path;

use bot_core::strategy::ScriptFault;
use bot_script::{BYTES_MAX, Script};

/// Reads the script at `path` and compiles it; the path is what its faults carry.
///
/// # Errors
/// A file that cannot be read is a fault as well.
pub fn read_script(path: &Path) -> Result<Script, ScriptFault> {
    let file = path.display().to_string();
    let source = read_text(path, "script").map_err(|message| {
        let (file, line, column) = (file.clone(), None, None);
        ScriptFault { file, line, column, message }
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Script::compile_with(&file, &source, &|name| read_module(folder, name))
}

/// The file and the text of the module of this name, whose letters were checked: a file of `folder`, links followed.
fn read_module(folder: &Path, name: &str) -> Result<(String, String), String> {
    let path = folder.join(format!("{name}.rhai"));
    let file = path.display().to_string();
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let real = path.canonicalize().and_then(|real| Ok((real, here.canonicalize()?)));
    let (real, here) =
        real.map_err(|error| format!("a module must be a file that exists, was {file}: {error}"))?;
    if real.parent() != Some(&here) {
        return Err(format!(
            "a module must lie in the folder of its script, was {file}, a link to {}",
            real.display()
        ));
    }
    Ok((file, read_text(&path, "module")?))
}

fn read_text(path: &Path, what: &str) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > BYTES_MAX as u64 {
        return Err(format!("{what} must have at most {BYTES_MAX} bytes, was {length}"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
