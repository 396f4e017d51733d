//! What numbers with a unit promise.

use super::*;

#[test]
fn a_price_from_outside_is_finite_and_above_zero() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Price::from_f64(bad).is_err(), "{bad}");
    }
    for seen in [150.1, 0.9999, 0.000_012_345, 1e-9] {
        let price = Price::from_f64(seen).unwrap();
        assert_eq!(price.to_f64().to_bits(), f64::to_bits(seen), "{price}");
    }
}

#[test]
fn whole_shares_round_towards_zero_with_exact_decimals() {
    let cash: Money = "100000".parse().unwrap();
    assert_eq!(cash.buys("150.1".parse().unwrap()).whole().to_string(), "666");
    assert_eq!("-1.9".parse::<Quantity>().unwrap().whole().to_string(), "-1");
}

#[test]
fn money_reads_strings_and_numbers_and_writes_strings() {
    assert_eq!(
        serde_json::from_str::<Money>("\"1.50\"").unwrap(),
        serde_json::from_str::<Money>("1.5").unwrap()
    );
    assert_eq!(serde_json::to_string(&"1.50".parse::<Money>().unwrap()).unwrap(), "\"1.5\"");
}

#[test]
fn errors_say_rule_and_value() {
    assert_eq!(
        "x".parse::<Price>().unwrap_err().to_string(),
        "price must be a decimal number above 0, was \"x\""
    );
    assert_eq!("120%".parse::<Weight>().unwrap_err().to_string(), "weight must be 0 to 1, was \"1.2\"");
}
