//! The desk over history: an event queue in time order, strategies, a simulated broker, and a record of all that happened.

pub mod record;
