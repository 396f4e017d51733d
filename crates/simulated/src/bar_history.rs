//! Bars of one symbol: a past made from the seed, and what the market has shown since.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{Datelike, Days, NaiveDate};

use super::prices::{gauss, increment, stream, uniform};
use bot_core::calendar::{self, date_of, midnight};
use bot_core::clock::Timestamp;
use bot_core::market::{Bar, Trade};
use bot_core::symbol::Symbol;

/// How long one bar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeframe {
    /// 1 to 59 minutes.
    Minutes(u32),
    /// 1 to 23 hours.
    Hours(u32),
    /// One New York day.
    Day,
    /// Monday to Sunday.
    Week,
    /// 1 to 12 months.
    Months(u32),
}

/// One symbol's bars.
#[derive(Debug, Clone)]
pub(super) struct BarHistory {
    seed: u64,
    symbol: Symbol,
    started: Timestamp,
    /// Daily bars up to yesterday, and today's as it grows.
    days: BTreeMap<NaiveDate, Bar>,
    /// Minute bars since the start.
    minutes: VecDeque<(NaiveDate, Bar)>,
    /// Bars of a file by their own dates, which stand for what would be made from the seed.
    recorded: BTreeMap<NaiveDate, Vec<Bar>>,
    /// Today's minutes before the start.
    earlier: Vec<Bar>,
    /// The last minute that [`BarHistory::minute_over`] told.
    told: Option<Timestamp>,
}

const DAYS_BACK: usize = 520;
const MINUTES_MAX: usize = 20_000;
pub(super) const MINUTE: Duration = Duration::from_mins(1);

impl BarHistory {
    /// A past that leads to `price` at `now`.
    pub(super) fn new(seed: u64, symbol: Symbol, price: f64, now: Timestamp) -> Self {
        let today = date_of(now);
        let mut bar_history = Self {
            seed,
            symbol,
            started: now,
            days: BTreeMap::new(),
            minutes: VecDeque::new(),
            recorded: BTreeMap::new(),
            earlier: Vec::new(),
            told: None,
        };
        let open = bar_history.invent_days(price, today);
        if let Some(session) = calendar::session_on(today).filter(|session| session.open < now) {
            let span = whole_minutes(session.close.min(now).since(session.open));
            let day = Bar {
                at: midnight(today),
                open,
                high: open.max(price) * 1.002,
                low: open.min(price) * 0.998,
                close: price,
                volume: f64::from(span) * 20_000.0,
            };
            bar_history.earlier = bar_history.invent_minutes(&day, session.open, span, today);
            if let Some(so_far) = fold(&bar_history.earlier) {
                bar_history.days.insert(today, Bar { at: midnight(today), ..so_far });
            }
        }
        bar_history
    }

    /// Lets the bars of a file be the past of the days from its first to its last, as far as they lie before the start.
    pub(super) fn remember(&mut self, bars: &[Bar]) {
        let first_day = date_of(self.started);
        for bar in bars.iter().filter(|bar| date_of(bar.at) < first_day) {
            self.recorded.entry(date_of(bar.at)).or_default().push(*bar);
        }
        let (Some((first, _)), Some((last, _))) =
            (self.recorded.first_key_value(), self.recorded.last_key_value())
        else {
            return;
        };
        self.days.retain(|date, _| date < first || date > last);
        for (date, bars) in &self.recorded {
            if let Some(day) = fold(bars) {
                self.days.insert(*date, Bar { at: midnight(*date), ..day });
            }
        }
    }

    /// Adds what the market showed.
    pub(super) fn print(&mut self, trade: Trade) {
        let minute = Timestamp::from_secs(trade.at.nanos().div_euclid(60_000_000_000) * 60);
        if let Some((date, bar)) = self.minutes.back_mut().filter(|(_, bar)| bar.at == minute) {
            extend(bar, &trade);
            if let Some(day) = self.days.get_mut(date) {
                extend(day, &trade);
            }
            return;
        }
        let date = date_of(minute);
        let bar = bar_of(&trade, minute);
        self.days
            .entry(date)
            .and_modify(|day| extend(day, &trade))
            .or_insert_with(|| bar_of(&trade, midnight(date)));
        self.minutes.push_back((date, bar));
        if self.minutes.len() > MINUTES_MAX {
            self.minutes.pop_front();
        }
    }

    /// The latest minute bar.
    pub(super) fn latest_minute(&self) -> Option<Bar> {
        self.minutes.back().map(|(_, bar)| *bar).or_else(|| self.earlier.last().copied())
    }

    /// The latest minute bar since the start, once, when it is over at `now`.
    pub(super) fn minute_over(&mut self, now: Timestamp) -> Option<Bar> {
        let (_, bar) = self.minutes.back()?;
        let is_news = self.told.is_none_or(|told| told < bar.at) && bar.at + MINUTE <= now;
        is_news.then(|| {
            self.told = Some(bar.at);
            *bar
        })
    }

    /// The latest daily bar and the one before it.
    pub(super) fn latest_days(&self) -> (Option<Bar>, Option<Bar>) {
        let mut days = self.days.values().rev().copied();
        (days.next(), days.next())
    }

    /// The last close before `date`.
    pub(super) fn close_before(&self, date: NaiveDate) -> Option<f64> {
        self.days.range(..date).next_back().map(|(_, bar)| bar.close)
    }

    /// Bars that begin in `from..=to`, oldest first, or newest first when `newest_first`; made as they are asked for.
    pub(super) fn bars(
        &self,
        timeframe: Timeframe,
        from: Timestamp,
        to: Timestamp,
        newest_first: bool,
    ) -> impl Iterator<Item = Bar> + '_ {
        let blocks: Vec<BarBlock> = match timeframe {
            Timeframe::Minutes(_) | Timeframe::Hours(_) => self
                .days
                .range(date_of(from)..=date_of(to).max(date_of(from)))
                .map(|(date, _)| BarBlock::Minutes(*date))
                .collect(),
            Timeframe::Day | Timeframe::Week | Timeframe::Months(_) => vec![BarBlock::Days],
        };
        let ordered: Box<dyn Iterator<Item = BarBlock>> =
            if newest_first { Box::new(blocks.into_iter().rev()) } else { Box::new(blocks.into_iter()) };
        ordered.flat_map(move |block| {
            let fine: Vec<Bar> = match block {
                BarBlock::Minutes(date) => self.minutes_of(date),
                BarBlock::Days => self.days.values().copied().collect(),
            };
            let mut bars = gather(&fine, timeframe);
            bars.retain(|bar| bar.at >= from && bar.at <= to);
            if newest_first {
                bars.reverse();
            }
            bars
        })
    }

    fn minutes_of(&self, date: NaiveDate) -> Vec<Bar> {
        if let Some(bars) = self.recorded.get(&date) {
            return bars.clone();
        }
        let first_day = date_of(self.started);
        if date < first_day {
            let session = calendar::session_on(date);
            return session.zip(self.days.get(&date)).map_or_else(Vec::new, |(session, day)| {
                let span = whole_minutes(session.close.since(session.open));
                self.invent_minutes(day, session.open, span, date)
            });
        }
        let earlier = if date == first_day { self.earlier.as_slice() } else { &[] };
        let live = self.minutes.iter().filter(|(day, _)| *day == date).map(|(_, bar)| *bar);
        earlier.iter().copied().chain(live).collect()
    }

    /// Makes the days before `today`, from the last to the first; answers today's open.
    fn invent_days(&mut self, price: f64, today: NaiveDate) -> f64 {
        let mut random = stream(self.seed, self.symbol, "days");
        let open_today = increment(price * (1.0 - 0.004 * gauss(&mut random)));
        let mut next_open = open_today;
        let mut date = today;
        while self.days.len() < DAYS_BACK {
            let Some(before) = date.checked_sub_days(Days::new(1)) else { break };
            date = before;
            if calendar::session_on(date).is_none() {
                continue;
            }
            let close = increment(next_open / (1.0 + 0.005 * gauss(&mut random)));
            let open = increment(close / (1.0 + 0.015 * gauss(&mut random)));
            let high = increment(open.max(close) * (1.0 + 0.008 * uniform(&mut random)));
            let low = increment(open.min(close) * (1.0 - 0.008 * uniform(&mut random)));
            let volume = (1e6 * (1.0 + 9.0 * uniform(&mut random))).round();
            self.days.insert(date, Bar { at: midnight(date), open, high, low, close, volume });
            next_open = open;
        }
        open_today
    }

    /// Fills a day's bar with `span` minutes that begin at its open, end at its close and stay within its range.
    fn invent_minutes(&self, day: &Bar, first: Timestamp, span: u32, date: NaiveDate) -> Vec<Bar> {
        let mut random = stream(self.seed, self.symbol, &format!("minutes {date}"));
        let mut walk = vec![0.0];
        for _ in 0..span {
            walk.push(walk.last().copied().unwrap_or(0.0) + gauss(&mut random));
        }
        let (last, steps) = (walk.last().copied().unwrap_or(0.0), f64::from(span.max(1)));
        let scale = (day.high - day.low) / steps.sqrt() / 2.0;
        let path: Vec<f64> = (0..=span)
            .zip(walk)
            .map(|(minute, height)| {
                let way = f64::from(minute) / steps;
                let level = day.open + (day.close - day.open) * way + scale * (height - way * last);
                increment(level.clamp(day.low, day.high))
            })
            .collect();
        path.windows(2)
            .zip(0..span)
            .map(|(ends, minute)| {
                let mut reach = || scale / 4.0 * uniform(&mut random);
                let (open, close) = (ends[0], ends[1]);
                Bar {
                    at: first + MINUTE * minute,
                    open,
                    high: increment((open.max(close) + reach()).min(day.high)).max(open.max(close)),
                    low: increment((open.min(close) - reach()).max(day.low)).min(open.min(close)),
                    close,
                    volume: (day.volume / steps).round(),
                }
            })
            .collect()
    }
}

enum BarBlock {
    Minutes(NaiveDate),
    Days,
}

/// Merges fine bars into the bars of a timeframe.
fn gather(fine: &[Bar], timeframe: Timeframe) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for bar in fine {
        let at = start_of(bar.at, timeframe);
        match bars.last_mut().filter(|last| last.at == at) {
            Some(last) => merge(last, bar),
            None => bars.push(Bar { at, ..*bar }),
        }
    }
    bars
}

fn start_of(at: Timestamp, timeframe: Timeframe) -> Timestamp {
    let date = date_of(at);
    let since_midnight = |unit_secs: i64| {
        let start = midnight(date);
        let whole = at.nanos().saturating_sub(start.nanos()).div_euclid(unit_secs * 1_000_000_000);
        Timestamp::from_nanos(start.nanos() + whole * unit_secs * 1_000_000_000)
    };
    match timeframe {
        Timeframe::Minutes(count) => since_midnight(60 * i64::from(count.max(1))),
        Timeframe::Hours(count) => since_midnight(3_600 * i64::from(count.max(1))),
        Timeframe::Day => midnight(date),
        Timeframe::Week => {
            let back = u64::from(date.weekday().num_days_from_monday());
            midnight(date.checked_sub_days(Days::new(back)).unwrap_or_default())
        }
        Timeframe::Months(count) => {
            let month = date.month0() / count.max(1) * count.max(1);
            midnight(NaiveDate::from_ymd_opt(date.year(), month + 1, 1).unwrap_or_default())
        }
    }
}

fn fold(bars: &[Bar]) -> Option<Bar> {
    let mut all = *bars.first()?;
    for bar in &bars[1..] {
        merge(&mut all, bar);
    }
    Some(all)
}

fn merge(all: &mut Bar, bar: &Bar) {
    all.high = all.high.max(bar.high);
    all.low = all.low.min(bar.low);
    all.close = bar.close;
    all.volume += bar.volume;
}

fn bar_of(trade: &Trade, at: Timestamp) -> Bar {
    let price = trade.price;
    Bar { at, open: price, high: price, low: price, close: price, volume: trade.size }
}

fn extend(bar: &mut Bar, trade: &Trade) {
    merge(bar, &bar_of(trade, trade.at));
}

fn whole_minutes(span: Duration) -> u32 {
    u32::try_from(span.as_secs() / 60).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn bar_history() -> BarHistory {
        BarHistory::new(1, "NVDA".parse().unwrap(), 180.0, time("2026-11-20T15:30:30Z"))
    }

    #[track_caller]
    fn sound(bar: &Bar) {
        assert!(bar.low > 0.0 && bar.low <= bar.open.min(bar.close), "{bar:?}");
        assert!(bar.high >= bar.open.max(bar.close), "{bar:?}");
    }

    #[test]
    fn the_past_is_the_same_for_the_same_seed_and_leads_to_the_start_price() {
        let far = (time("2020-01-01T00:00:00Z"), time("2026-11-20T15:30:30Z"));
        let days: Vec<Bar> = bar_history().bars(Timeframe::Day, far.0, far.1, false).collect();
        assert_eq!(days, bar_history().bars(Timeframe::Day, far.0, far.1, false).collect::<Vec<_>>());
        assert_eq!(days.len(), DAYS_BACK + 1);
        days.iter().for_each(sound);
        assert_eq!(days.last().unwrap().at, time("2026-11-20T05:00:00Z"));
        assert!((days.last().unwrap().close - 180.0).abs() < 1e-9);
    }

    #[test]
    fn minutes_fill_their_day_exactly() {
        let (from, to) = (time("2026-11-19T05:00:00Z"), time("2026-11-20T04:59:00Z"));
        let day = bar_history().bars(Timeframe::Day, from, to, false).next().unwrap();
        let minutes: Vec<Bar> = bar_history().bars(Timeframe::Minutes(1), from, to, false).collect();
        assert_eq!(minutes.len(), 390);
        minutes.iter().for_each(sound);
        assert_eq!(minutes[0].at, time("2026-11-19T14:30:00Z"));
        assert!((minutes[0].open - day.open).abs() < 1e-9);
        assert!((minutes[389].close - day.close).abs() < 1e-9);
        assert!(minutes.iter().all(|bar| bar.high <= day.high && bar.low >= day.low));
        let hours: Vec<Bar> = bar_history().bars(Timeframe::Hours(1), from, to, false).collect();
        assert_eq!(hours.len(), 7);
        let mut back: Vec<Bar> = bar_history().bars(Timeframe::Minutes(1), from, to, true).collect();
        back.reverse();
        assert_eq!(back, minutes);
    }

    #[test]
    fn what_the_market_shows_joins_the_past() {
        let mut bar_history = bar_history();
        let at = time("2026-11-20T15:31:10Z");
        bar_history.print(Trade { at, price: 200.0, size: 100.0 });
        bar_history.print(Trade { at: at + Duration::from_secs(5), price: 150.0, size: 100.0 });
        let minute = bar_history.latest_minute().unwrap();
        assert_eq!((minute.at, minute.open, minute.close), (time("2026-11-20T15:31:00Z"), 200.0, 150.0));
        let (today, _) = bar_history.latest_days();
        assert_eq!((today.unwrap().high, today.unwrap().close), (200.0, 150.0));
        let (from, to) = (time("2026-11-20T05:00:00Z"), at);
        assert_eq!(bar_history.bars(Timeframe::Minutes(1), from, to, false).count(), 61);
        assert_eq!(bar_history.bars(Timeframe::Week, from - Duration::from_hours(336), to, false).count(), 2);
    }
}
