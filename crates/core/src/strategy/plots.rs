//! What a strategy plots: numbers under names, for the report of a run over history. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;

use crate::clock::Timestamp;
use crate::label::{LABEL_RULE, is_label};

/// A strategy plots under at most so many names.
pub const PLOT_NAMES_MAX: usize = 20;
/// A run keeps at most so many points of all its strategies.
pub const PLOT_POINTS_MAX: usize = 1_000_000;

/// What cannot be plotted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlotError {
    /// It would stand as a hole in its chart.
    #[error("plot \"{0}\" must be of a finite number, was {1}")]
    Value(String, f64),
    /// It cannot stand in a file or above a chart.
    #[error("name of a plot must be {LABEL_RULE}, was \"{0}\"")]
    Name(String),
    /// Each name is a chart.
    #[error("a strategy must plot under at most {PLOT_NAMES_MAX} names, was \"{0}\" beside those")]
    Names(String),
}

/// What one call of a strategy plots, and the names under which it has plotted until now.
#[derive(Debug, Default)]
pub(super) struct Plots {
    names: Vec<String>,
    /// So many of the names are of calls that did not fail.
    kept: usize,
    /// Each by the place of its name.
    points: Vec<(u8, f64)>,
}

/// One number that was plotted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotPoint {
    /// When: the time of the event, the timer or the fill.
    pub at: Timestamp,
    /// The place of its name among the strategy's.
    pub name: u8,
    /// The number, finite.
    pub value: f64,
}

/// What a strategy has plotted in its run, as far as there was room for it.
#[derive(Debug, Default)]
pub(super) struct PlotLog {
    points: Vec<PlotPoint>,
    room: PlotRoom,
    count: u64,
}

/// How many points the strategies of one run may still keep; clones share it, and the default keeps none.
#[derive(Debug, Clone, Default)]
pub struct PlotRoom(Arc<AtomicUsize>);

impl Plots {
    pub(super) fn add(&mut self, name: &str, value: f64) -> Result<(), PlotError> {
        if !value.is_finite() {
            return Err(PlotError::Value(name.to_owned(), value));
        }
        let place = match self.names.iter().position(|known| known == name) {
            Some(place) => place,
            None if !is_label(name) => return Err(PlotError::Name(name.to_owned())),
            None if self.names.len() >= PLOT_NAMES_MAX => return Err(PlotError::Names(name.to_owned())),
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        };
        self.points.push((u8::try_from(place).unwrap_or(u8::MAX), value));
        Ok(())
    }

    /// Takes what `other` has, in order.
    pub(super) fn append(&mut self, other: &mut Self) -> Result<(), PlotError> {
        other.kept = other.names.len();
        let Self { names, points, .. } = other;
        points.drain(..).try_for_each(|(name, value)| self.add(&names[usize::from(name)], value))
    }

    /// Whether nothing was ever plotted.
    #[inline]
    pub(super) fn is_blank(&self) -> bool {
        self.names.is_empty()
    }

    /// Drops what the call plotted, and names that came with it.
    pub(super) fn clear(&mut self) {
        self.names.truncate(self.kept);
        self.points.clear();
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

impl PlotLog {
    /// Keeps as many points as there is `room` for.
    pub(super) fn keep(&mut self, room: PlotRoom) {
        self.room = room;
    }

    /// Takes what a call plotted that did not fail.
    pub(super) fn take(&mut self, plots: &mut Plots, at: Timestamp) {
        plots.kept = plots.names.len();
        for (name, value) in plots.points.drain(..) {
            self.count += 1;
            if self.room.take() {
                self.points.push(PlotPoint { at, name, value });
            }
        }
    }

    /// Points until now, those counted for which there was no room.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn points(&self) -> &[PlotPoint] {
        &self.points
    }
}

impl PlotRoom {
    /// Room for so many points.
    pub fn of(points: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(points)))
    }

    /// Whether there was room for one more.
    fn take(&self) -> bool {
        let less = |room: usize| room.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(plots: &mut Plots, name: &str, value: f64) -> String {
        plots.add(name, value).map_or_else(|error| error.to_string(), |()| "plotted".to_owned())
    }

    #[test]
    fn what_cannot_be_plotted_is_told_with_its_rule() {
        let mut plots = Plots::default();
        assert_eq!(said(&mut plots, "z", f64::NAN), "plot \"z\" must be of a finite number, was NaN");
        assert_eq!(said(&mut plots, "z", -f64::INFINITY), "plot \"z\" must be of a finite number, was -inf");
        assert_eq!(
            said(&mut plots, "a,b", 1.0),
            "name of a plot must be 1 to 32 printable characters, no comma, no quote and no space at its ends, \
             was \"a,b\""
        );
        for name in 0..PLOT_NAMES_MAX {
            assert_eq!(said(&mut plots, &name.to_string(), 1.0), "plotted");
        }
        assert_eq!(said(&mut plots, "0", 2.0), "plotted");
        assert_eq!(
            said(&mut plots, "z", 1.0),
            "a strategy must plot under at most 20 names, was \"z\" beside those"
        );
    }

    #[test]
    fn names_of_a_call_that_failed_leave_no_trace() {
        let (mut plots, mut log) = (Plots::default(), PlotLog::default());
        log.keep(PlotRoom::of(10));
        plots.add("a", 1.0).unwrap();
        log.take(&mut plots, Timestamp::from_secs(1));
        plots.add("b", 2.0).unwrap();
        plots.clear();
        plots.add("c", 3.0).unwrap();
        log.take(&mut plots, Timestamp::from_secs(2));
        assert_eq!(plots.names(), ["a", "c"]);
        let kept: Vec<_> =
            log.points().iter().map(|point| (point.at.millis(), point.name, point.value)).collect();
        assert_eq!(kept, [(1_000, 0, 1.0), (2_000, 1, 3.0)]);
    }

    #[test]
    fn strategies_share_the_room_of_their_run_and_what_has_none_is_counted() {
        let room = PlotRoom::of(3);
        let (mut plots, mut first, mut second) = (Plots::default(), PlotLog::default(), PlotLog::default());
        first.keep(room.clone());
        second.keep(room);
        for log in [&mut first, &mut second] {
            plots.add("a", 1.0).unwrap();
            plots.add("a", 2.0).unwrap();
            log.take(&mut plots, Timestamp::from_secs(1));
        }
        assert_eq!((first.points().len(), second.points().len(), second.count()), (2, 1, 2));
    }
}
