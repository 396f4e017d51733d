#!/usr/bin/env python3
"""Runs the example strategies here, in backtrader and in backtesting.py over the same bars, and compares each fill.

    python3 -m venv venv && . venv/bin/activate
    pip install backtrader==1.9.78.123 backtesting==0.6.6 TA-Lib==0.6.8 pandas==3.1.1 numpy==2.4.6
    cargo build
    scripts/compare-strategies.py target/debug/bot

Each of examples/strategies is run by `bot backtest` as it stands, without fees, slippage and cash buffer; the bars that its
generators made are saved and given to the others, in New York's time. There it is written as their users write it
(scripts/other_engines), over indicators of TA-Lib and pandas, in whole shares, filled at the next open.
backtesting.py has one symbol: a strategy of several is run over the first one there, and so it is here.

Generated bars open where the one before closed. So each strategy is run a second time over bars whose opens gap, where an order
may cost more than there is: here it is rejected then (`on_short_cash = "reject"`, no retry), as both do.

Fills are equal in time, symbol, side, shares and price (1e-6), final equity to the cent, orders rejected in number. The time of a
fill is the start of the bar at whose open it is; of a day's bar the day. `opening_range` has margin of 50% in all three:
backtrader asks no money for a short position, a cash account here does.

What an engine cannot say is named in DIFFERENCES and printed. Where neither can say it, the rule is a few lines of plain Python
(scripts/other_engines/plain.py), and the fills of these are compared. Exits with 1 where anything compared is not equal.
"""

import argparse
import csv
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import talib

from other_engines import backtesting_strategies, backtrader_strategies, plain

EXAMPLES = Path(__file__).resolve().parent.parent / "examples/strategies"
NAMES = ["sma_cross", "bollinger", "atr_trail", "opening_range", "momentum", "pairs", "weekly_buy", "grid", "rsi2", "news",
         "volatility_target", "pyramid"]
ENGINES = {"backtrader": backtrader_strategies, "backtesting.py": backtesting_strategies}
CASH, CENT, GAP, SEED = 100_000, 0.01, 0.003, 7
LEVERAGE = {"opening_range": 2}
FREE = {"broker.fees": "none", "broker.slippage_bps": 0, "portfolio.cash_buffer": "0%"}
ONE_SYMBOL = "a Backtest is of one symbol's bars (its API: Backtest, data)"
DIFFERENCES = {
    ("momentum", "backtesting.py"): ONE_SYMBOL,
    ("pairs", "backtesting.py"): ONE_SYMBOL,
    ("news", "backtesting.py"): "it decides at the ends of bars only, and a score comes between two (its API: Strategy.next)",
    ("news", "backtrader"): "an order between two bars fills at the open of the bar under way, a price from before the order "
                            "(its API: Strategy.buy, Order.Market); here at the next open (docs/manifest.md: broker.fill)",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bot", type=Path, help="the binary")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all without")
    arguments = parser.parse_args()
    packages = ["backtrader", "backtesting", "TA-Lib", "pandas", "numpy"]
    print(", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages))
    print(f"Python {sys.version.split()[0]}, {output([arguments.bot.resolve(), '--version']).strip()}\n")
    is_fine = True
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or NAMES:
            is_fine &= Comparison(arguments.bot.resolve(), name, Path(folder) / name).run()
    sys.exit(0 if is_fine else 1)


class Comparison:
    """One strategy over the bars of its manifest, as they are made and with gaps."""

    def __init__(self, bot, name, folder):
        self.bot, self.name, self.folder = bot, name, folder
        self.manifest = tomllib.loads((EXAMPLES / f"{name}.toml").read_text())
        self.sections = {key: data for key, data in self.manifest["data"].items() if data["kind"] == "generator"}
        folder.mkdir()

    def run(self):
        is_fine = True
        saved = {f"data.{key}.save": str(self.path(key, "made")) for key in self.sections}
        whole = self.run_bot("made", saved)
        for bars in ("made", "gapped"):
            if bars == "gapped":
                for key in self.sections:
                    gapped(pd.read_csv(self.path(key, "made"))).to_csv(self.path(key, "gapped"), index=False)
                whole = self.run_bot("gapped", self.of_files(bars))
            for engine, strategies in ENGINES.items():
                if (self.name, engine) not in DIFFERENCES:
                    is_fine &= self.compare(bars, engine, strategies, whole)
            if self.name == "news":
                is_fine &= self.compare_plain(bars, whole)
        for engine in ENGINES:
            if (self.name, engine) in DIFFERENCES:
                print(f"{self.name:18}{'':8}{engine:16}differs: {DIFFERENCES[self.name, engine]}")
        return is_fine

    def compare(self, bars, engine, strategies, whole):
        keys = list(self.sections)
        if engine == "backtesting.py" and len(keys) > 1:
            keys = keys[:1]
            whole = self.run_bot(bars, self.of_files(bars) | {f"strategy.{self.name}.data": keys[0]})
        frames = {key.upper(): self.frame(key, bars) for key in keys}
        frames = with_indicators(self.name, frames)
        fills, equity, refused = strategies.run(self.name, frames, CASH, LEVERAGE.get(self.name, 1))
        return self.tell(bars, engine, whole, (fills, equity, refused), keys)

    def compare_plain(self, bars, whole):
        scores = pd.read_csv(EXAMPLES / "data/score.csv", index_col=0, parse_dates=True)["value"]
        frames = {key.upper(): self.frame(key, bars) for key in self.sections}
        return self.tell(bars, "plain Python", whole, (*plain.news(frames, scores, CASH), 0), list(frames))

    def tell(self, bars, engine, ours, theirs, keys):
        (fills, equity, refused), (other_fills, other_equity, other_refused) = ours, theirs
        other_fills = sorted(other_fills)
        places = range(max(len(fills), len(other_fills)))
        differing = [place for place in places if not same(fills[place:place + 1], other_fills[place:place + 1])]
        is_equal = not differing and abs(equity - other_equity) < CENT and refused == other_refused
        over = keys[0].upper() if len(keys) == 1 else f"{len(keys)} symbols"
        more = f", {refused} orders rejected" if refused else ""
        verdict = f"equal, {len(fills)} fills{more}, {over}, equity {equity:.2f}" if is_equal else "NOT EQUAL"
        print(f"{self.name:18}{bars:8}{engine:16}{verdict}")
        if not is_equal:
            print(f"  bot {len(fills)} fills, {refused} rejected, equity {equity:.2f}; {engine} {len(other_fills)}, "
                  f"{other_refused}, {other_equity:.2f}; {len(differing)} differ")
            for place in differing[:3]:
                print(f"  fill {place}: bot {fills[place:place + 1]}, {engine} {other_fills[place:place + 1]}")
        return is_equal

    def run_bot(self, bars, more):
        """Fills, final equity, and how many orders were rejected at the fill."""
        keys = dict(FREE)
        if bars == "gapped" and self.name != "news":
            keys |= {"broker.on_short_cash": "reject", f"strategy.{self.name}.retry.times": 0}
        if self.name in LEVERAGE:
            keys["broker.margin"] = '{ initial = "50%", maintenance = "25%" }'
        out = self.folder / "out"
        sets = [word for key, value in (keys | more).items() for word in ("--set", f"{key}={value}")]
        answer = json.loads(output([self.bot, "backtest", EXAMPLES / f"{self.name}.toml", "--out", out, "--json", *sets]))
        fills, rejected = [], 0
        with open(out / "orders.csv", newline="") as file:
            for row in csv.DictReader(file):
                rejected += row["status"] == "rejected"
                if float(row["amount"]) > 0:
                    sign = 1 if row["sell"] == "USD" else -1
                    fills.append((self.start(row["final_time"]), row["symbol"], sign * float(row["amount"]),
                                  float(row["price"])))
        return sorted(fills), float(answer["final_equity"]), rejected

    def start(self, time):
        """New York's time of a fill, without the nanosecond by which a schedule comes after its instant."""
        at = new_york(pd.Timestamp(time)).floor("s")
        return at.normalize() if self.is_daily() else at

    def is_daily(self):
        return next(iter(self.sections.values()))["timeframe"] == "1day"

    def path(self, key, bars):
        return self.folder / f"{key}_{bars}.csv"

    def of_files(self, bars):
        return {f"data.{key}": f'{{ kind = "csv", path = {json.dumps(str(self.path(key, bars)))}, '
                               f'timeframe = "{data["timeframe"]}" }}' for key, data in self.sections.items()}

    def frame(self, key, bars):
        frame = pd.read_csv(self.path(key, bars), index_col=0, parse_dates=True)
        frame.index = new_york(frame.index)
        return frame.astype(float)


def output(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def new_york(times):
    return times.tz_convert("America/New_York").tz_localize(None)


def gapped(bars):
    """The same bars with opens that are up to GAP away from the close before."""
    moved = bars["open"] * (1 + np.random.default_rng(SEED).uniform(-GAP, GAP, len(bars)))
    bars["open"] = moved.round(2)
    bars["high"], bars["low"] = bars[["open", "high"]].max(axis=1), bars[["open", "low"]].min(axis=1)
    return bars


def with_indicators(name, frames):
    """The columns that the rules look at; NaN where there are too few bars. Ends of weeks and months are the calendar's."""
    closes = {symbol: frame["close"] for symbol, frame in frames.items()}
    for symbol, frame in frames.items():
        high, low, close = frame["high"], frame["low"], frame["close"]
        if name == "sma_cross":
            frame["fast"], frame["slow"] = talib.SMA(close, 10), talib.SMA(close, 40)
        elif name == "bollinger":
            _, frame["middle"], frame["lower"] = talib.BBANDS(close, 20, 2.0, 2.0)
        elif name == "atr_trail":
            frame["top"], frame["atr"] = talib.MAX(high, 20).shift(1), talib.ATR(high, low, close, 14)
        elif name == "momentum":
            frame["momentum"], frame["ends_month"] = talib.ROC(close, 126), is_last(frame.index.to_period("M"))
        elif name == "pairs" and symbol == next(iter(frames)):
            ratio = close / closes[list(frames)[1]]
            frame["z"] = (ratio - ratio.rolling(60).mean()) / ratio.rolling(60).std(ddof=0)
        elif name == "weekly_buy":
            frame["ends_week"] = is_last(frame.index.to_period("W"))
        elif name == "rsi2":
            frame["rsi"], frame["trend"], frame["exit"] = talib.RSI(close, 2), talib.SMA(close, 200), talib.SMA(close, 5)
        elif name == "volatility_target":
            frame["volatility"] = np.log(close).diff().rolling(20).std() * np.sqrt(252)
        elif name == "pyramid":
            frame["top"], frame["bottom"] = talib.MAX(high, 20).shift(1), talib.MIN(low, 10).shift(1)
            frame["atr"] = talib.ATR(high, low, close, 20)
    return frames


def is_last(periods):
    """1 on the last bar of each period, 0 on the others; the data's last bar ends none that is known."""
    return np.append(periods[1:] != periods[:-1], False).astype(float)


def same(one, other):
    if len(one) != len(other):
        return False
    (at, symbol, size, price), (other_at, other_symbol, other_size, other_price) = one[0], other[0]
    return (at, symbol, size) == (other_at, other_symbol, other_size) and abs(price - other_price) < 1e-6


main()
