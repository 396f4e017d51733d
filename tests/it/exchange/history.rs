//! The past, page by page: bars, trades and quotes, made from the seed or taken from a replayed bar file.

use bot::broker::alpaca::{AlpacaConfig, AlpacaVenue, Credentials, Endpoints};
use bot::broker::simulated::Timeframe;
use bot::broker::{MarketData, Venue};
use bot::market::Bar;

use super::*;

/// All rows of a query, asked for in pages of `limit` rows.
async fn rows(stage: &Stage, kind: &str, query: &str, limit: usize) -> Vec<(String, Value)> {
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let page = stage.get(&format!("/v2/stocks/{kind}?{query}&limit={limit}&page_token={token}")).await;
        let found = page[kind].as_object().unwrap();
        let before = rows.len();
        for (symbol, of_symbol) in found {
            rows.extend(of_symbol.as_array().unwrap().iter().map(|row| (symbol.clone(), row.clone())));
        }
        assert!(rows.len() - before <= limit, "{query}");
        let Some(next) = page["next_page_token"].as_str() else { return rows };
        next.clone_into(&mut token);
    }
}

#[tokio::test]
async fn pages_of_trades_and_quotes_put_together_are_all_of_them_sorted_by_symbol_then_time() {
    let stage = Stage::open();
    let span = "start=2026-11-19T14:30:20Z&end=2026-11-19T14:45:20Z";
    for kind in ["trades", "quotes"] {
        let query = format!("symbols=SPY,NVDA&{span}");
        let whole = rows(&stage, kind, &query, 10_000).await;
        assert_eq!(whole.len(), 120, "four a minute, both ends by their own times");
        assert_eq!(rows(&stage, kind, &query, 7).await, whole, "{kind}");
        assert!(
            whole.is_sorted_by_key(|(symbol, row)| (symbol.clone(), row["t"].as_str().unwrap().to_owned()))
        );
        let mut newest_first = rows(&stage, kind, &format!("{query}&sort=desc"), 11).await;
        newest_first.sort_by_key(|(symbol, row)| (symbol.clone(), row["t"].as_str().unwrap().to_owned()));
        assert_eq!(newest_first, whole, "{kind}");
        let one = stage.get(&format!("/v2/stocks/NVDA/{kind}?{span}&limit=1")).await;
        assert_eq!((&one["symbol"], &one[kind][0]), (&json!("NVDA"), &whole[0].1));
    }
}

#[tokio::test]
async fn a_replayed_bar_file_is_the_past_of_its_own_days() {
    let start = Timestamp::parse_rfc3339("2026-11-17T14:30:00Z").unwrap();
    let bar = |minute: u32| Bar {
        at: start + Duration::from_mins(1) * minute,
        open: 50.0,
        high: 52.0,
        low: 49.0,
        close: 51.0 + f64::from(minute),
        volume: 100.0,
    };
    let bars: Vec<Bar> = [0, 1, 5].map(bar).into();
    let stage = Stage::with(|config| config.market.prices = PriceModel::Replay { bars, speed: 1.0 });
    let day = "symbols=NVDA&start=2026-11-17&end=2026-11-17T23:59:59Z";
    let minutes = rows(&stage, "bars", &format!("{day}&timeframe=1Min"), 2).await;
    let closes: Vec<_> =
        minutes.iter().map(|(_, bar)| (bar["t"].as_str().unwrap(), bar["c"].as_f64().unwrap())).collect();
    let expected =
        [("2026-11-17T14:30:00Z", 51.0), ("2026-11-17T14:31:00Z", 52.0), ("2026-11-17T14:35:00Z", 56.0)];
    assert_eq!(closes, expected);
    let days = rows(&stage, "bars", "symbols=NVDA&start=2026-11-16&timeframe=1Day", 100).await;
    let closes: Vec<_> = days.iter().map(|(_, bar)| bar["c"].as_f64().unwrap()).collect();
    assert_eq!((days.len(), closes[1]), (5, 56.0), "the other days are made from the seed");
}

#[tokio::test]
async fn pages_of_bars_put_together_are_all_bars_in_either_direction() {
    let stage = Stage::open();
    for query in [
        "symbols=SPY,NVDA&timeframe=1Day&start=2026-10-01",
        "symbols=NVDA,SPY&timeframe=1Day&start=2026-10-01&sort=desc",
        "symbols=NVDA&timeframe=15Min&start=2026-11-18T00:00:00Z&end=2026-11-20T15:00:00Z",
    ] {
        let whole = stage.get(&format!("/v2/stocks/bars?{query}")).await;
        assert_eq!(whole["next_page_token"], Value::Null, "{query}");
        let mut joined: Vec<(String, Value)> = Vec::new();
        let mut token = String::new();
        loop {
            let page = stage.get(&format!("/v2/stocks/bars?{query}&limit=7&page_token={token}")).await;
            for (symbol, bars) in page["bars"].as_object().unwrap() {
                joined.extend(bars.as_array().unwrap().iter().map(|bar| (symbol.clone(), bar.clone())));
            }
            let Some(next) = page["next_page_token"].as_str() else { break };
            token = next.to_owned();
        }
        let all: Vec<(String, Value)> = whole["bars"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(symbol, bars)| {
                bars.as_array().unwrap().iter().map(|bar| (symbol.clone(), bar.clone()))
            })
            .collect();
        assert!(all.len() > 50, "{query}: {}", all.len());
        assert_eq!(joined, all, "{query}");
    }
}

#[test]
fn a_connection_reads_the_minutes_that_were_known_in_a_window_over_several_pages() {
    let stage = Stage::open();
    let nvda = "NVDA".parse().unwrap();
    let time = |text| Timestamp::parse_rfc3339(text).unwrap();
    let endpoints = Endpoints::at(&stage.exchange.url()).unwrap();
    let mut config = AlpacaConfig::new(Credentials::new("key", "secret").unwrap(), endpoints);
    config.rate_limit = None;
    let venue = AlpacaVenue::new(config, Arc::clone(&stage.clock) as Arc<dyn Clock>).unwrap();
    let mut broker = venue.connect().unwrap();
    let mut bars = |from, to| broker.minute_bars(nvda, time(from), time(to)).unwrap();

    let (first, last) = ("2026-10-01T13:30:00Z", "2026-11-20T15:25:00Z");
    let found = bars("2026-10-01T13:31:00Z", "2026-11-20T15:27:00Z");
    let span = (time(first), time(last));
    let kept = stage.exchange.with(|core| core.bars(nvda, Timeframe::Minutes(1), span, false, usize::MAX));
    assert!(found.len() > 10_000, "more than a page: {}", found.len());
    assert_eq!((found[0].at, found[found.len() - 1].at), span);
    assert_eq!(found, kept);

    let starts = |bars: Vec<Bar>| bars.iter().map(|bar| bar.at.to_string()).collect::<Vec<_>>();
    let minutes = ["2026-11-19T14:30:00Z", "2026-11-19T14:31:00Z"];
    assert_eq!(starts(bars("2026-11-19T14:31:00Z", "2026-11-19T14:33:00Z")), minutes);
    assert_eq!(starts(bars("2026-11-19T14:30:01Z", "2026-11-19T14:32:01Z")), minutes);
    assert_eq!(starts(bars("2026-11-20T15:30:00Z", "2026-11-21T00:00:00Z")), ["2026-11-20T15:29:00Z"]);
    assert_eq!(starts(bars("2026-11-19T14:33:00Z", "2026-11-19T14:31:00Z")), [""; 0]);
}
