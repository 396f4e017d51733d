//! What is read at start-up and by the price poller, in whatever form it comes.

use super::*;

fn start_up_answer(request: &Request) -> Act {
    let path = request.target.split('?').next().unwrap();
    let bar = |day: u32| {
        format!(r#"{{"t":"2026-10-0{day}T04:00:00Z","o":1,"h":2,"l":0.5,"c":"1.5","v":100,"n":1,"vw":1}}"#)
    };
    let body = match path {
        "/v2/account" => {
            r#"{"id":"a","status":"ACTIVE","cash":100000.5,"buying_power":"200001","equity":"100180.5","new":1}"#.into()
        }
        "/v2/positions" => r#"[{"symbol":"NVDA","qty":1,"qty_available":"0.5","avg_entry_price":"180","side":"long","current_price":null},
            {"symbol":"NVDA261120C00180000","qty":"1","side":"long"}]"#
            .into(),
        "/v2/orders" => format!("[{}]", order("odd_id", "accepted", 0).replace("o-odd_id", "61d1feca")),
        "/v2/clock" => {
            r#"{"timestamp":"2026-10-08T11:10:18.9-04:00","is_open":true,"next_open":"2026-10-09T09:30:00-04:00","next_close":"2026-10-08T16:00:00-04:00"}"#.into()
        }
        "/v2/stocks/snapshots" => {
            r#"{"NVDA":{"latestQuote":{"t":"2026-10-08T15:10:18Z","bp":180,"bs":1,"ap":180.1,"as":2},"latestTrade":null}}"#.into()
        }
        "/v2/stocks/bars" if request.target.contains("page_token=next%3D1") => {
            format!(r#"{{"bars":{{"NVDA":[{}]}},"next_page_token":null}}"#, bar(3))
        }
        "/v2/stocks/bars" => {
            format!(r#"{{"bars":{{"NVDA":[{},{}]}},"next_page_token":"next=1"}}"#, bar(1), bar(2))
        }
        _ => return Act::Answer(404, String::new()),
    };
    Act::Answer(200, body)
}

#[test]
fn start_up_reads_everything_at_once_page_by_page_and_in_any_form_of_number() {
    let server = Server::start(start_up_answer);
    let symbols = ["NVDA".parse().unwrap(), "ZZZ".parse().unwrap()];
    let survey = broker(&server.url()).survey(&symbols, 2).unwrap();
    assert_eq!(survey.account.cash.to_string(), "100000.5");
    assert_eq!(survey.account.holdings.len(), 1, "an option is no holding of ours");
    assert_eq!(survey.account.holdings[0].available.to_string(), "0.5");
    assert_eq!(survey.open_orders[0].client_order_id.as_str(), "61d1feca");
    assert!(survey.session.is_open);
    assert_eq!(survey.snapshots.len(), 1, "a symbol without prices is missing");
    assert!((survey.snapshots[0].quote.unwrap().ask - 180.1).abs() < 1e-9);
    let closes: Vec<usize> = survey.daily_bars.iter().map(|(_, bars)| bars.len()).collect();
    assert_eq!(closes, [2, 0], "the newest two of three, over two pages");
    assert_eq!(survey.daily_bars[0].1[1].at.to_string(), "2026-10-03T04:00:00Z");
}

#[test]
fn refused_keys_are_told_apart_from_a_broker_that_is_down() {
    let server = Server::start(|_| Act::Answer(401, r#"{"message":"unauthorized."}"#.to_owned()));
    let error = broker(&server.url()).account().unwrap_err();
    assert_eq!(error.to_string(), "broker refused the credentials: broker answered http 401: unauthorized.");
    let server = Server::start(|_| Act::Answer(503, String::new()));
    assert!(matches!(broker(&server.url()).session(), Err(BrokerError::Unreachable(_))));
}
