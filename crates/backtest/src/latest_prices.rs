//! The latest prices in an array, one slot a symbol: what an event costs does not grow with the symbols.

use bot_core::clock::Timestamp;
use bot_core::market::{LatestPrices, MarketEvent, Quote, Snapshot};
use bot_core::symbol::Symbol;

/// The place of one symbol in every array of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub usize);

/// The latest prices of a run.
#[derive(Debug, Default)]
pub struct Prices {
    shown: Vec<LatestPrice>,
    /// By symbol.
    slots: Vec<(Symbol, Slot)>,
    /// Whose prices moved since somebody asked, each once.
    moved: Vec<(Symbol, Slot)>,
    /// Whether quotes alone move the price of a symbol that has some, as they do live.
    quotes_first: bool,
}

#[derive(Debug, Clone, Copy)]
struct LatestPrice {
    at: Timestamp,
    bid: f64,
    ask: f64,
    price: f64,
    is_quoted: bool,
    is_moved: bool,
}

impl Prices {
    /// Whether quotes alone move the price of a symbol that has some.
    pub fn set_quotes_first(&mut self, quotes_first: bool) {
        self.quotes_first = quotes_first;
    }

    /// The symbol's slot, where it has one.
    pub fn slot(&self, symbol: Symbol) -> Option<Slot> {
        self.slots.binary_search_by_key(&symbol, |(known, _)| *known).ok().map(|place| self.slots[place].1)
    }

    /// Gives a symbol without a slot the next one.
    pub fn list(&mut self, symbol: Symbol) -> Slot {
        match self.slots.binary_search_by_key(&symbol, |(known, _)| *known) {
            Ok(place) => self.slots[place].1,
            Err(place) => {
                let slot = Slot(self.shown.len());
                self.slots.insert(place, (symbol, slot));
                let (at, none) = (Timestamp::from_nanos(i64::MIN), f64::NAN);
                self.shown.push(LatestPrice {
                    at,
                    bid: none,
                    ask: none,
                    price: none,
                    is_quoted: false,
                    is_moved: false,
                });
                slot
            }
        }
    }

    /// All slots, in order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.shown.len()).map(Slot)
    }

    /// All symbols, in the order of their slots.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut symbols = self.slots.clone();
        symbols.sort_unstable_by_key(|(_, slot)| slot.0);
        symbols.into_iter().map(|(symbol, _)| symbol).collect()
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// True while there are none.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The last price; NaN before the first.
    pub fn price(&self, slot: Slot) -> f64 {
        self.shown[slot.0].price
    }

    /// What one share costs a buyer (an `ask`) or brings a seller; NaN before the first price.
    pub fn side(&self, slot: Slot, ask: bool) -> f64 {
        if ask { self.shown[slot.0].ask } else { self.shown[slot.0].bid }
    }

    /// Notes an event; `price` is its usable price, and `at` when it was known. False when it moves no price.
    #[inline]
    pub fn note(&mut self, slot: Slot, event: &MarketEvent, price: f64, at: Timestamp) -> bool {
        let is_quoted = self.quotes_first && (self.shown[slot.0].is_quoted || event.is_quote());
        let (bid, ask) = match event {
            MarketEvent::Quote { quote, .. } => (quote.bid, quote.ask),
            MarketEvent::Trade { .. } | MarketEvent::Bar { .. } if is_quoted => return false,
            MarketEvent::Trade { .. } | MarketEvent::Bar { .. } | MarketEvent::Number { .. } => {
                (price, price)
            }
        };
        let shown = &mut self.shown[slot.0];
        let is_news = !shown.is_moved;
        *shown = LatestPrice { at, bid, ask, price, is_quoted, is_moved: true };
        if is_news {
            self.note_moved(event.symbol(), slot);
        }
        true
    }

    /// Apart from what every event does.
    #[cold]
    fn note_moved(&mut self, symbol: Symbol, slot: Slot) {
        self.moved.push((symbol, slot));
    }

    /// One of the symbols whose prices moved since they were asked for.
    pub fn next_moved(&mut self) -> Option<Symbol> {
        let (symbol, slot) = self.moved.pop()?;
        self.shown[slot.0].is_moved = false;
        Some(symbol)
    }
}

impl LatestPrices for Prices {
    fn snapshot(&self, symbol: Symbol) -> Option<Snapshot> {
        let LatestPrice { at, bid, ask, price, .. } = self.shown[self.slot(symbol)?.0];
        let quote = Quote { at, bid, bid_size: 0.0, ask, ask_size: 0.0 };
        (!price.is_nan()).then_some(Snapshot { symbol, quote: Some(quote), trade: None, read_at: at })
    }
}
