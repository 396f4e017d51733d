//! What a backtest needs beyond what a live run does.

use toml::de::DeValue;

use super::value::Value;
use super::written::Written;
use super::{DataKind, DataSection, Manifest, Weights};
use crate::broker::simulated::FillModel;
use crate::data::spec::Origin;
use crate::data::{Shape, Spec};

/// Everything that `manifest` lacks for a backtest is a fault.
pub(super) fn check(manifest: &Manifest, root: &mut Written<'_, '_>) {
    if manifest.strategies.is_empty() && root.value("strategy").is_none() {
        let message = "at least one [[strategy]] must be written for a backtest, was none";
        root.fault_at(&(0..0), &["strategy"], message.to_owned());
    }
    if manifest.data.is_empty() && root.value("data").is_none() {
        let message = "at least one [data.NAME] must be written for a backtest, was none";
        root.fault_at(&(0..0), &["data"], message.to_owned());
    }
    for source in &manifest.data {
        match &source.spec {
            Some(spec) => files(root, spec),
            None if is_used(manifest, source) => {
                let at = root.at(&["data", &source.name, "kind"]).map_or(0..0, |kind| kind.span);
                let message = format!("must have a history for a backtest, was \"{}\"", DataKind::Redis);
                root.fault_at(&at, &["data", &source.name, "kind"], message);
            }
            None => {}
        }
    }
    quotes(manifest, root);
    weights(manifest, root);
}

/// Volatility is measured over the days before a run, of which a backtest knows nothing.
fn weights(manifest: &Manifest, root: &mut Written<'_, '_>) {
    if manifest.portfolio.weights == Some(Weights::InverseVolatility) {
        let keys = ["portfolio", "weights"];
        let at = root.at(&keys).map_or(0..0, |value| value.span);
        let message = "must be \"equal\" or a table for a backtest, was \"inverse_volatility\"";
        root.fault_at(&at, &keys, message.to_owned());
    }
}

fn is_used(manifest: &Manifest, source: &DataSection) -> bool {
    manifest.statistics.benchmark.as_ref() == Some(&source.name)
        || manifest.strategies.iter().any(|strategy| manifest.sources_of(strategy).contains(&source))
}

/// The files that a source is made of exist.
fn files(root: &mut Written<'_, '_>, spec: &Spec) {
    let (paths, is_folder) = match &spec.origin {
        Origin::Csv { paths, .. } | Origin::Parquet { paths, .. } => (paths.as_slice(), false),
        Origin::Recorded { path, .. } => (std::slice::from_ref(path), true),
        Origin::Alpaca { .. } | Origin::Generator(_) => return,
    };
    let keys = ["data", &spec.name, "path"];
    let Some(value) = root.at(&keys) else { return };
    let whole = value.span.clone();
    let places: Vec<_> = match value.kind {
        DeValue::Array(items) => items.iter().filter_map(Value::of).map(|item| item.span).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => vec![whole.clone()],
    };
    for (index, path) in paths.iter().enumerate() {
        let (exists, what) = if is_folder { (path.is_dir(), "directory") } else { (path.is_file(), "file") };
        if !exists {
            let at = places.get(index).unwrap_or(&whole).clone();
            root.fault_at(&at, &keys, format!("must be a {what} that exists, was \"{}\"", path.display()));
        }
    }
}

/// Orders that fill at quotes need some.
fn quotes(manifest: &Manifest, root: &mut Written<'_, '_>) {
    let has_quotes = |source: &DataSection| {
        source
            .spec
            .as_ref()
            .is_none_or(|spec| spec.shape == Shape::Quote || matches!(spec.origin, Origin::Recorded { .. }))
    };
    if manifest.broker.fill != Some(FillModel::Quote) || manifest.data.iter().any(has_quotes) {
        return;
    }
    if let Some(value) = root.at(&["broker", "fill"]) {
        let rule = "must be \"next_open\" or \"same_close\" where no data section has quotes";
        root.fault_at(&value.span, &["broker", "fill"], value.breaks(rule));
    }
}
