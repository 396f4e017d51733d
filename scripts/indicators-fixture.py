#!/usr/bin/env python3
"""Writes crates/core/src/indicators/fixtures/indicators.json: made minute bars and what TA-Lib and pandas say of them.

    pip install TA-Lib==0.6.8 numpy==2.4.6 pandas==3.1.1
    scripts/indicators-fixture.py > crates/core/src/indicators/fixtures/indicators.json

The tests of crates/core/src/indicators compare every value with these numbers to 1e-9. A bar without a value is null.
Where TA-Lib has no such function, the value is made by its definition, in pandas or in plain steps below.
"""

import json
import math

import numpy as np
import pandas as pd
import talib

BARS_PER_DAY = 80
DAYS = ["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12"]  # New York changes its clocks on the 10th.
YEAR = 252 * 390


def made_bars():
    """A seeded random walk of cents, with bars that stand still, and one that follows it: morning, and from 19:55 to 20:04
    New York time, which is two dates in UTC."""
    random = np.random.default_rng(20_240_307)
    times = []
    for day in DAYS:
        for start, count in (("09:30", BARS_PER_DAY - 10), ("19:55", 10)):
            times += list(pd.date_range(f"{day} {start}", periods=count, freq="min", tz="America/New_York"))
    n = len(times)
    market = random.standard_t(5, n) * 0.0006
    moves = 0.8 * market + random.standard_t(4, n) * 0.0008
    moves[100:106] = 0.0
    close = np.round(100 * np.exp(np.cumsum(moves)), 2)
    open_ = np.round(np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, 0.0001, n)), 2)
    high = np.round(np.maximum(open_, close) + random.exponential(0.04, n), 2)
    low = np.round(np.minimum(open_, close) - random.exponential(0.04, n), 2)
    for array in (open_, high, low):
        array[101:106] = close[101:106]  # Nothing moves, not even within a bar.
    volume = np.round(random.lognormal(6, 1, n))
    volume[[0, 50, 101, 240]] = 0.0
    other = np.round(400 * np.exp(np.cumsum(market)), 2)
    return pd.DataFrame(
        {"open": open_, "high": high, "low": low, "close": close, "volume": volume, "other": other},
        index=pd.DatetimeIndex(times),
    )


def smoothed(values, period):
    """Wilder's smoothing, started at the mean of the first values."""
    out = np.full(len(values), np.nan)
    out[period - 1] = values[:period].mean()
    for i in range(period, len(values)):
        out[i] = (out[i - 1] * (period - 1) + values[i]) / period
    return out


def super_trend(high, low, close, period, multiplier):
    """Pine's own source of ta.supertrend, over TA-Lib's average true range."""
    middle, width = (high + low) / 2, multiplier * talib.ATR(high, low, close, period)
    upper, lower = middle + width, middle - width
    line, direction = np.full(len(close), np.nan), np.full(len(close), np.nan)
    for i in range(period, len(close)):
        if i > period:
            if not (lower[i] > lower[i - 1] or close[i - 1] < lower[i - 1]):
                lower[i] = lower[i - 1]
            if not (upper[i] < upper[i - 1] or close[i - 1] > upper[i - 1]):
                upper[i] = upper[i - 1]
        if i == period:
            direction[i] = -1
        elif line[i - 1] == upper[i - 1]:
            direction[i] = 1 if close[i] > upper[i] else -1
        else:
            direction[i] = -1 if close[i] < lower[i] else 1
        line[i] = lower[i] if direction[i] > 0 else upper[i]
    return line, direction


def crossed(first, second):
    """1 where the first rose above the second; none before there are two bars of both."""
    first, second = pd.Series(first), pd.Series(second)
    rose = ((first > second) & (first.shift(1) <= second.shift(1))).astype(float)
    known = first.notna() & second.notna() & first.shift(1).notna() & second.shift(1).notna()
    return rose.where(known)


def bars_since(happened):
    out, since = [], math.nan
    for value in happened:
        since = 0.0 if value == 1.0 else since + 1.0
        out.append(since)
    return out


def indicators(bars):
    o, h, l, c, v, other = (bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume", "other"))
    s, typical = pd.Series(c), (h + l + c) / 3
    day = pd.Series(bars.index.date)
    # TA-Lib's STDDEV and CORREL take squares of sums from sums of squares, which leaves 9 digits of prices of 100: they get
    # the prices less the first one, of which both are the same.
    all_ = {
        "value_open": o,
        "sma_5": talib.SMA(c, 5),
        "sma_30_volume": talib.SMA(v, 30),
        "ema_10": talib.EMA(c, 10),
        "ema_7_typical": talib.EMA(typical, 7),
        "wma_9": talib.WMA(c, 9),
        "rma_14": smoothed(c, 14),
        "rsi_14": talib.RSI(c, 14),
        "rsi_2": talib.RSI(c, 2),
        "standard_deviation_12": talib.STDDEV(c - 100, 12, 1),
        "z_score_15": (s - s.rolling(15).mean()) / s.rolling(15).std(ddof=0),
        "rate_of_change_6": talib.ROC(c, 6),
        "highest_20_high": talib.MAX(h, 20),
        "lowest_20_low": talib.MIN(l, 20),
        "atr_14": talib.ATR(h, l, c, 14),
        "true_range": talib.TRANGE(h, l, c),
        "adx_14": talib.ADX(h, l, c, 14),
        "adx_3": talib.ADX(h, l, c, 3),
        "plus_di_14": talib.PLUS_DI(h, l, c, 14),
        "minus_di_14": talib.MINUS_DI(h, l, c, 14),
        "cci_20": talib.CCI(h, l, c, 20),
        "session_vwap": (pd.Series(typical * v).groupby(day).cumsum() / pd.Series(v).groupby(day).cumsum()),
        "obv": talib.OBV(c, v),
        "parabolic_sar": talib.SAR(h, l, 0.02, 0.2),
        "parabolic_sar_steep": talib.SAR(h, l, 0.1, 0.5),
        "correlation_20": talib.CORREL(c - 100, other - 400, 20),
        "beta_20": talib.BETA(other, c, 20),
        "regression_14": talib.LINEARREG(c, 14),
        "regression_slope_14": talib.LINEARREG_SLOPE(c, 14),
        "regression_intercept_14": talib.LINEARREG_INTERCEPT(c, 14),
        "realized_volatility_20": np.log(s).diff().rolling(20).std(ddof=1) * math.sqrt(YEAR),
        "percent_rank_25": s.rolling(25).rank(method="max", pct=True),
        "crossover_5_20": crossed(talib.SMA(c, 5), talib.SMA(c, 20)),
        "crossunder_5_20": crossed(talib.SMA(c, 20), talib.SMA(c, 5)),
        "bars_since_crossover": bars_since(crossed(talib.SMA(c, 5), talib.SMA(c, 20))),
        "sma_5_of_rsi_14": talib.SMA(talib.RSI(c, 14), 5),
        "highest_10_of_atr_5": talib.MAX(talib.ATR(h, l, c, 5), 10),
    }
    for name, values in zip(("line", "signal", "histogram"), talib.MACD(c, 12, 26, 9)):
        all_[f"macd_12_26_9_{name}"] = values
    for name, values in zip(("upper", "middle", "lower"), talib.BBANDS(c, 20, 2.5, 2.5, 0)):
        all_[f"bollinger_20_{name}"] = values
    for name, values in zip("kd", talib.STOCH(h, l, c, 14, 3, 0, 4, 0)):
        all_[f"stochastic_14_3_4_{name}"] = values
    for name, side in (("upper", 1), ("middle", 0), ("lower", -1)):
        all_[f"keltner_20_10_{name}"] = talib.EMA(c, 20) + side * 1.5 * talib.ATR(h, l, c, 10) + 0 * s
    for name, values in zip(("line", "direction"), super_trend(h, l, c, 7, 1.5)):
        all_[f"super_trend_7_{name}"] = values
    return all_


def number(value):
    return float(f"{value:.13g}") if math.isfinite(value) else None


def main():
    bars = made_bars()
    rows = [[int(at.timestamp()), *map(float, row)] for at, row in zip(bars.index, bars.to_numpy())]
    print('{"bars": [')
    print(",\n".join(json.dumps(row) for row in rows))
    print('],\n"indicators": {')
    lines = ((name, [number(value) for value in values]) for name, values in indicators(bars).items())
    print(",\n".join(f"{json.dumps(name)}: {json.dumps(values, allow_nan=False)}" for name, values in lines))
    print("}}")


if __name__ == "__main__":
    main()
