//! The end of a strategy's signal: its fill goes into the books, and what is missing is asked for again. Pure.

use super::net::{self, Parts};
use super::{BookChange, Portfolio};
use crate::clock::Timestamp;
use crate::outcome::OutcomeKind;
use crate::signal::{Signal, Step, Wanted};
use crate::strategy::{Fill, OrderEnd};
use crate::symbol::Symbol;
use crate::units::{Money, Quantity};

/// How a strategy's signal ended.
#[derive(Debug, Clone)]
pub struct Ending<'a> {
    /// The place of the strategy.
    pub place: usize,
    /// What it asked for.
    pub signal: &'a Signal,
    /// How it ended.
    pub kind: OutcomeKind,
    /// Why, as `code: text`.
    pub reason: &'a str,
    /// Signed shares that were under way for it; 0 where there was no order.
    pub ordered: Quantity,
    /// Each book's part of them, where intents are combined.
    pub parts: Option<&'a Parts>,
    /// Whether something may follow though it filled: it went to flat only, or nobody knows any more.
    pub goes_on: bool,
    /// Signed shares filled.
    pub filled: Quantity,
    /// Money paid for them, negative when received.
    pub paid: Money,
    /// Fees paid.
    pub fee: Money,
    /// When.
    pub at: Timestamp,
    /// When the session opens, where it was refused because that is closed.
    pub opens_at: Option<Timestamp>,
}

/// What follows from an end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ended {
    /// What changed in the book of the signal's own strategy, where it is one's.
    pub own: Option<BookChange>,
    /// What changed in those of others, in their order.
    pub others: Vec<BookChange>,
    /// The step that is to come.
    pub next: Option<Step>,
}

impl Ended {
    /// What changed in the books.
    fn changes(&self) -> impl Iterator<Item = &BookChange> {
        self.own.iter().chain(&self.others)
    }

    /// What each strategy is told of it: the signal's own how it ended, the others what was filled for them.
    pub fn told<'a>(
        &'a self,
        portfolio: &'a Portfolio,
        place: Option<usize>,
        (kind, reason): (OutcomeKind, &'a str),
    ) -> impl Iterator<Item = (usize, OrderEnd)> + 'a {
        self.changes().filter_map(move |change| {
            let BookChange { strategy, symbol, at, .. } = *change;
            let outcome = Some(kind).filter(|_| Some(strategy) == place);
            let fill = Fill::of(symbol, change.shares, change.paid, at);
            let is_news = outcome.is_some() || fill.is_some();
            let reason = if outcome.is_some() { reason.to_owned() } else { String::new() };
            let book = portfolio.book(strategy);
            let (position, cash) = (book.position(symbol), book.cash());
            let end =
                OrderEnd { at, symbol, outcome, reason, fill, position, cash, goes_on: self.next.is_some() };
            is_news.then_some((strategy, end))
        })
    }
}

/// A reason on a stream is at most so long.
const REASON_LEN_MAX: usize = 60;

impl Portfolio {
    /// Books the end of a strategy's signal into all books that it concerns, and says what follows.
    pub fn end(&mut self, ending: &Ending<'_>) -> Ended {
        let symbol = ending.signal.symbol;
        self.release(ending);
        let (own, others) = match ending.parts {
            Some(parts) if !ending.filled.is_zero() || ending.ordered.is_zero() => self.split(ending, parts),
            Some(_) => (None, Vec::new()),
            None => {
                let own = self.change(ending.place, ending, ending.filled, ending.paid, ending.fee);
                (Some(own), Vec::new())
            }
        };
        // Where it wants to be is part of what is kept, also where nothing filled.
        let mut own = own
            .unwrap_or_else(|| self.change(ending.place, ending, Quantity::ZERO, Money::ZERO, Money::ZERO));
        for change in std::iter::once(&own).chain(&others) {
            self.members[change.strategy].book.fill(change);
        }
        let next = self.next(ending, symbol);
        if next.is_none() && ending.kind.leaves_missing() {
            let book = &mut self.members[ending.place].book;
            book.miss(symbol);
            own.target = book.target(symbol).cloned();
        }
        Ended { own: Some(own), others, next }
    }

    fn release(&mut self, ending: &Ending<'_>) {
        let symbol = ending.signal.symbol;
        match ending.parts {
            None if ending.ordered.is_zero() => {}
            None => self.members[ending.place].book.ended(symbol, ending.ordered),
            Some(parts) => {
                for (place, part) in parts {
                    self.members[*place].book.ended(symbol, *part);
                }
            }
        }
    }

    /// Each book's part of the fill, at its average price; of an order of 0 shares the parts cancel out between the books.
    fn split(&self, ending: &Ending<'_>, parts: &Parts) -> (Option<BookChange>, Vec<BookChange>) {
        let is_crossed = ending.ordered.is_zero();
        let split = if is_crossed { parts.clone() } else { net::split(parts, ending.ordered, ending.filled) };
        let (mut paid_left, mut fee_left) = (ending.paid, ending.fee);
        let (mut own, mut others) = (None, Vec::new());
        for (number, (place, part)) in (1..).zip(&split) {
            let is_last = number == split.len();
            // Where intents were netted, `paid` is what one share costs.
            let paid = if is_crossed {
                ending.paid.share(*part, Quantity::ONE)
            } else if is_last {
                paid_left
            } else {
                ending.paid.share(*part, ending.filled)
            };
            let fee = if is_last { fee_left } else { ending.fee.share(*part, ending.filled).abs() };
            let fee = fee.min(fee_left);
            paid_left -= paid;
            fee_left -= fee;
            let change = self.change(*place, ending, *part, paid, fee);
            if *place == ending.place { own = Some(change) } else { others.push(change) }
        }
        (own, others)
    }

    fn change(
        &self,
        place: usize,
        ending: &Ending<'_>,
        shares: Quantity,
        paid: Money,
        fee: Money,
    ) -> BookChange {
        let symbol = ending.signal.symbol;
        let target = self.members[place].book.target(symbol).cloned();
        BookChange { strategy: place, symbol, shares, paid, fee, target, at: ending.at }
    }

    /// The second half of a flip at once; a missing part after the strategy's pause, until it is reached, superseded,
    /// refused twice for the same reason, or asked for often enough.
    fn next(&self, ending: &Ending<'_>, symbol: Symbol) -> Option<Step> {
        let Ending { place, signal, kind, reason, at, .. } = ending;
        if *kind == OutcomeKind::Filled && !ending.goes_on {
            return None;
        }
        let member = &self.members[*place];
        let is_target = match signal.wanted {
            Wanted::Order { .. } => false,
            Wanted::Target(_) | Wanted::Weight(_) => true,
            Wanted::Strength(_) => member.sizing.is_target,
        };
        let target = member.book.target(symbol).filter(|target| &*target.first == signal.first())?;
        if !is_target || target.first.is_empty() || self.missing(*place, symbol).is_zero() {
            return None;
        }
        if *kind == OutcomeKind::Filled {
            return Some(signal.next_step(false, "", *at));
        }
        let code = match kind {
            OutcomeKind::PartlyFilled | OutcomeKind::Unfilled | OutcomeKind::Expired => "",
            OutcomeKind::Refused => reason.split(':').next().unwrap_or_default(),
            OutcomeKind::Rejected => shortened(reason),
            OutcomeKind::Filled
            | OutcomeKind::Skipped
            | OutcomeKind::ExpiredUnconfirmed
            | OutcomeKind::Lost => return None,
        };
        let (retries, before) = signal.step.as_ref().map_or((0, ""), |step| (step.retries, &*step.reason));
        let repeats = !code.is_empty() && code == before;
        // What is wanted while the session is closed is wanted at its open, as over history, whatever is asked for again.
        if let Some(opens_at) = ending.opens_at.filter(|_| !repeats) {
            return Some(signal.next_step(false, code, opens_at.max(*at)));
        }
        (retries < member.retry.times && !repeats)
            .then(|| signal.next_step(true, code, *at + member.retry.after))
    }
}

fn shortened(reason: &str) -> &str {
    let end =
        reason.char_indices().map(|(place, _)| place).take_while(|place| *place <= REASON_LEN_MAX).last();
    if reason.len() <= REASON_LEN_MAX { reason } else { &reason[..end.unwrap_or(0)] }
}
