//! The strategies of `bot run`: made from the manifest, hosted beside the pool, told to start and stop by name.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::exit::{Exit, Failure};
use crate::clock::Clock;
use crate::control::Control;
use crate::host::outbox::to_stream;
use crate::host::{Host, Status};
use crate::inbox::redis_stream::RedisConfig;
use crate::live::{Config, Stop};
use crate::manifest::{Manifest, defaults};
use crate::strategy::Runner;

/// How long strategies may take to end after the run.
const END_WITHIN: Duration = Duration::from_secs(2);

/// None, or a host with its control socket.
#[derive(Default)]
pub(super) struct Strategies(Option<(Host, Control)>);

impl Strategies {
    /// Makes and starts what the manifest names; they hear the run's feed and send to its stream.
    pub(super) fn start(
        manifest: &Manifest,
        redis: &RedisConfig,
        config: &mut Config,
        clock: &Arc<dyn Clock>,
        state: &Path,
    ) -> Result<Self, Failure> {
        if manifest.strategies.is_empty() {
            return Ok(Self(None));
        }
        let mut made = Vec::with_capacity(manifest.strategies.len());
        for section in &manifest.strategies {
            let own = section.symbols_of(manifest);
            let symbols = if own.is_empty() { &config.symbols } else { &own };
            let strategy = section.make(symbols).map_err(|error| Failure::new(Exit::Invalid, error))?;
            if let Some(stranger) = symbols.iter().find(|symbol| !config.symbols.contains(symbol)) {
                let text =
                    format!("strategy \"{}\" trades {stranger}, which --symbols does not name", section.name);
                return Err(Failure::message(Exit::Invalid, text));
            }
            let mut runner = Runner::new(&section.name, strategy, symbols, section.every());
            if !section.active.unwrap_or(defaults::ACTIVE) {
                runner.stop();
            }
            let sizing = section.sizing(config.rules.limits.short);
            made.push((runner, sizing));
        }
        let control = Control::open(state)?;
        let host = Host::start(made, &config.feed, clock, || to_stream(&redis.url, &redis.stream))?;
        config.outcome_listeners = host.listeners();
        Ok(Self(Some((host, control))))
    }

    /// Answers the control socket while `run` runs.
    pub(super) fn beside<T>(&self, stop: &Stop, run: impl FnOnce() -> T) -> T {
        let Some((host, control)) = &self.0 else { return run() };
        std::thread::scope(|scope| {
            scope.spawn(|| control.serve(host, stop));
            let result = run();
            stop.request(); // The run may have ended by itself.
            result
        })
    }

    /// How each of them did; one that does not end is named and left behind.
    pub(super) fn end(self, clock: &dyn Clock) -> Vec<Status> {
        let Some((host, _control)) = self.0 else { return Vec::new() };
        let (ended, hanging) = host.end(clock, END_WITHIN);
        for name in hanging {
            tracing::error!(strategy = name, "a strategy did not end; it is left behind");
        }
        ended
    }
}
