//! The `trade_updates` socket: orders are told in Alpaca's series.

use super::*;

#[tokio::test]
async fn a_fill_is_told_on_the_socket_in_alpacas_series() {
    let stage = Stage::open();
    let mut socket = stage.listening().await;
    let posted = stage.post(&ioc("buy", "10")).await.body;
    let events = events_until(&mut socket, "fill").await;
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["pending_new", "new", "fill"]);
    for event in &events {
        assert_eq!(event["order"]["id"], posted["id"]);
        assert_eq!(event["order"].get("cancel_requested_at"), Some(&Value::Null));
        assert_eq!((event["order"].get("source"), event["order"].get("subtag")), (None, None));
        assert_eq!(event["event_id"].as_str().unwrap().len(), 26);
        assert!(event["at"].is_string() && event["timestamp"].is_string());
    }
    assert!(events.is_sorted_by_key(|event| event["event_id"].as_str().unwrap()));
    assert_eq!(events[0].get("execution_id"), None);
    assert!(events[1]["execution_id"].is_string());
    assert_eq!(events[1].get("price"), None);
    let fill = &events[2];
    assert_eq!((&fill["price"], &fill["qty"]), (&json!("100.1"), &json!("10")));
    assert_eq!((&fill["position_qty"], &fill["settle_date"]), (&json!("10"), &json!("2026-11-23")));
    assert_eq!(fill["order"]["status"], "filled");
}

#[tokio::test]
async fn a_partly_filled_ioc_ends_canceled_with_its_fills_kept() {
    let stage = Stage::open();
    let mut socket = stage.listening().await;
    let posted = stage.post(&ioc("buy", "80")).await.body;
    let events = events_until(&mut socket, "canceled").await;
    let told: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (event["event"].as_str().unwrap(), event["order"]["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("pending_new", "pending_new"),
            ("new", "new"),
            ("partial_fill", "partially_filled"),
            ("canceled", "canceled")
        ]
    );
    let order = stage.get(&format!("/v2/orders/{}", posted["id"].as_str().unwrap())).await;
    assert_eq!((&order["status"], &order["filled_qty"]), (&json!("canceled"), &json!("50")));
    assert_eq!(order["filled_avg_price"], "100.1");
    let account = stage.get("/v2/account").await;
    assert_eq!(account["cash"], "94995");
}

#[tokio::test]
async fn a_resting_order_fills_when_the_price_comes_and_every_listener_hears_of_it() {
    let stage = Stage::open();
    let mut sockets = [stage.listening().await, stage.listening().await];
    stage.post(&gtc("buy", "10", "99")).await;
    stage.quote(98.0, 98.5);
    for socket in &mut sockets {
        let events = events_until(socket, "fill").await;
        assert_eq!((events.len(), &events[2]["price"]), (3, &json!("98.5")));
    }
    let position = stage.get("/v2/positions/NVDA").await;
    assert_eq!((&position["qty"], &position["avg_entry_price"]), (&json!("10"), &json!("98.5")));
    assert_eq!(position["qty_available"], "10");
    assert_eq!(stage.get("/v2/positions/4ce9353c-66d1-46c2-898f-fce867ab0247").await, position);
    assert_eq!(stage.get("/v2/positions").await, json!([position]));
}

#[tokio::test]
async fn the_socket_takes_both_words_for_authorizing_and_refuses_strangers() {
    let stage = Stage::with(|config| config.key = Some("K".to_owned()));
    let good = json!({"stream": "authorization", "data": {"action": "authenticate", "status": "authorized"}});
    for hello in [
        json!({"action": "auth", "key": "K", "secret": "S"}),
        json!({"action": "authenticate", "data": {"key_id": "K", "secret_key": "S"}}),
    ] {
        assert_eq!(stage.socket(hello).await.1, good);
    }
    for (hello, action) in [
        (json!({"action": "auth", "key": "other", "secret": "S"}), "authenticate"),
        (json!({"action": "listen", "data": {"streams": ["trade_updates"]}}), "listen"),
    ] {
        let (mut socket, answer) = stage.socket(hello).await;
        assert_eq!(answer["data"], json!({"action": action, "status": "unauthorized"}));
        assert_eq!(frame(&mut socket).await, None);
    }
}
