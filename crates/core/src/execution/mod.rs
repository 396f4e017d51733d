//! The life of orders: one order's task, the table of all that are not final, and the lanes that keep a symbol's signals
//! in order. Pure.

pub mod lanes;
pub mod table;
pub mod task;

pub use lanes::{Claim, Deferred, Lanes, LanesConfig};
pub use table::{Fills, Order, OrderFill, OrderKey, OrderTable, Remark};
pub use task::{OrderTask, TaskEnd, TaskStep, Timeouts};
