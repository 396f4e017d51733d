//! What a manifest must have for one command: a live run, a backtest, a sweep.

use std::ops::Range;

use toml::de::DeValue;

use super::strategy::read_script;
use super::value::WrittenValue;
use super::written::Written;
use super::{
    Combine, DataKind, DataSection, Manifest, Purpose, StrategySection, StrategySource, Weights, instrument,
    sweep,
};
use bot_core::sizing;
use bot_core::strategy::{self, Kind};
use bot_core::symbol::Symbol;
use bot_data::spec::Origin;
use bot_data::{RowKind, Spec};
use bot_simulated::{FillModel, SizeAt};

/// Everything that `manifest` lacks for its `purpose` is a fault.
pub(super) fn check(manifest: &Manifest, purpose: Purpose<'_>, root: &mut Written<'_, '_>) {
    match purpose {
        Purpose::Any => return,
        Purpose::Run { symbols } => live(manifest, symbols, root),
        Purpose::Sweep if manifest.sweep.is_empty() => {
            let keys = [sweep::NAME];
            let message = "there must be something to sweep: a key with its values, was nothing";
            root.fault_at(&place(root, &keys), &keys, message.to_owned());
            return; // What a sweep would lack besides is of no interest.
        }
        Purpose::Backtest | Purpose::Sweep | Purpose::Trial => history(manifest, root),
    }
    for section in &manifest.strategies {
        standing_orders(section, root);
    }
    instrument::check(manifest, purpose, root);
}

/// A live run needs a live feed for all that its strategies look at.
fn live(manifest: &Manifest, symbols: &[Symbol], root: &mut Written<'_, '_>) {
    weights(manifest, &manifest.traded_live(symbols), root);
    for source in manifest.data.iter().filter(|source| !source.is_priced()) {
        let is_watched =
            manifest.strategies.iter().any(|strategy| manifest.sources_of(strategy).contains(&source));
        if is_watched && source.kind != DataKind::Redis {
            let keys = ["data", source.name.as_str(), "kind"];
            let message = format!(
                "numbers must come from \"{}\" for a live run, was \"{}\"",
                DataKind::Redis,
                source.kind
            );
            root.fault_at(&place(root, &keys), &keys, message);
        }
    }
    if symbols.is_empty() {
        return;
    }
    for section in &manifest.strategies {
        let traded = section.symbols_of(manifest);
        if let Some(stranger) = traded.iter().find(|symbol| !symbols.contains(symbol)) {
            let keys = ["strategy", section.name.as_str(), "symbols"];
            let message = format!("must trade symbols of --symbols only, was \"{stranger}\"");
            let at = root.at(&keys).map_or_else(|| place(root, &keys[..2]), |value| value.span);
            root.fault_at(&at, &keys, message);
        }
    }
}

/// Until standing orders exist, a strategy that leaves orders standing is refused before it trades.
fn standing_orders(section: &StrategySection, root: &mut Written<'_, '_>) {
    match &section.source {
        StrategySource::Kind(name) => {
            if strategy::registry().kind(name).is_ok_and(Kind::leaves_orders_standing) {
                let rule = "kind must be one whose orders end at once until standing orders exist";
                let keys = ["strategy", section.name.as_str(), "kind"];
                root.fault_at(&place(root, &keys), &keys, format!("{rule}, was \"{name}\""));
            }
        }
        StrategySource::Script(path) => {
            // One that cannot be read was told where it is named.
            let Some(Ok(script)) = root.folder().map(|_| read_script(path)) else { return };
            let keys = ["strategy", section.name.as_str(), "script"];
            let at = root.at(&keys).map_or_else(|| place(root, &keys[..2]), |value| value.span);
            for fault in script.standing_orders() {
                root.fault_at(&at, &keys, fault.to_string());
            }
        }
    }
}

/// Where the value of `keys` is written; the beginning of the text where it is not.
fn place(root: &Written<'_, '_>, keys: &[&str]) -> Range<usize> {
    root.at(keys).map_or(0..0, |value| value.span)
}

/// A backtest needs strategies and the history of what they look at.
fn history(manifest: &Manifest, root: &mut Written<'_, '_>) {
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
                let keys = ["data", source.name.as_str(), "kind"];
                let message = format!("must have a history for a backtest, was \"{}\"", DataKind::Redis);
                root.fault_at(&place(root, &keys), &keys, message);
            }
            None => {}
        }
    }
    for section in &manifest.strategies {
        for symbol in manifest.unseen(section) {
            let keys = ["strategy", section.name.as_str(), "symbols"];
            let message = format!("must be of the strategy's data sections for a backtest, was \"{symbol}\"");
            root.fault_at(&place(root, &keys), &keys, message);
        }
    }
    sizes(manifest, root);
    quotes(manifest, root);
    volatility(manifest, root);
    if !manifest.strategies.is_empty() {
        weights(manifest, &manifest.traded(), root);
    }
}

/// Weights that are written one by one name each traded symbol and no other.
fn weights(manifest: &Manifest, traded: &[Symbol], root: &mut Written<'_, '_>) {
    let Some(rule @ Weights::Fixed(_)) = &manifest.portfolio.weights else { return };
    let traded: Vec<_> = traded.iter().map(|symbol| (*symbol, Vec::new())).collect();
    if let Err(error) = sizing::target_weights(rule, &traded) {
        let keys = ["portfolio", "weights"];
        root.fault_at(&place(root, &keys), &keys, error.to_string());
    }
}

/// Volatility is measured over the days before a run, of which a backtest knows nothing.
fn volatility(manifest: &Manifest, root: &mut Written<'_, '_>) {
    if manifest.portfolio.weights == Some(Weights::InverseVolatility) {
        let keys = ["portfolio", "weights"];
        let at = place(root, &keys);
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
        DeValue::Array(items) => items.iter().filter_map(WrittenValue::of).map(|item| item.span).collect(),
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

/// A net order is of what all books want: it is no part of one book's equity.
fn sizes(manifest: &Manifest, root: &mut Written<'_, '_>) {
    if manifest.broker.size_at != Some(SizeAt::Fill) || manifest.portfolio.combine() != Combine::Net {
        return;
    }
    if let Some(value) = root.at(&["broker", "size_at"]) {
        let rule = "must be \"decision\" where portfolio.combine is \"net\"";
        root.fault_at(&value.span, &["broker", "size_at"], value.breaks(rule));
    }
}

/// Orders that fill at quotes need some.
fn quotes(manifest: &Manifest, root: &mut Written<'_, '_>) {
    let has_quotes = |source: &DataSection| {
        source.spec.as_ref().is_none_or(|spec| {
            spec.row_kind == RowKind::Quote || matches!(spec.origin, Origin::Recorded { .. })
        })
    };
    if manifest.broker.fill != Some(FillModel::Quote) || manifest.data.iter().any(has_quotes) {
        return;
    }
    if let Some(value) = root.at(&["broker", "fill"]) {
        let rule = "must be \"next_open\" or \"same_close\" where no data section has quotes";
        root.fault_at(&value.span, &["broker", "fill"], value.breaks(rule));
    }
}
