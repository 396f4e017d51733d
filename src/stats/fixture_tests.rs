//! Every ratio against quantstats.
