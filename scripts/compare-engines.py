#!/usr/bin/env python3
"""Runs one strategy over one file of bars here and in other engines, and says where they differ.

    pip install backtesting vectorbt quantstats
    cargo build --profile dist
    scripts/compare-engines.py NVDA_1min.csv target/dist/bot

The strategy: the exponential averages of the last 10 and 20 closes (alpha 2 / (n + 1), begun at the first close); after
500 bars it is 100 shares long while the fast one is above the slow one, and 100 short while it is below. No fees.
backtesting.py fills at the next open, vectorbt at the same close; each is compared with `bot backtest` on the same
terms, fill by fill and to the cent. The open position is not closed at the end, but marked at the last close. Then all
ratios of our stats.json are compared with quantstats on the returns of our equity.csv.

Then the example of backtesting.py's README on the daily bars of GOOG that come with it: the simple averages of 10 and 20
closes, where they cross all of the equity goes long or short (`size_at = "fill"`), without commission and with 0.2 %.

Exits with 1 where fills differ, money differs by a cent or more, or a ratio by more than 1e-9 of its value (1e-12 near 0).
"""

import argparse
import contextlib
import csv
import importlib.util
import io
import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")

FAST, SLOW, WARMUP = 10, 20, 500
RELATIVE, ABSOLUTE = 1e-9, 1e-12
ALL_IN_CASH = 10_000


@dataclass
class Run:
    engine: str
    fills: list  # (time, signed shares, price)
    cash: float
    equity: float
    seconds: float


def main():
    arguments = parse()
    bars = read(arguments.bars)
    wanted = targets(bars["Close"].to_numpy(), arguments.shares)
    print(f"{len(bars):,} bars, EMA({FAST}) / EMA({SLOW}), {WARMUP} bars of warm-up, +-{arguments.shares} shares\n")
    is_fine = True
    with tempfile.TemporaryDirectory() as folder:
        for fill, engine in (("next_open", backtesting_py), ("same_close", vectorbt)):
            ours = bot(arguments, fill, Path(folder) / fill)
            theirs = engine(bars, wanted, arguments.cash)
            is_fine &= compare(fill, ours, theirs, arguments.cash)
            is_fine &= compare_ratios(Path(folder) / fill)
        for bps in (0, 20):
            ours, theirs = bot_all_in(arguments, bps, Path(folder) / f"goog_{bps}"), backtesting_py_all_in(bps)
            is_fine &= compare(f"next_open, GOOG, all in, {bps} bps", ours, theirs, ALL_IN_CASH)
            print()
    sys.exit(0 if is_fine else 1)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bars", type=Path, help="CSV of one-minute bars: time, open, high, low, close, volume")
    parser.add_argument("bot", type=Path, help="the binary")
    parser.add_argument("--shares", type=int, default=100)
    parser.add_argument("--cash", type=int, default=1_000_000)
    return parser.parse_args()


def read(path):
    bars = pd.read_csv(path, index_col=0, parse_dates=True)
    bars.columns = [name.capitalize() for name in bars.columns]
    if bars.index.tz is None:
        bars.index = bars.index.tz_localize("America/New_York")
    bars.index = bars.index.tz_convert("UTC").tz_localize(None)
    return bars


def targets(closes, shares):
    """The position that is wanted after each bar; NaN before the first signal."""
    fast = slow = closes[0]
    level, wanted = 0, np.full(len(closes), np.nan)
    for place, close in enumerate(closes):
        fast += 2 / (FAST + 1) * (close - fast)
        slow += 2 / (SLOW + 1) * (close - slow)
        level = 1 if fast > slow else -1 if fast < slow else level
        if place >= WARMUP and level:
            wanted[place] = level * shares
    return wanted


def bot(arguments, fill, out):
    manifest = out.with_suffix(".toml")
    manifest.write_text(f"""
[broker]
kind = "simulated"
cash = "{arguments.cash}"
fill = "{fill}"
[risk]
short = true
[data.bars]
kind = "csv"
path = {json.dumps(str(arguments.bars.resolve()))}
symbol = "BARS"
[[strategy]]
name = "cross"
kind = "ema_cross"
size = {{ rule = "{arguments.shares}sh" }}
params = {{ fast = {FAST}, slow = {SLOW}, warmup = {WARMUP} }}
""")
    return run_bot(arguments, manifest, out)


def run_bot(arguments, manifest, out):
    command = [arguments.bot.resolve(), "backtest", manifest, "--out", out, "--json"]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    fills = []
    with open(out / "orders.csv", newline="") as file:
        for row in csv.DictReader(file):
            if float(row["amount"]) > 0:
                sign = 1 if row["sell"] == "USD" else -1
                at = pd.Timestamp(row["final_time"]).tz_localize(None)
                fills.append((at, sign * float(row["amount"]), float(row["price"])))
    return Run("bot", fills, float(answer["final_cash"]), float(answer["final_equity"]), answer["seconds"])


def backtesting_py(bars, wanted, cash):
    from backtesting import Backtest, Strategy

    class Cross(Strategy):
        def init(self):
            pass

        def next(self):
            target = wanted[len(self.data) - 1]
            missing = 0 if math.isnan(target) else target - self.position.size
            # Shares, not a fraction of the cash: what turns the position round closes the old one first.
            if missing > 0:
                self.buy(size=missing)
            elif missing < 0:
                self.sell(size=-missing)

    test = Backtest(bars, Cross, cash=cash, commission=0, trade_on_close=False, hedging=False, exclusive_orders=False,
                    finalize_trades=False)
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        stats = test.run()
    return run_of_trades(stats, bars, time.perf_counter() - start)


def run_of_trades(stats, bars, seconds):
    trades = list(stats["_strategy"].closed_trades) + list(stats["_strategy"].trades)
    by_time = {}
    for trade in trades:  # A flip is the end of one trade and the begin of the next, in one fill.
        sides = [(trade.entry_time, trade.size, trade.entry_price)]
        if trade.exit_time is not None:
            sides.append((trade.exit_time, -trade.size, trade.exit_price))
        for at, size, price in sides:
            by_time[at] = (at, by_time.get(at, (at, 0, price))[1] + size, price)
    fills = [by_time[at] for at in sorted(by_time)]
    equity = stats["Equity Final [$]"]
    held = sum(size for _, size, _ in fills)
    return Run("backtesting.py", fills, equity - held * bars["Close"].iloc[-1], equity, seconds)


SMA_CROSS = """
fn init() { this.closes = []; this.fast = (); this.slow = (); }
fn mean(closes, count) {
    let sum = 0.0;
    for place in (closes.len() - count)..closes.len() { sum += closes[place]; }
    sum / count.to_float()
}
fn on_event(event) {
    this.closes.push(event.price);
    if this.closes.len() > 20 { this.closes.remove(0); }
    if this.closes.len() < 20 { return; }
    let closes = this.closes;
    let fast = mean(closes, 10);
    let slow = mean(closes, 20);
    if this.fast != () {
        if this.fast < this.slow && fast > slow { signal(event.symbol, 1.0); }
        if this.fast > this.slow && fast < slow { signal(event.symbol, -1.0); }
    }
    this.fast = fast;
    this.slow = slow;
}
"""


def bot_all_in(arguments, bps, out):
    from backtesting.test import GOOG

    GOOG.to_csv(out.with_suffix(".csv"), index_label="time")
    script = out.with_name(f"{out.name}_strategy.rhai")
    script.write_text(SMA_CROSS)
    manifest = out.with_suffix(".toml")
    manifest.write_text(f"""
[broker]
kind = "simulated"
cash = "{ALL_IN_CASH}"
size_at = "fill"
fees = {{ bps = {bps} }}
[portfolio]
cash_buffer = 0
[risk]
short = true
[data.goog]
kind = "csv"
path = {json.dumps(out.with_suffix(".csv").name)}
timeframe = "1d"
columns = {{ time = "time", open = "Open", high = "High", low = "Low", close = "Close", volume = "Volume" }}
[[strategy]]
name = "sma"
script = {json.dumps(script.name)}
size = {{ rule = "100%" }}
""")
    run = run_bot(arguments, manifest, out)
    # A day's bar opens at its midnight in New York.
    run.fills = [(at.tz_localize("UTC").tz_convert("America/New_York").tz_localize(None), *fill) for at, *fill in run.fills]
    return run


def backtesting_py_all_in(bps):
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover
    from backtesting.test import GOOG, SMA

    class SmaCross(Strategy):
        def init(self):
            self.fast = self.I(SMA, self.data.Close, 10)
            self.slow = self.I(SMA, self.data.Close, 20)

        def next(self):
            if crossover(self.fast, self.slow):
                self.position.close()
                self.buy()
            elif crossover(self.slow, self.fast):
                self.position.close()
                self.sell()

    test = Backtest(GOOG, SmaCross, cash=ALL_IN_CASH, commission=bps / 1e4, finalize_trades=False)
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        stats = test.run()
    return run_of_trades(stats, GOOG, time.perf_counter() - start)


def vectorbt(bars, wanted, cash):
    import vectorbt as vbt

    known = pd.Series(wanted).ffill()
    size = known.where(known != known.shift()).to_numpy()  # An order where the target changes, else none.
    close = bars["Close"]
    place = lambda: vbt.Portfolio.from_orders(close, size, size_type="targetamount", direction="both", init_cash=cash,
                                              fees=0, freq="1min")
    place()  # The first call compiles.
    start = time.perf_counter()
    portfolio = place()
    cash_left = portfolio.cash().iloc[-1]
    seconds = time.perf_counter() - start
    fills = []
    for order in portfolio.orders.records.to_dict("records"):
        known = bars.index[order["idx"]] + pd.Timedelta(minutes=1)  # A close is known at its bar's end.
        fills.append((known, order["size"] if order["side"] == 0 else -order["size"], order["price"]))
    return Run("vectorbt", fills, cash_left, portfolio.value().iloc[-1], seconds)


def compare(fill, ours, theirs, cash):
    print(f"fill = {fill}")
    print(f"  {'':16}{'fills':>8}{'final cash':>16}{'final equity':>16}{'profit':>14}{'seconds':>10}")
    for run in (ours, theirs):
        print(f"  {run.engine:16}{len(run.fills):8,}{run.cash:16,.2f}{run.equity:16,.2f}{run.equity - cash:14,.2f}"
              f"{run.seconds:10.3f}")
    differences = [
        place
        for place in range(max(len(ours.fills), len(theirs.fills)))
        if not same_fill(ours.fills[place:place + 1], theirs.fills[place:place + 1])
    ]
    for place in differences[:5]:
        print(f"  fill {place}: bot {ours.fills[place:place + 1]}, {theirs.engine} {theirs.fills[place:place + 1]}")
    cents = [round(100 * abs(one - other), 4) for one, other in ((ours.cash, theirs.cash), (ours.equity, theirs.equity))]
    print(f"  differences: {len(differences)} fills, cash {cents[0]:g} cents, equity {cents[1]:g} cents")
    return not differences and max(cents) < 1


def same_fill(one, other):
    if len(one) != len(other):
        return False
    (at, size, price), (other_at, other_size, other_price) = one[0], other[0]
    return at == other_at and size == other_size and abs(price - other_price) < 1e-6


def compare_ratios(out):
    path = Path(__file__).with_name("quantstats-fixture.py")
    spec = importlib.util.spec_from_file_location("quantstats_fixture", path)
    fixture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixture)
    equity = pd.read_csv(out / "equity.csv")
    days = pd.to_datetime(equity["time"], utc=True).dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()
    returns = pd.Series(equity["return"].to_numpy()[1:], index=pd.DatetimeIndex(days[1:]))
    stats = json.loads((out / "stats.json").read_text())
    periods = stats["headline"]["periods_per_year"]
    with contextlib.redirect_stdout(sys.stderr):
        theirs = fixture.ratios(returns, periods, stats["headline"]["risk_free"], days[0])
    ours = {ratio["name"]: ratio["value"] for ratio in stats["ratios"]}
    worst, faults, counted = (0.0, "none"), [], 0
    for name, wanted in theirs.items():
        name = name.replace("#", f"{periods:g}")
        found, wanted = ours[name], fixture.number(wanted)
        if found is None or wanted is None:
            if found is not wanted:
                faults.append(f"{name}: bot {found}, quantstats {wanted}")
            continue
        counted += 1
        difference = abs(found - wanted)
        if wanted:
            worst = max(worst, (difference / abs(wanted), name))
        if difference > RELATIVE * abs(wanted) + ABSOLUTE:
            faults.append(f"{name}: bot {found}, quantstats {wanted}")
    print(f"  quantstats: {counted} ratios of {len(returns)} days, the worst is {worst[1]} with {worst[0]:.1e} of its value")
    for fault in faults:
        print(f"  {fault}")
    print()
    return not faults


main()
