//! What an answer proves: the one table from the broker's answers to [`Reply`]. Only proof makes an order final. Pure.

use super::answer::{AnswerHead, Answered, ClientError};
use super::wire::WireOrder;
use crate::broker::{BrokerError, Rejection, Reply};
use crate::clock::Timestamp;
use crate::order::ClientOrderId;

/// The answer to `POST /v2/orders`. `retry_at` is when the budget has room again after a refusal for now.
pub(super) fn submitted(
    answer: Result<Answered<WireOrder>, ClientError>,
    id: &ClientOrderId,
    retry_at: Timestamp,
) -> Reply {
    let error = match answer {
        Ok(answered) => return reported(&answered, id),
        Err(error) => error,
    };
    match error {
        ClientError::RateLimited { .. } => Reply::RateLimited { until: retry_at },
        ClientError::Api { head, code, message } => match (head.status, message) {
            (422, Some(message)) if says_id_is_taken(&message) => Reply::Duplicate,
            // A 422 without its text may be the one that says that the order is there already.
            (422, None) => unknown(&ClientError::Api { head, code, message: None }),
            (status, message) if proves_refusal(status) => Reply::Rejected(rejection(&head, code, message)),
            (_, message) => unknown(&ClientError::Api { head, code, message }),
        },
        error
        @ (ClientError::Unreadable { .. } | ClientError::Timeout { .. } | ClientError::Transport(_)) => {
            unknown(&error)
        }
    }
}

/// The answer to a look-up by client order id.
pub(super) fn looked_up(
    answer: Result<Answered<WireOrder>, ClientError>,
    id: &ClientOrderId,
    retry_at: Timestamp,
) -> Reply {
    match answer {
        Ok(answered) => reported(&answered, id),
        Err(ClientError::RateLimited { .. }) => Reply::RateLimited { until: retry_at },
        Err(ClientError::Api { head, .. }) if head.status == 404 => Reply::NotFound,
        Err(
            error @ (ClientError::Api { .. }
            | ClientError::Unreadable { .. }
            | ClientError::Timeout { .. }
            | ClientError::Transport(_)),
        ) => unknown(&error),
    }
}

/// The answer to `DELETE /v2/orders/{id}`.
pub(super) fn cancelled(answer: Result<AnswerHead, ClientError>, retry_at: Timestamp) -> Reply {
    match answer {
        // Whatever the body of a success is: the cancel was taken.
        Ok(_) | Err(ClientError::Unreadable { .. }) => Reply::CancelAccepted,
        Err(ClientError::RateLimited { .. }) => Reply::RateLimited { until: retry_at },
        Err(ClientError::Api { head, code, message }) => match head.status {
            404 => Reply::NotFound,
            422 => Reply::Rejected(rejection(&head, code, message)),
            _ => unknown(&ClientError::Api { head, code, message }),
        },
        Err(error @ (ClientError::Timeout { .. } | ClientError::Transport(_))) => unknown(&error),
    }
}

/// A read that failed, by what the caller may do.
pub(super) fn read_failed(error: ClientError) -> BrokerError {
    match error {
        ClientError::Api { head, code, message } => match head.status {
            401 => BrokerError::Credentials(ClientError::Api { head, code, message }.to_string()),
            // Market data beyond the account's plan is refused with 403, too; that says nothing of the keys.
            403 if !message.as_deref().is_some_and(says_plan) => {
                BrokerError::Credentials(ClientError::Api { head, code, message }.to_string())
            }
            408 | 425 | 500.. => {
                BrokerError::Unreachable(ClientError::Api { head, code, message }.to_string())
            }
            _ => BrokerError::Refused(rejection(&head, code, message)),
        },
        error @ (ClientError::RateLimited { .. }
        | ClientError::Unreadable { .. }
        | ClientError::Timeout { .. }
        | ClientError::Transport(_)) => BrokerError::Unreachable(error.to_string()),
    }
}

fn reported(answered: &Answered<WireOrder>, id: &ClientOrderId) -> Reply {
    match answered.value.report() {
        Ok(report) if report.client_order_id == *id => Reply::Report(report),
        Ok(report) => Reply::Unknown(format!(
            "{} must be about order {id}, was about {}",
            answered.head, report.client_order_id
        )),
        Err(odd) => Reply::Unknown(odd.to_string()),
    }
}

/// Statuses that say: this request was judged and not accepted. Not among them: 408 (time-out), 409 (conflict: something
/// is there already), 425 and 499 (given up half-way), all that is no error of ours (3xx, 5xx).
fn proves_refusal(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 409 | 425 | 429 | 499)
}

/// The code differs with the state of the earlier order, and texts may change: match loosely.
fn says_id_is_taken(message: &str) -> bool {
    let message = message.to_ascii_lowercase().replace(['_', ' ', '-'], "");
    message.contains("clientorderid")
        && ["unique", "duplicate", "already", "exist"].iter().any(|word| message.contains(word))
}

fn says_plan(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("subscription") || message.contains("permit")
}

fn rejection(head: &AnswerHead, code: Option<u64>, message: Option<String>) -> Rejection {
    let message = message.unwrap_or_else(|| "refused without a reason".to_owned());
    Rejection { status: head.status, code, message }
}

fn unknown(error: &ClientError) -> Reply {
    Reply::Unknown(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Timestamp = Timestamp::from_secs(7);

    fn refusal(status: u16, body: &str) -> ClientError {
        ClientError::from_answer(AnswerHead { status, ..AnswerHead::default() }, body.as_bytes())
    }

    fn kind(reply: &Reply) -> &'static str {
        match reply {
            Reply::Report(_) => "report",
            Reply::Rejected(_) => "rejected",
            Reply::RateLimited { until } if *until == LATER => "rate limited",
            Reply::RateLimited { .. } => "rate limited, wrong time",
            Reply::Duplicate => "duplicate",
            Reply::NotFound => "not found",
            Reply::CancelAccepted => "cancel accepted",
            Reply::Unknown(_) => "unknown",
        }
    }

    #[track_caller]
    fn check(status: u16, body: &str, submit: &str, query: &str, cancel: &str) {
        let id = "bot-1".parse().unwrap();
        let found = [
            submitted(Err(refusal(status, body)), &id, LATER),
            looked_up(Err(refusal(status, body)), &id, LATER),
            cancelled(Err(refusal(status, body)), LATER),
        ];
        assert_eq!(found.each_ref().map(kind), [submit, query, cancel], "{status} {body}");
    }

    #[test]
    fn only_proof_makes_a_refusal() {
        let taken = |code: u32| format!(r#"{{"code":{code},"message":"client_order_id must be unique"}}"#);
        check(422, &taken(40_010_001), "duplicate", "unknown", "rejected");
        check(422, &taken(42_210_000), "duplicate", "unknown", "rejected");
        check(422, r#"{"message":"Client Order ID already exists"}"#, "duplicate", "unknown", "rejected");
        check(
            422,
            r#"{"message":"client_order_id must be no more than 128 characters"}"#,
            "rejected",
            "unknown",
            "rejected",
        );
        check(422, r#"{"message":"ioc orders are only accepted"}"#, "rejected", "unknown", "rejected");
        check(422, "", "unknown", "unknown", "rejected");
        check(422, r#"{"code":40010001,"mess"#, "unknown", "unknown", "rejected");
        check(400, "<html>bad</html>", "rejected", "unknown", "unknown");
        check(401, "", "rejected", "unknown", "unknown");
        check(403, r#"{"code":40310000,"message":"x"}"#, "rejected", "unknown", "unknown");
        check(404, r#"{"code":40410000}"#, "rejected", "not found", "not found");
        check(429, "", "rate limited", "rate limited", "rate limited");
        for status in [301, 307, 408, 409, 425, 499, 500, 502, 503, 504, 520] {
            check(status, "", "unknown", "unknown", "unknown");
        }
    }

    #[test]
    fn the_brokers_words_are_kept_in_a_refusal() {
        let body = r#"{"available":"0.5","code":40310000,"message":"insufficient qty available"}"#;
        let Reply::Rejected(rejection) = submitted(Err(refusal(403, body)), &"bot-1".parse().unwrap(), LATER)
        else {
            panic!("403 is proof");
        };
        assert_eq!(rejection.to_string(), "insufficient qty available (http 403, code 40310000)");
    }

    #[test]
    fn a_failed_read_says_what_its_reader_may_do() {
        let text = |status, body| read_failed(refusal(status, body)).to_string();
        assert!(text(401, "").starts_with("broker refused the credentials"));
        assert!(text(403, r#"{"message":"forbidden."}"#).starts_with("broker refused the credentials"));
        let plan = r#"{"message":"subscription does not permit querying recent SIP data"}"#;
        assert!(text(403, plan).starts_with("broker refused the request: subscription"));
        assert!(text(422, r#"{"message":"bad"}"#).starts_with("broker refused the request: bad"));
        for status in [408, 429, 500, 503] {
            assert!(text(status, "").starts_with("broker is unreachable"), "{status}");
        }
    }
}
