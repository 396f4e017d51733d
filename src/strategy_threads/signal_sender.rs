//! The way of an entry onto the signal stream.

use std::time::Duration;

use crate::clock::{self, Clock};
use crate::inbox::producer::Producer;
use crate::inbox::redis_stream::RedisUrl;
use crate::signal::EntryId;

/// Puts one entry onto the signal stream; an error says why, and the entry may be there all the same.
pub type SignalSender = Box<dyn FnMut(&[(&str, &str)]) -> Result<EntryId, String> + Send>;

/// How often one signal is sent: its id is its own, so it is the same signal however often it arrives.
const TRIES: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// An outbox with a connection of its own to `stream`; it connects when it is first used.
pub fn to_stream(url: &RedisUrl, stream: &str) -> SignalSender {
    let (mut producer, stream) = (Producer::new(url.clone()), stream.to_owned());
    Box::new(move |fields| producer.send(&stream, fields).map_err(|error| error.to_string()))
}

/// Sends an entry that has an id of its own, more than once when it must be.
pub(crate) fn post(
    sender: &mut SignalSender,
    fields: &[(&'static str, String)],
    clock: &dyn Clock,
) -> Result<EntryId, String> {
    let borrowed: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for _ in 1..TRIES {
        if let Ok(id) = sender(&borrowed) {
            return Ok(id);
        }
        clock::sleep(clock, TRY_AGAIN_AFTER);
    }
    sender(&borrowed)
}
