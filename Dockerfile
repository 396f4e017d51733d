# The image of `bot`: one stripped binary and a health check on Debian slim, run by nobody in particular.
# TLS roots and time zones are compiled in, so neither ca-certificates nor tzdata is needed.

# What names the dependencies, around empty crates: it changes when a Cargo.toml or Cargo.lock does. The benches are named in
# Cargo.toml and must be there to be left alone.
FROM rust:1.95-bookworm AS manifests
WORKDIR /all
COPY . .
RUN mkdir /manifests && cp --parents Cargo.toml Cargo.lock crates/*/Cargo.toml /manifests && cd /manifests \
    && mkdir -p src benches/live && for crate in crates/*; do mkdir "$crate/src" && touch "$crate/src/lib.rs"; done \
    && touch src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs benches/backtest.rs benches/data.rs benches/ticks.rs > benches/live/main.rs

FROM rust:1.95-bookworm AS build
WORKDIR /build
ENV CARGO_PROFILE_DIST_STRIP=symbols

# The dependencies first: this layer is rebuilt when they change, and a change of our own source compiles our own crates.
COPY --from=manifests /manifests ./
RUN cargo build --profile dist --locked

# COPY keeps the files' times, which may lie before the empty crates': touched, they are compiled.
COPY crates crates
COPY src src
RUN touch src/*.rs crates/*/src/lib.rs && cargo build --profile dist --locked

FROM debian:bookworm-slim
RUN groupadd --gid 10001 bot \
    && useradd --uid 10001 --gid bot --no-create-home --home-dir /state --shell /usr/sbin/nologin bot \
    && install --directory --owner=bot --group=bot --mode=0700 /state
COPY --from=build /build/target/dist/bot /usr/local/bin/bot
COPY docker/healthy /usr/local/bin/healthy
# As a number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /state
ENV BOT_STATE=/state
STOPSIGNAL SIGTERM
ENTRYPOINT ["bot"]
