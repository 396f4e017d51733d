//! Promises of the statistics.
