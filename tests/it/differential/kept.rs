//! What a live run records of its signals: each end as it is settled, the books beside it, which steps are still to come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bot::inbox::{InboxError, Keeper, KeptBooks, Settlement, Settler};
use bot::live::Summary;
use bot::outcome::{Outcome, OutcomeKind};
use bot::portfolio::StrategyBook;

use super::compare::{Deeds, What, code};

/// Of all processes of a run; clones are the same.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    outcomes: Vec<Outcome>,
    /// By strategy, as text.
    books: BTreeMap<String, String>,
    /// Steps that were sent and are not settled.
    steps: usize,
}

impl Kept {
    /// Lets all that `settler` settles be noted.
    pub fn by<S>(&self, settler: S) -> Noting<S> {
        Noting { settler, kept: self.clone() }
    }

    /// Whether a step waits until it is due.
    pub fn waits(&self) -> bool {
        self.records().steps > 0
    }

    /// The stream is lost, and what was on it.
    pub fn lose(&self) {
        self.records().steps = 0;
    }

    /// Adds what it knows of a run that ended so.
    pub fn tell(&self, deeds: &mut Deeds, summary: &Summary) {
        let records = self.records();
        records.outcomes.iter().for_each(|outcome| note_outcome(deeds, outcome));
        for text in records.books.values() {
            let kept: serde_json::Value = serde_json::from_str(text).unwrap();
            let book: StrategyBook = serde_json::from_value(kept["book"].clone()).unwrap();
            deeds.book(&book);
        }
        for status in &summary.strategies {
            deeds.fail(&status.name, status.last_failure.as_ref());
        }
        let statement = &summary.statement;
        let positions = statement.positions.iter().map(|(symbol, held)| (*symbol, held.quantity()));
        deeds.end(statement.cash, positions);
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap()
    }
}

fn note_outcome(deeds: &mut Deeds, outcome: &Outcome) {
    let signal = &outcome.decision.as_ref().unwrap().signal;
    let (symbol, strategy, at) = (signal.symbol, &outcome.strategy, outcome.received_at.unwrap());
    let (step, code) = (signal.step.as_ref().map_or(0, |step| step.number), code(&outcome.reason));
    deeds.steps += u64::from(step > 0);
    deeds.note(at, strategy, What::Signal, format!("{symbol} step {step}: {} {code}", outcome.kind.as_str()));
    if outcome.submitted_at.is_some() {
        let (side, quantity) = (outcome.side.unwrap(), outcome.quantity.unwrap());
        deeds.note(at, strategy, What::Order, format!("{side} {quantity} {symbol}"));
    }
    deeds.partial_fills += u64::from(outcome.kind == OutcomeKind::PartlyFilled);
    let filled = outcome.filled.filter(|filled| filled.is_positive());
    if let (Some(filled), Some(price)) = (filled, outcome.average_price) {
        let (at, side) = (outcome.final_at.unwrap(), outcome.side.unwrap());
        deeds.fill(at, strategy, symbol, side, (filled, price.price()));
    }
}

/// A settler that notes what it settled.
pub struct Noting<S> {
    settler: S,
    kept: Kept,
}

impl<S: Settler> Settler for Noting<S> {
    fn settle(&mut self, batch: &[Settlement]) -> Result<(), InboxError> {
        self.settler.settle(batch)?;
        let mut records = self.kept.records();
        for settlement in batch {
            let outcome = settlement.outcome().expect("there are no dead letters");
            let signal = &outcome.decision.as_ref().unwrap().signal;
            records.steps -= usize::from(signal.step.is_some());
            records.outcomes.push(outcome.clone());
            let Some(after) = settlement.after() else { continue };
            records.steps += usize::from(after.next.is_some());
            records.books.extend(after.books.iter().cloned());
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), InboxError> {
        self.settler.renew()
    }

    fn take_books(&mut self, strategies: &[String]) -> Result<Keeper, InboxError> {
        self.settler.take_books(strategies)
    }

    fn write_books(&mut self, kept: &KeptBooks) -> Result<(), InboxError> {
        self.kept.records().books.extend(kept.books.iter().cloned());
        self.settler.write_books(kept)
    }

    fn has_lost_books(&self) -> bool {
        self.settler.has_lost_books()
    }

    /// The clock stands still until all is done.
    fn gather_for(&self) -> Duration {
        Duration::ZERO
    }
}
