//! Both machines of several processes over any order of steps, lost questions, lost answers, crashes and emptied servers.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use self::model::Server;
use super::books::StrategyHolder;
use super::held::HeldEntries;
use super::reading::{self, StreamReader};
use super::settling::{self, StreamSettler};
use super::{After, CallStep, Delivery, Keeper, Settlement};
use crate::clock::Timestamp;
use crate::outcome::{Outcome, OutcomeKind};
use crate::signal::EntryId;

const LEASE: Duration = Duration::from_secs(3);
const PROCESSES: usize = 2;

/// One thing that happens; a `usize` names the process.
#[derive(Debug, Clone)]
enum Event {
    Send {
        is_own: bool,
    },
    Delete(usize),
    Wait(u64),
    /// The next step of a read: a question reaches the server, or its answer the process.
    Read(usize),
    /// The connection breaks: the question did not arrive, or its answer is lost.
    BreakRead(usize),
    Settle(usize),
    BreakSettle(usize),
    Renew(usize),
    Take(usize),
    Crash(usize),
    LoseHold,
    Flush,
}

fn event() -> impl Strategy<Value = Event> {
    let process = 0..PROCESSES;
    prop_oneof![
        10 => prop::bool::weighted(0.3).prop_map(|is_own| Event::Send { is_own }),
        1 => any::<usize>().prop_map(Event::Delete),
        2 => (0_u64..2_000).prop_map(Event::Wait),
        30 => process.clone().prop_map(Event::Read),
        2 => process.clone().prop_map(Event::BreakRead),
        8 => process.clone().prop_map(Event::Settle),
        2 => process.clone().prop_map(Event::BreakSettle),
        1 => process.clone().prop_map(Event::Renew),
        1 => process.clone().prop_map(Event::Take),
        2 => process.prop_map(Event::Crash),
        1 => Just(Event::LoseHold),
        1 => Just(Event::Flush),
    ]
}

/// What the settling half works on.
enum Call {
    /// It began in that life of the stream.
    Settle(Vec<Settlement>, u64),
    Renew,
    Take,
}

struct Process {
    name: String,
    held: HeldEntries,
    reading: StreamReader,
    settling: StreamSettler,
    read_answer: Option<reading::ReadAnswer>,
    call: Option<Call>,
    settle_answer: Option<settling::SettleAnswer>,
    /// Delivered and not settled.
    at_work: BTreeMap<u64, Settlement>,
    settled: BTreeSet<u64>,
    /// The last entry that nobody had been given before.
    newest: u64,
}

impl Process {
    fn start(name: String) -> Self {
        let (held, holding) = (HeldEntries::default(), StrategyHolder::default());
        Self {
            reading: StreamReader::new(name.clone(), LEASE, held.clone(), holding.clone()),
            settling: StreamSettler::new(name.clone(), name.clone(), held.clone(), holding),
            name,
            held,
            read_answer: None,
            call: None,
            settle_answer: None,
            at_work: BTreeMap::new(),
            settled: BTreeSet::new(),
            newest: 0,
        }
    }

    /// True when a read ended without a delivery.
    fn read(&mut self, server: &mut Server, room: usize) -> bool {
        if let Some(answer) = self.read_answer.take() {
            if self.reading.on(answer, server.now).is_err() {
                self.reading.disconnected();
            }
            return false;
        }
        match self.reading.read(room, server.now, server.now) {
            CallStep::Command(command) => {
                match server.read(command, &self.name) {
                    Ok(answer) => self.read_answer = Some(answer),
                    Err(_) => self.reading.disconnected(),
                }
                false
            }
            CallStep::Done(deliveries) => {
                assert!(deliveries.len() <= room);
                for delivery in &deliveries {
                    self.take_on(delivery, server);
                }
                deliveries.is_empty()
            }
        }
    }

    fn take_on(&mut self, delivery: &Delivery, server: &Server) {
        let (id, is_own, deliveries, kind) = match delivery {
            Delivery::Entry(entry) => {
                (&entry.id, !entry.fields[0].1.is_empty(), entry.deliveries, OutcomeKind::Filled)
            }
            Delivery::Lost { id, .. } => (id, false, 2, OutcomeKind::Lost),
        };
        let (place, name) = (number(id.as_str()), &self.name);
        assert!(!self.settled.contains(&place), "{name}: {id} was settled by this process");
        if deliveries == 1 && !is_own {
            assert!(place > self.newest, "{name}: {id} came after {}", self.newest);
            self.newest = place;
            let is_held = |id: &u64| self.held.get(&EntryId::new(&format!("{id}-0"))).is_some();
            let passed_over = server.plain_pending_of(name).find(|id| *id < place && !is_held(id));
            assert_eq!(passed_over, None, "{name}: it is pending, and {id} came before it");
        }
        let settlement = end_of(id, is_own, kind, server.life);
        assert!(self.at_work.insert(place, settlement).is_none(), "{name}: {id} is being worked on");
    }

    /// True when a call ended.
    fn settle(&mut self, server: &mut Server) -> bool {
        let now = server.now;
        if let Some(answer) = self.settle_answer.take() {
            if self.settling.on(answer).is_err() {
                self.settling.disconnected();
            }
            return false;
        }
        if self.call.is_none() && !self.at_work.is_empty() {
            self.call = Some(Call::Settle(self.at_work.values().take(3).cloned().collect(), server.life));
        }
        let token = format!("{}", now.nanos());
        let step = match &self.call {
            None => return true,
            Some(Call::Settle(batch, _)) => self.settling.settle(batch, now),
            Some(Call::Renew) => self.settling.renew(now),
            Some(Call::Take) => match self.settling.take(&[], &token, now) {
                CallStep::Command(command) => CallStep::Command(command),
                CallStep::Done(Keeper::Us(_) | Keeper::Other(_)) => CallStep::Done(()),
            },
        };
        match step {
            CallStep::Command(command) => self.settle_answer = Some(server.settle(command, &self.name)),
            CallStep::Done(()) => {
                if let Some(Call::Settle(batch, life)) = self.call.take() {
                    for settlement in batch {
                        let id = number(settlement.entry().as_str());
                        self.at_work.remove(&id);
                        self.settled.insert(id);
                        // The end of a loss that was found on a former stream went with it.
                        let is_lost = settlement.outcome().unwrap().kind == OutcomeKind::Lost;
                        let is_excused = life != server.life || is_lost && life > 0;
                        assert!(server.recorded.contains(&id) || is_excused, "{id} has no end on record");
                    }
                }
                return true;
            }
        }
        false
    }

    /// Ends what is repeated after a failure are those of a batch only.
    fn break_settle(&mut self) {
        self.settle_answer = None;
        self.settling.disconnected();
        self.call.take_if(|call| !matches!(call, Call::Settle(..)));
    }

    fn break_read(&mut self) {
        self.read_answer = None;
        self.reading.disconnected();
    }
}

fn number(id: &str) -> u64 {
    EntryId::new(id).place().unwrap().0
}

/// Some ends have a next step, and those of strategies a book.
fn end_of(id: &EntryId, is_own: bool, kind: OutcomeKind, life: u64) -> Settlement {
    let outcome = Outcome::without_order(id.clone(), kind, "");
    let place = number(id.as_str());
    if !is_own && !place.is_multiple_of(5) {
        return Settlement::Outcome(outcome);
    }
    let next = place.is_multiple_of(5).then(|| vec![("ticker", "NVDA".to_owned())]);
    let books = if is_own { vec![("trend".to_owned(), format!("{place} of {life}"))] } else { Vec::new() };
    Settlement::Followed { outcome, after: Box::new(After { next, books, ..After::default() }) }
}

fn apply(event: &Event, server: &mut Server, processes: &mut [Process], room: usize) {
    match event {
        Event::Send { is_own } => server.send(*is_own),
        Event::Delete(place) => server.delete(*place),
        Event::Wait(millis) => server.now = server.now + Duration::from_millis(*millis),
        Event::Read(at) => drop(processes[*at].read(server, room)),
        Event::BreakRead(at) => processes[*at].break_read(),
        Event::Settle(at) => drop(processes[*at].settle(server)),
        Event::BreakSettle(at) => processes[*at].break_settle(),
        Event::Renew(at) => drop(processes[*at].call.get_or_insert(Call::Renew)),
        Event::Take(at) => drop(processes[*at].call.get_or_insert(Call::Take)),
        Event::Crash(at) => processes[*at] = Process::start(processes[*at].name.clone()),
        Event::LoseHold => server.holder = None,
        Event::Flush => {
            // Who works on one entry at once as two processes cannot know that both find no end on an emptied server.
            let [first, second] = processes else { return };
            if first.at_work.keys().all(|id| !second.at_work.contains_key(id)) {
                server.flush();
            }
        }
    }
    for (what, ids) in [("end", &server.recorded), ("next step", &server.followed)] {
        let unique: BTreeSet<u64> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "a second {what}: {ids:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_entry_is_worked_on_by_one_process_once_and_gets_one_end(
        room in 1_usize..4,
        is_emptied in any::<bool>(),
        events in prop::collection::vec(event(), 0..400),
    ) {
        let mut server = Server::default();
        server.now = Timestamp::from_secs(1_000);
        let mut processes = ["a", "b"].map(|name| Process::start(name.to_owned()));
        for event in events.iter().filter(|event| is_emptied || !matches!(event, Event::Flush)) {
            apply(event, &mut server, &mut processes, room);
        }
        // From here on nothing fails any more, and nobody holds the strategies.
        server.holder = None;
        for _ in 0..24 {
            server.now = server.now + LEASE;
            for process in &mut processes {
                prop_assert!((0..2_000).any(|_| process.read(&mut server, room)), "it reads for ever");
                let is_settled = |_| process.settle(&mut server) && process.at_work.is_empty();
                prop_assert!((0..2_000).any(is_settled), "it settles for ever");
            }
        }
        for process in &mut processes {
            let is_drained = loop {
                match process.reading.is_drained() {
                    CallStep::Command(command) => {
                        let answer = server.read(command, &process.name).unwrap();
                        process.reading.on(answer, server.now).unwrap();
                    }
                    CallStep::Done(is_drained) => break is_drained,
                }
            };
            prop_assert!(is_drained);
        }
        let without: Vec<_> = server.entries.keys().filter(|id| !server.recorded.contains(id)).collect();
        prop_assert!(without.is_empty(), "{without:?} have no end");
    }
}
