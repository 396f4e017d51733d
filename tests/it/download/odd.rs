//! Odd answers: what may pass is tried again, what cannot be trusted makes no file.

use mockito::{Matcher, Server, ServerGuard};

use super::*;

const PATH: &str = "/v2/stocks/bars";
const DAY: &str = r#"{"bars":{"NVDA":[
    {"t":"2026-01-05T14:30:00Z","o":1,"h":2.5,"l":"0.5","c":2,"v":100,"n":3,"vw":1.5,"new":{"x":[1]}},
    {"t":"2026-01-05T14:31:00Z","o":2,"h":2,"l":2,"c":2,"v":7}],"SPY":null},"next_page_token":null,"currency":"USD"}"#;
const ROWS: [&str; 2] = ["2026-01-05T14:30:00Z,1,2.5,0.5,2,100", "2026-01-05T14:31:00Z,2,2,2,2,7"];

fn download(server: &ServerGuard, directory: &TempDir) -> Output {
    let mut command = bot(directory.path());
    command.env("APCA_API_DATA_URL", server.url());
    command.env("APCA_API_KEY_ID", "key").env("APCA_API_SECRET_KEY", SECRET);
    command.args(["data", "download", "--symbol", "NVDA", "--from", "2026-01-05", "--to", "2026-01-06"]);
    command.args(["--out", "out", "--json", "-vv"]);
    let output = Bot::start(command).end();
    assert!(!said(&output).contains(SECRET), "{}", said(&output));
    output
}

#[track_caller]
fn brings_the_day(server: &ServerGuard) {
    let directory = tempfile::tempdir().unwrap();
    let output = download(server, &directory);
    exits(&output, 0);
    assert_eq!(lines(&files(&directory.path().join("out"))), ROWS);
}

#[test]
fn what_may_pass_is_tried_again() {
    let mut server = Server::new();
    let soon = (SystemClock.now() + Duration::from_secs(2)).millis() / 1_000;
    let refused = server
        .mock("GET", PATH)
        .match_query(Matcher::AllOf(vec![
            Matcher::UrlEncoded("symbols".into(), "NVDA".into()),
            Matcher::UrlEncoded("timeframe".into(), "1Min".into()),
            Matcher::UrlEncoded("start".into(), "2026-01-05T05:00:00Z".into()),
            Matcher::UrlEncoded("end".into(), "2026-01-06T04:59:59.999999999Z".into()),
            Matcher::UrlEncoded("limit".into(), "10000".into()),
            Matcher::UrlEncoded("adjustment".into(), "split".into()),
            Matcher::UrlEncoded("feed".into(), "sip".into()),
            Matcher::UrlEncoded("sort".into(), "asc".into()),
        ]))
        .with_status(429)
        .with_header("x-ratelimit-reset", &soon.to_string())
        .with_body(r#"{"message":"too many requests."}"#)
        .expect(1)
        .create();
    let broken = server.mock("GET", PATH).match_query(Matcher::Any).with_status(500).expect(1).create();
    let cut = server.mock("GET", PATH).match_query(Matcher::Any).with_body(&DAY[..200]).expect(1).create();
    let whole = server.mock("GET", PATH).match_query(Matcher::Any).with_body(DAY).expect(1).create();
    brings_the_day(&server);
    for mock in [refused, broken, cut, whole] {
        mock.assert();
    }
    assert!(SystemClock.now() >= Timestamp::from_secs(soon), "the reset was waited for");
}

#[test]
fn a_page_with_nothing_makes_a_complete_and_empty_day() {
    for body in [r#"{"bars":null,"next_page_token":null}"#, r#"{"bars":{"NVDA":null},"next_page_token":""}"#]
    {
        let mut server = Server::new();
        let _mock = server.mock("GET", PATH).match_query(Matcher::Any).with_body(body).create();
        let directory = tempfile::tempdir().unwrap();
        let output = download(&server, &directory);
        exits(&output, 0);
        let told = &summary(&output)["symbols"][0];
        assert_eq!(told["sessions_without_rows"], json!(["2026-01-05"]), "{body}");
        let files = files(&directory.path().join("out"));
        assert_eq!(files.into_values().collect::<Vec<_>>(), [b"time,open,high,low,close,volume\n"]);
    }
}

#[test]
fn an_answer_that_cannot_be_trusted_makes_no_file() {
    let again = DAY.replace("null,\"currency\"", "\"here\",\"currency\"");
    let backwards = DAY.replace("14:31", "14:29");
    let plan = r#"{"message":"subscription does not permit querying recent SIP data"}"#;
    for (status, body, exit, text) in [
        (200, again.as_str(), 1, "next_page_token must differ"),
        (200, backwards.as_str(), 1, "must come in order of time"),
        (403, plan, 1, "subscription does not permit"),
        (403, r#"{"message":"forbidden."}"#, 6, "forbidden."),
        (400, r#"{"message":"invalid symbol: NVDA"}"#, 1, "invalid symbol"),
        (503, "<html>", 5, "http 503"),
        (200, "[]", 5, "a body that cannot be read"),
        (200, "{}", 5, "missing field `rows`"),
    ] {
        let mut server = Server::new();
        let _mock =
            server.mock("GET", PATH).match_query(Matcher::Any).with_status(status).with_body(body).create();
        let directory = tempfile::tempdir().unwrap();
        let output = download(&server, &directory);
        exits(&output, exit);
        assert!(said(&output).contains(text), "{body}: {}", said(&output));
        assert!(files(&directory.path().join("out")).is_empty(), "{body}");
    }
}
