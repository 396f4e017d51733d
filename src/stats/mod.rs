//! Statistics of a run: ratios with their sources, tables, files and the report. Made of the record alone.
