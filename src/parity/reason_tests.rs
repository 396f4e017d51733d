//! Each reason follows from the data that prove it.
