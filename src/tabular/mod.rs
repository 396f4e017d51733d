//! Files of rows and columns, whatever the rows are of: lines, cells and numbers of CSV, columns of Parquet.

pub(crate) mod cells;
pub(crate) mod lines;
pub(crate) mod number;
pub(crate) mod parquet;
