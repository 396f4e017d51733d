//! Files of rows and columns, whatever the rows are of: lines, cells and numbers of CSV, columns of Parquet.

pub mod cells;
pub mod lines;
pub mod number;
pub mod parquet;
