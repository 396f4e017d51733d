//! What one strategy may look back at: the latest event of each series and, where it asks for them, ticks, bars and
//! indicators; and what its book holds. An event goes in before it is shown. Pure.
//!
//! A series is a symbol and a kind: its trades, its quotes, its numbers, or its bars of one timeframe. So no share counts
//! twice. What is asked by symbol alone is answered by one series: of the strategy's main timeframe where there is one,
//! else by trades, else by bars, the shortest first, else by quotes. Of a bar the tick is its end, its close and its volume;
//! of a quote its mid, with size 0. Numbers are no ticks.

use std::collections::VecDeque;
use std::time::Duration;

use super::needs::{NamedIndicator, Needs};
use super::per_symbol::PerSymbol;
use super::{View, usable_price};
use crate::clock::Timestamp;
use crate::indicators::{Input, RunningIndicator};
use crate::instrument::Calendar;
use crate::market::{Bar, MarketEvent, Trade};
use crate::position::Position;
use crate::symbol::Symbol;
use crate::ticks::{Window, WindowLimits};
use crate::units::Money;

/// What one strategy may look back at; only one writes, nobody waits.
#[derive(Debug)]
pub struct Past {
    /// The name of the strategy.
    pub(super) strategy: String,
    pub(super) needs: Needs,
    pub(super) now: Timestamp,
    /// The kind of its main series.
    main: Option<SeriesKind>,
    /// The symbols that it hears of; empty for all of them.
    pub(super) heard: Vec<Symbol>,
    pub(super) symbols: PerSymbol<SymbolSeries>,
    /// Few.
    pub(super) holdings: Vec<Holding>,
    /// What the book holds at the end of the past that is shown, with the instant at which each was opened.
    opened_later: Vec<(Timestamp, Symbol, Position)>,
    pub(super) cash: Money,
    /// How many orders it asked for in each symbol that are not over; few.
    pub(super) open_orders: Vec<(Symbol, u32)>,
    /// Whether what it wants is not sent yet.
    pub(super) is_warming_up: bool,
    /// When what it trades is traded.
    pub(super) calendar: Calendar,
    /// Bars of this instant whose indicators are behind: they may need what others of the instant tell.
    fresh: Vec<(Symbol, SeriesKind, Bar)>,
    fresh_at: Timestamp,
}

/// What a strategy's book holds of one symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holding {
    /// Of what.
    pub symbol: Symbol,
    /// Shares, negative when short, and what they cost.
    pub position: Position,
    /// Events of the symbol's first series when the position was opened.
    pub(super) since: u64,
}

/// All series of one symbol; the one that answers for the symbol stands first.
#[derive(Debug)]
pub(super) struct SymbolSeries {
    pub(super) first: KnownSeries,
    others: Vec<KnownSeries>,
}

/// What is known of one series.
#[derive(Debug)]
pub(super) struct KnownSeries {
    pub(super) kind: SeriesKind,
    pub(super) latest: MarketEvent,
    /// How many events of it there were.
    pub(super) count: u64,
    /// What is kept where it was asked for.
    pub(super) kept: Option<Box<KeptSeries>>,
}

/// What is kept of one series.
#[derive(Debug, Default)]
pub(super) struct KeptSeries {
    pub(super) ticks: Option<Window>,
    pub(super) bars: VecDeque<Bar>,
    /// One for each of the strategy's, in its order; none of those of other timeframes.
    pub(super) indicators: Vec<Option<KeptIndicator>>,
}

/// An indicator and its last values, the newest in front.
#[derive(Debug)]
pub(super) struct KeptIndicator {
    running: RunningIndicator,
    pub(super) values: VecDeque<Option<f64>>,
}

/// The kinds of series of a symbol, the one that answers for it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SeriesKind {
    Trades,
    Bars(Duration),
    Quotes,
    Numbers,
}

/// So many values of an indicator are kept.
pub const VALUES_KEPT: usize = 100;

impl Past {
    /// Keeps the latest events and what `needs` asks for.
    pub fn new(needs: Needs) -> Self {
        let now = Timestamp::from_nanos(i64::MIN);
        Self {
            strategy: String::new(),
            needs,
            now,
            main: None,
            heard: Vec::new(),
            symbols: PerSymbol::new(&[]),
            holdings: Vec::new(),
            opened_later: Vec::new(),
            cash: Money::ZERO,
            open_orders: Vec::new(),
            is_warming_up: false,
            calendar: Calendar::Nyse,
            fresh: Vec::new(),
            fresh_at: now,
        }
    }

    /// The bars of this timeframe answer for their symbol.
    pub fn set_main(&mut self, timeframe: Option<Duration>) {
        self.main = timeframe.map(SeriesKind::Bars);
    }

    /// Puts an event in; false when it shows nothing usable (see [`usable_price`]) and is left out.
    #[inline]
    pub fn observe(&mut self, event: &MarketEvent) -> bool {
        let is_usable = match event {
            MarketEvent::Number { number, .. } => number.value.is_finite(),
            MarketEvent::Quote { .. } | MarketEvent::Trade { .. } | MarketEvent::Bar { .. } => {
                usable_price(event).is_some()
            }
        };
        if !is_usable {
            return false;
        }
        let at = event.known_at();
        if !self.fresh.is_empty() && at > self.fresh_at {
            self.advance_fresh();
        }
        if !self.opened_later.is_empty() {
            self.open_before(at);
        }
        self.now = self.now.max(at);
        let kind = SeriesKind::of(event);
        let (needs, main) = (&self.needs, self.main);
        let known = self.symbols.of(event.symbol(), || SymbolSeries {
            first: KnownSeries::new(kind, event, needs, main),
            others: Vec::new(),
        });
        let series =
            if known.first.kind == kind { &mut known.first } else { known.find(kind, event, needs, main) };
        series.latest = *event;
        series.count += 1;
        if let Some(kept) = &mut series.kept {
            kept.keep(event, self.now, needs);
            if kept.indicators.iter().any(Option::is_some) {
                self.fresh.push((event.symbol(), kind, as_bar(event)));
                self.fresh_at = at;
            }
        }
        true
    }

    /// Indicators take in the events of the instant, each once all others are known.
    #[inline]
    pub(super) fn advance_indicators(&mut self) {
        if !self.fresh.is_empty() {
            self.advance_fresh();
        }
    }

    #[inline(never)]
    fn advance_fresh(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for (symbol, kind, bar) in fresh.drain(..) {
            let Some(mut kept) = self.symbols.get_mut(symbol).and_then(|known| known.find_kept(kind)?.take())
            else {
                continue;
            };
            let other = |symbol: Symbol| Some(self.symbols.get(symbol)?.first.latest.price());
            let input = Input { bar: &bar, other: &other };
            for indicator in kept.indicators.iter_mut().flatten() {
                indicator.take(&input);
            }
            if let Some(place) = self.symbols.get_mut(symbol).and_then(|known| known.find_kept(kind)) {
                *place = Some(kept);
            }
        }
        self.fresh = fresh; // Reused.
    }

    /// The book holds this position of `symbol` once what is shown is later than `opened_at`; none: from now on.
    pub fn hold_since(&mut self, symbol: Symbol, position: Position, opened_at: Option<Timestamp>) {
        match opened_at {
            Some(at) => self.opened_later.push((at, symbol, position)),
            None => self.hold(symbol, position, self.cash),
        }
    }

    #[cold]
    fn open_before(&mut self, at: Timestamp) {
        let cash = self.cash;
        for (_, symbol, position) in
            self.opened_later.extract_if(.., |(opened, ..)| *opened < at).collect::<Vec<_>>()
        {
            self.hold(symbol, position, cash);
        }
    }

    /// The book holds this position of `symbol`, and so much cash, from now on.
    pub fn hold(&mut self, symbol: Symbol, position: Position, cash: Money) {
        self.cash = cash;
        self.opened_later.retain(|(_, later, _)| *later != symbol);
        let count = self.symbols.get(symbol).map_or(0, |known| known.first.count);
        let is_same_side = |was: &Position| {
            was.quantity().is_negative() == position.quantity().is_negative() && !was.quantity().is_zero()
        };
        match self.holdings.iter_mut().find(|held| held.symbol == symbol) {
            Some(held) => {
                let since = if is_same_side(&held.position) { held.since } else { count };
                *held = Holding { symbol, position, since };
            }
            None => self.holdings.push(Holding { symbol, position, since: count }),
        }
    }

    /// Its book has so much cash.
    pub fn set_cash(&mut self, cash: Money) {
        self.cash = cash;
    }

    /// Whether what it wants is not sent yet.
    pub(super) fn set_warming_up(&mut self, is_warming_up: bool) {
        self.is_warming_up = is_warming_up;
        if !is_warming_up {
            self.open_before(Timestamp::MAX);
        }
    }

    /// Whether so many events were seen of `symbol` as the strategy needs before anything that it wants in it is sent.
    #[inline]
    pub(super) fn is_warm(&self, symbol: Symbol) -> bool {
        let warm_up = self.needs.warm_up;
        warm_up == 0 || self.count(symbol) > u64::try_from(warm_up).unwrap_or(u64::MAX)
    }

    /// Whether nothing that it wants is sent yet: it is shown the past, or none of what it hears of is warm.
    pub(super) fn is_warming_up(&self) -> bool {
        let is_cold = || !self.heard.is_empty() && !self.heard.iter().any(|symbol| self.is_warm(*symbol));
        self.is_warming_up || is_cold()
    }

    /// An order in `symbol` was asked for.
    pub(super) fn note_sent(&mut self, symbol: Symbol) {
        match self.open_orders.iter_mut().find(|(known, _)| *known == symbol) {
            Some((_, count)) => *count += 1,
            None => self.open_orders.push((symbol, 1)),
        }
    }

    /// One of them is over, or never left.
    pub(super) fn note_over(&mut self, symbol: Symbol) {
        if let Some((_, count)) = self.open_orders.iter_mut().find(|(known, _)| *known == symbol) {
            *count = count.saturating_sub(1);
        }
    }

    /// Events of the series that answers for `symbol` until now.
    #[inline]
    pub(super) fn count(&self, symbol: Symbol) -> u64 {
        self.symbols.get(symbol).map_or(0, |known| known.first.count)
    }

    /// The indicators that are computed, in the order of the strategy's needs.
    pub fn indicators(&self) -> &[NamedIndicator] {
        &self.needs.indicators
    }

    /// The symbols that the strategy hears of; empty for all of them.
    pub fn heard(&self) -> &[Symbol] {
        &self.heard
    }

    /// How long the bars of its main series are; 0 where they are no bars.
    pub fn timeframe(&self) -> Duration {
        match self.main {
            Some(SeriesKind::Bars(span)) => span,
            Some(SeriesKind::Trades | SeriesKind::Quotes | SeriesKind::Numbers) | None => Duration::ZERO,
        }
    }

    /// The time of the latest event.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The view right after the latest event.
    pub fn view(&self) -> View<'_> {
        self.view_at(self.now)
    }
}

impl SeriesKind {
    #[inline]
    fn of(event: &MarketEvent) -> Self {
        match event {
            MarketEvent::Trade { .. } => Self::Trades,
            MarketEvent::Bar { span, .. } => Self::Bars(*span),
            MarketEvent::Quote { .. } => Self::Quotes,
            MarketEvent::Number { .. } => Self::Numbers,
        }
    }
}

impl SymbolSeries {
    /// A series that does not stand first, or comes for the first time.
    #[cold]
    fn find(
        &mut self,
        kind: SeriesKind,
        event: &MarketEvent,
        needs: &Needs,
        main: Option<SeriesKind>,
    ) -> &mut KnownSeries {
        if let Some(place) = self.others.iter().position(|series| series.kind == kind) {
            return &mut self.others[place];
        }
        let rank = |kind: SeriesKind| (Some(kind) != main, kind);
        let mut series = KnownSeries::new(kind, event, needs, main);
        let is_first = rank(kind) < rank(self.first.kind);
        if is_first {
            std::mem::swap(&mut self.first, &mut series);
        }
        self.others.push(series);
        let last = self.others.len() - 1;
        if is_first { &mut self.first } else { &mut self.others[last] }
    }

    pub(super) fn of(&self, kind: SeriesKind) -> Option<&KnownSeries> {
        std::iter::once(&self.first).chain(&self.others).find(|series| series.kind == kind)
    }

    pub(super) fn others(&self) -> impl Iterator<Item = &KnownSeries> {
        self.others.iter()
    }

    fn find_kept(&mut self, kind: SeriesKind) -> Option<&mut Option<Box<KeptSeries>>> {
        let mut all = std::iter::once(&mut self.first).chain(&mut self.others);
        all.find(|series| series.kind == kind).map(|series| &mut series.kept)
    }
}

impl KnownSeries {
    fn new(kind: SeriesKind, event: &MarketEvent, needs: &Needs, main: Option<SeriesKind>) -> Self {
        let is_kept = needs.horizon.is_some() || needs.history > 0 || !needs.indicators.is_empty();
        let start = |named: &NamedIndicator| {
            let is_of = match named.timeframe {
                Some(timeframe) => kind == SeriesKind::Bars(timeframe),
                None => main.is_none_or(|main| main == kind || kind == SeriesKind::Numbers),
            };
            is_of.then(|| KeptIndicator {
                running: named.indicator.start(),
                values: VecDeque::with_capacity(VALUES_KEPT),
            })
        };
        let kept = is_kept.then(|| {
            let indicators = needs.indicators.iter().map(start).collect();
            Box::new(KeptSeries { ticks: None, bars: VecDeque::new(), indicators })
        });
        Self { kind, latest: *event, count: 0, kept }
    }
}

impl KeptSeries {
    fn keep(&mut self, event: &MarketEvent, now: Timestamp, needs: &Needs) {
        let size = match event {
            MarketEvent::Trade { trade, .. } => trade.size,
            MarketEvent::Bar { bar, .. } => bar.volume,
            MarketEvent::Quote { .. } => 0.0,
            MarketEvent::Number { .. } => return,
        };
        if let MarketEvent::Bar { bar, span, .. } = event {
            let is_old = |bar: &Bar| needs.horizon.is_none_or(|horizon| bar.at + *span < now - horizon);
            self.bars.push_front(*bar);
            while self.bars.len() > needs.history && self.bars.back().is_some_and(is_old) {
                self.bars.pop_back();
            }
        }
        if let Some(horizon) = needs.horizon {
            let new = || Window::new(WindowLimits { with_sizes: true, ..WindowLimits::new(horizon) });
            // An unknown size is none; a price that no window takes is shown all the same.
            let trade = Trade { at: event.known_at(), price: event.price(), size: size.max(0.0) };
            let _ = self.ticks.get_or_insert_with(new).push(now, trade);
        }
    }
}

impl KeptIndicator {
    fn take(&mut self, input: &Input<'_>) {
        self.values.truncate(VALUES_KEPT - 1);
        self.values.push_front(self.running.next(input));
    }
}

/// An event as a bar of one price, where it is none.
fn as_bar(event: &MarketEvent) -> Bar {
    let (at, price) = (event.known_at(), event.price());
    let of_price = |volume| Bar { at, open: price, high: price, low: price, close: price, volume };
    match event {
        MarketEvent::Bar { bar, .. } => *bar,
        MarketEvent::Trade { trade, .. } => of_price(trade.size),
        MarketEvent::Quote { .. } | MarketEvent::Number { .. } => of_price(f64::NAN),
    }
}
