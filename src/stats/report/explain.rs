//! What a ratio means, in one sentence each; formulas and sources are in the documentation.

/// The sentence for the ratio of that name without its annualisation; empty for one that has none.
pub(super) fn explain(stem: &str) -> &'static str {
    SENTENCES.iter().find(|(name, _)| *name == stem).map_or("", |(_, sentence)| sentence)
}

const SENTENCES: [(&str, &str); 2] = [
    ("sharpe", "Mean return above the risk-free rate by its standard deviation, brought to a year."),
    ("max_drawdown", "The deepest fall from a high, between marks."),
];
