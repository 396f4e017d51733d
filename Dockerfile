# The image of `bot`: one stripped binary and a health check on Debian slim, run by nobody in particular.
# TLS roots and time zones are compiled in, so neither ca-certificates nor tzdata is needed.

FROM rust:1.95-bookworm AS build
WORKDIR /build
ENV CARGO_PROFILE_RELEASE_STRIP=symbols

# The dependencies first, around an empty crate: this layer is rebuilt when Cargo.toml or Cargo.lock changes, and a
# change of our own source compiles one crate. The benches are named in Cargo.toml and must be there to be left alone.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/live \
    && touch src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs benches/backtest.rs benches/data.rs benches/ticks.rs > benches/live/main.rs \
    && cargo build --release --locked

# COPY keeps the files' times, which may lie before the empty crate's: touched, they are compiled.
COPY src src
RUN touch src/lib.rs src/main.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN groupadd --gid 10001 bot \
    && useradd --uid 10001 --gid bot --no-create-home --home-dir /state --shell /usr/sbin/nologin bot \
    && install --directory --owner=bot --group=bot --mode=0700 /state
COPY --from=build /build/target/release/bot /usr/local/bin/bot
COPY docker/healthy /usr/local/bin/healthy
# As a number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /state
ENV BOT_STATE=/state
STOPSIGNAL SIGTERM
ENTRYPOINT ["bot"]
