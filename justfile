# The steps of .ci/run and scripts/check-all, one by one: `just --list`. All but `test` take every crate of the workspace.

export CARGO_TERM_COLOR := env("CARGO_TERM_COLOR", "auto")

# Everything that must hold before a change is taken
default: ci

# Formatting, as rustfmt.toml has it
fmt:
    cargo fmt --all --check

# Warnings are errors
clippy:
    cargo clippy --locked --workspace --all-targets -- -D warnings

# The package bot, against a real redis-server and the paper exchange: `just test`, `just test differential`
test *names:
    scripts/test {{ names }}

# The crates it is made of; they need no server
test-crates:
    cargo test --locked --workspace --exclude bot

# The documentation, without a dead link
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# Licences, bans and sources of what we depend on
deny:
    scripts/tools cargo-deny
    cargo fetch --locked --quiet
    cargo deny --offline check --hide-inclusion-graph licenses bans sources

# The script that decides, as the machine that checks changes runs it
ci:
    .ci/run

# The same, and what takes longer
all:
    scripts/check-all
