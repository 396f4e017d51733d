//! Short positions at the exchange: as Alpaca's margin account shows them, and refused by its cash account.

use super::*;

/// An exchange as `bot exchange --margin` opens it, with 100,000 dollars.
fn on_margin() -> Stage {
    Stage::with(|config| config.market = config.market.clone().on_margin())
}

/// Checks members of a body, each by name and value.
#[track_caller]
fn check(body: &Value, members: &[(&str, Value)]) {
    for (member, value) in members {
        assert_eq!(&body[*member], value, "{member} of {body}");
    }
}

#[tokio::test]
async fn a_margin_account_opens_marks_and_closes_a_short_position() {
    let stage = on_margin();
    let opens =
        [("buying_power", json!("200000")), ("multiplier", json!("2")), ("shorting_enabled", json!(true))];
    check(&stage.get("/v2/account").await, &opens);
    let sold = stage.post(&ioc("sell", "40")).await;
    assert_eq!((sold.status, &sold.body["position_intent"]), (StatusCode::OK, &json!("sell_to_open")));
    stage.quote(110.0, 110.1);
    let position = stage.get("/v2/positions/NVDA").await;
    check(
        &position,
        &[
            ("side", json!("short")),
            ("qty", json!("-40")),
            ("qty_available", json!("-40")),
            ("avg_entry_price", json!("100")),
            ("cost_basis", json!("-4000")),
            ("market_value", json!("-4400")),
            ("unrealized_pl", json!("-400")),
            ("unrealized_plpc", json!("-0.1")),
        ],
    );
    let account = stage.get("/v2/account").await;
    check(
        &account,
        &[
            ("cash", json!("104000")),
            ("equity", json!("99600")),
            ("short_market_value", json!("-4400")),
            ("long_market_value", json!("0")),
            ("initial_margin", json!("2200")),
            ("maintenance_margin", json!("1320")),
            ("last_maintenance_margin", json!("0")),
            ("buying_power", json!("194800")),
            ("non_marginable_buying_power", json!("95200")),
        ],
    );
    let bought = stage.post(&ioc("buy", "40")).await;
    assert_eq!(bought.body["position_intent"], "buy_to_close");
    assert_eq!(stage.get("/v2/positions").await, json!([]));
    check(&stage.get("/v2/account").await, &[("cash", json!("99596")), ("initial_margin", json!("0"))]);
}

#[tokio::test]
async fn a_cash_account_refuses_shorts_and_has_no_margin() {
    let stage = Stage::open();
    let refused = stage.post(&ioc("sell", "1")).await;
    assert_eq!(refused.status.as_u16(), 403);
    assert_eq!(refused.body, json!({"code": 40_310_000, "message": "account is not allowed to short"}));
    stage.post(&ioc("buy", "1")).await;
    let account = stage.get("/v2/account").await;
    check(
        &account,
        &[("shorting_enabled", json!(false)), ("initial_margin", json!("0")), ("multiplier", json!("1"))],
    );
}

#[tokio::test]
async fn a_short_sale_beyond_buying_power_of_a_part_of_a_share_or_beyond_a_long_position_is_refused() {
    let stage = on_margin();
    stage.post(&ioc("buy", "10")).await;
    let mut part = ioc("sell", "0.5");
    (part["symbol"], part["time_in_force"]) = (json!("SPY"), json!("day"));
    let beyond = stage
        .post(&json!({"symbol": "SPY", "qty": "310", "side": "sell", "type": "market",
        "time_in_force": "ioc"}))
        .await;
    for (reply, message) in [
        (beyond, "insufficient buying power"),
        (stage.post(&part).await, "fractional orders cannot be sold short"),
        (
            stage.post(&ioc("sell", "11")).await,
            "insufficient qty available for order (requested: 11, available: 10)",
        ),
    ] {
        assert_eq!(reply.body["message"], message, "{}", reply.text);
    }
}

#[tokio::test]
async fn what_is_below_its_maintenance_margin_is_not_liquidated_and_can_only_be_reduced() {
    let stage = Stage::with(|config| {
        config.market = config.market.clone().on_margin();
        config.market.cash = "1000".parse().unwrap();
    });
    stage.post(&ioc("sell", "15")).await;
    stage.quote(160.0, 160.0);
    let called = [
        ("equity", json!("100")),
        ("maintenance_margin", json!("720")),
        ("buying_power", json!("0")),
        ("short_market_value", json!("-2400")),
    ];
    check(&stage.get("/v2/account").await, &called);
    stage.clock.advance(Duration::from_mins(5));
    check(&stage.get("/v2/positions/NVDA").await, &[("qty", json!("-15"))]);
    assert_eq!(stage.post(&ioc("sell", "1")).await.body["message"], "insufficient buying power");
    stage.quote(170.0, 170.0);
    stage.post(&ioc("buy", "15")).await;
    // Ruined: what was lost is owed.
    check(&stage.get("/v2/account").await, &[("equity", json!("-50")), ("buying_power", json!("0"))]);
}

#[tokio::test]
async fn the_maintenance_margin_of_the_last_close_is_kept_over_night() {
    let stage = on_margin();
    stage.post(&ioc("sell", "10")).await;
    stage.clock.set(Timestamp::parse_rfc3339("2026-11-20T21:30:00Z").unwrap());
    check(&stage.get("/v2/account").await, &[("last_maintenance_margin", json!("300"))]);
}
