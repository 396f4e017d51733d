//! What the functions without arguments of a script return: `horizon()`, `warm_up()`, `indicators()`, `schedule()`.

use std::time::Duration;

use rhai::{Array, Dynamic, Map};

use super::formulas::Formula;
use bot_core::duration;
use bot_core::strategy::{NamedIndicator, Schedule};

/// More events than that are no warm-up.
const WARM_UP_MAX: i64 = 1_000_000;
/// Schedules of one script.
const SCHEDULES_MAX: usize = 100;

pub(super) fn horizon(said: &Dynamic) -> Result<Duration, String> {
    let text = said.to_string();
    duration::parse(&text)
        .ok()
        .filter(|horizon| !horizon.is_zero())
        .ok_or_else(|| format!("horizon() must return a duration above 0 such as \"1h\", was \"{text}\""))
}

pub(super) fn warm_up(said: &Dynamic) -> Result<usize, String> {
    let events = said.as_int().ok().filter(|events| (0..=WARM_UP_MAX).contains(events));
    events.and_then(|events| usize::try_from(events).ok()).ok_or_else(|| {
        format!("warm_up() must return a number of events from 0 to {WARM_UP_MAX}, was \"{said}\"")
    })
}

pub(super) fn indicators(said: &Dynamic) -> Result<Vec<NamedIndicator>, String> {
    let map: Map = said.clone().try_cast().ok_or_else(|| {
        "indicators() must return a map such as #{ fast: sma(10) }, was another value".to_owned()
    })?;
    let named = |(name, formula): (rhai::Identifier, Dynamic)| {
        let kind = formula.type_name();
        let formula = formula.try_cast::<Formula>();
        formula.map(|formula| formula.named(&name)).ok_or_else(|| {
            format!(
                "indicators() must return indicators such as sma(10), was a value of type {kind} under {name}"
            )
        })
    };
    map.into_iter().map(named).collect()
}

pub(super) fn schedules(said: &Dynamic) -> Result<Vec<Schedule>, String> {
    let texts = said.clone().try_cast::<Array>().unwrap_or_else(|| vec![said.clone()]);
    if texts.len() > SCHEDULES_MAX {
        return Err(format!("schedule() must return at most {SCHEDULES_MAX} schedules, was {}", texts.len()));
    }
    texts.iter().map(|text| text.to_string().parse().map_err(|error| format!("{error}"))).collect()
}
