#!/usr/bin/env python3
"""Writes crates/backtest/src/stats/fixtures/quantstats.json: made return series and what quantstats says of them.

    pip install quantstats==0.0.86
    scripts/quantstats-fixture.py > crates/backtest/src/stats/fixtures/quantstats.json

The tests of crates/backtest/src/stats compare every ratio with these numbers to 1e-9. A value that quantstats does not define
(nan, inf) is null. Where docs/statistics.md names a difference, the value is made by its rule, from quantstats'
own functions; each such place says so below.
"""

import contextlib
import json
import math
import sys
import warnings

import numpy as np
import pandas as pd
import quantstats as qs
from dateutil.relativedelta import relativedelta

warnings.filterwarnings("ignore")
s = qs.stats


def number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def sums(values, freq):
    return s.gain_to_pain_ratio(values, 0, freq)


def falls(returns):
    """quantstats' own table; it loses a fall that begins with the first return and never ends: one flat day before
    the first return brings it back."""
    day_before = returns.index[0] - pd.Timedelta(days=1)
    padded = pd.concat([pd.Series([0.0], index=[day_before]), returns])
    return s.drawdown_details(s.to_drawdown_series(padded))


def ratios(returns, periods, rf, start):
    r = returns
    today = r.index[-1]
    excess = r - ((1 + rf) ** (1 / periods) - 1)
    details = falls(r)
    has_falls = len(details) > 0
    year = lambda f: f(r, compounded=True, aggregate="YE", prepare_returns=False)
    month = lambda f: f(r, compounded=True, aggregate="ME", prepare_returns=False)
    quarter = lambda f: f(r, compounded=True, aggregate="QE", prepare_returns=False)

    def since(**back):
        """By our rule nothing is said of a span that the run does not reach back to."""
        begin = today - relativedelta(**back)
        return r[r.index >= begin] if start <= begin else None

    def total(**back):
        part = since(**back)
        return math.nan if part is None or len(part) == 0 else s.comp(part)

    def annual(**back):
        part = since(**back)
        return math.nan if part is None else s.cagr(part, 0.0, True, periods)

    moved = (r != 0).any()
    spread = r.std() > 1e-15 if len(r) > 1 else False
    shaped = lambda value: value if spread else math.nan  # pandas: skew and kurtosis 0 of equal values.
    if_moved = lambda value: value if moved else math.nan  # quantstats: a win rate of 0 where nothing moved.
    months = qs.utils.aggregate_returns(r, "ME", True)
    quarters = qs.utils.aggregate_returns(r, "QE", True)
    years = qs.utils.aggregate_returns(r, "YE", True)
    excess_spread = excess.std() > 1e-15 if len(r) > 1 else False
    return {
        "total_return": s.comp(r),
        "cagr_#": s.cagr(r, rf, True, periods),
        "month_to_date": s.comp(r[r.index >= pd.Timestamp(today.year, today.month, 1)]),
        "last_3m": total(months=3),
        "last_6m": total(months=6),
        "year_to_date": s.comp(r[r.index >= pd.Timestamp(today.year, 1, 1)]),
        "last_1y": total(years=1),
        "last_3y_#": annual(months=35),
        "last_5y_#": annual(months=59),
        "last_10y_#": annual(months=119),
        "all_time_#": s.cagr(r, 0.0, True, periods),
        "sharpe_#": s.sharpe(r, rf, periods, True) if excess_spread else math.nan,
        "probabilistic_sharpe": s.probabilistic_sharpe_ratio(r, rf, periods, False) if spread else math.nan,
        "smart_sharpe_#": s.smart_sharpe(r, rf, periods, True) if excess_spread else math.nan,
        "sortino_#": s.sortino(r, rf, periods, True),
        "probabilistic_sortino": s.probabilistic_sortino_ratio(r, rf, periods, False) if spread else math.nan,
        "smart_sortino_#": s.smart_sortino(r, rf, periods, True),
        "sortino_sqrt2_#": s.adjusted_sortino(r, rf, periods, True),
        "probabilistic_sortino_sqrt2": s.probabilistic_adjusted_sortino_ratio(r, rf, periods, False)
        if spread
        else math.nan,
        "smart_sortino_sqrt2_#": s.smart_sortino(r, rf, periods, True) / math.sqrt(2),
        # quantstats: the correlation of the rounding of equal values.
        "autocorrelation_penalty": s.autocorr_penalty(excess) if spread else 1.0,
        "omega": s.omega(r, rf, 0.0, periods),
        "calmar_#": s.calmar(r, prepare_returns=False, periods=periods) if s.max_drawdown(r) else math.nan,
        "recovery_factor": s.recovery_factor(r),
        "ulcer_performance_index": s.ulcer_performance_index(r, rf),
        "serenity_index": s.serenity_index(r, rf) if spread else math.nan,
        # quantstats: always 252 periods, and time in market of the excess returns.
        "risk_adjusted_return_#": s.cagr(excess, periods=periods) / s.exposure(r) if moved else math.nan,
        "risk_return_ratio": s.risk_return_ratio(r) if spread else math.nan,
        "gain_to_pain": sums(r, "D"),
        "gain_to_pain_1m": sums(r, "ME"),
        "max_drawdown": s.max_drawdown(r),
        "longest_drawdown_days": details["days"].max() if has_falls else math.nan,
        "avg_drawdown": details["max drawdown"].mean() / 100 if has_falls else math.nan,
        "avg_drawdown_days": details["days"].mean() if has_falls else math.nan,
        "ulcer_index": s.ulcer_index(r) if len(r) > 1 else math.nan,
        "volatility_#": s.volatility(r, periods, True, prepare_returns=False),
        "skew": shaped(s.skew(r, prepare_returns=False)),
        "kurtosis": shaped(s.kurtosis(r, prepare_returns=False)),
        # Without any spread quantstats has no value at risk; by our rule it is the mean.
        "value_at_risk_95": s.value_at_risk(r, prepare_returns=False) if spread or len(r) < 2 else r.mean(),
        "expected_shortfall_95": s.cvar(r, prepare_returns=False),
        "expected_shortfall_historical_95": s.cvar(r, prepare_returns=False, method="historical"),
        "tail_ratio": s.tail_ratio(r, prepare_returns=False),
        "kelly": s.kelly_criterion(r, prepare_returns=False),
        "risk_of_ruin": if_moved(s.risk_of_ruin(r, prepare_returns=False)),
        "time_in_market": s.exposure(r, prepare_returns=False),
        "win_periods": if_moved(s.win_rate(r, prepare_returns=False)),
        "win_months": month(s.win_rate) if (months != 0).any() else math.nan,
        "win_quarters": quarter(s.win_rate) if (quarters != 0).any() else math.nan,
        "win_years": year(s.win_rate) if (years != 0).any() else math.nan,
        "avg_return": s.avg_return(r, prepare_returns=False),
        "avg_win": s.avg_win(r, prepare_returns=False),
        "avg_loss": s.avg_loss(r, prepare_returns=False),
        "avg_up_month": month(s.avg_win),
        "avg_down_month": month(s.avg_loss),
        "max_consecutive_wins": s.consecutive_wins(r),
        "max_consecutive_losses": s.consecutive_losses(r),
        "payoff": s.payoff_ratio(r, prepare_returns=False),
        # quantstats: 0 where nothing moved.
        "profit_factor": if_moved(s.profit_factor(r, prepare_returns=False)),
        "profit_ratio": s.profit_ratio(r, prepare_returns=False),
        "common_sense_ratio": s.common_sense_ratio(r, prepare_returns=False),
        "cpc_index": s.cpc_index(r, prepare_returns=False),
        "outlier_win_ratio": s.outlier_win_ratio(r, prepare_returns=False),
        "outlier_loss_ratio": s.outlier_loss_ratio(r, prepare_returns=False),
        "expected_period": s.expected_return(r, compounded=True, prepare_returns=False),
        "expected_month": month(s.expected_return),
        "expected_year": year(s.expected_return),
        "best_period": s.best(r, compounded=True, prepare_returns=False),
        "worst_period": s.worst(r, prepare_returns=False),
        "best_month": month(s.best),
        "worst_month": month(s.worst),
        "best_year": year(s.best),
        "worst_year": year(s.worst),
    }


def against(r, benchmark, periods, rf):
    greeks = s.greeks(r, benchmark, periods, prepare_returns=False)
    still = benchmark.std() < 1e-15  # quantstats: 0 of a benchmark that does not move.
    return {
        "beta": math.nan if still else greeks["beta"],
        "alpha_#": math.nan if still else greeks["alpha"],
        "correlation": benchmark.corr(r),
        "r_squared": s.r_squared(r, benchmark, prepare_returns=False),
        "information_ratio": s.information_ratio(r, benchmark, prepare_returns=False),
        "treynor": math.nan if still else s.treynor_ratio(r, benchmark, periods, rf),
    }


def series(name, dates, returns, periods=252, rf=0.0, benchmark=None):
    start = dates[0] - pd.Timedelta(days=1)
    r = pd.Series([round(float(value), 6) for value in returns], index=dates)
    expected = ratios(r, periods, rf, start)
    expected_benchmark = None
    if benchmark is not None:
        b = pd.Series([round(float(value), 6) for value in benchmark], index=dates)
        expected |= against(r, b, periods, rf)
        expected_benchmark = {k: number(v) for k, v in ratios(b, periods, rf, start).items()}
    table = s.monthly_returns(r, eoy=True, compounded=True)
    return {
        "name": name,
        "periods": periods,
        "risk_free": rf,
        "start": str(start.date()),
        "dates": [str(date.date()) for date in dates],
        "returns": list(r),
        "benchmark": None if benchmark is None else list(b),
        "expected": {k: number(v) for k, v in expected.items()},
        "expected_benchmark": expected_benchmark,
        "months": [[int(year)] + [number(value) for value in row] for year, row in zip(table.index, table.values)],
        "falls": [
            [row["start"], row["valley"], row["end"], int(row["days"]), row["max drawdown"] / 100]
            for _, row in falls(r).iterrows()
        ],
    }


def main():
    random = np.random.default_rng(20_240_102)
    days = lambda first, n: pd.bdate_range(first, periods=n)
    market = random.standard_t(4, 500) * 0.008
    mixed = 0.6 * market + random.standard_t(4, 500) * 0.006 + 0.0004
    weekly = random.normal(0.0015, 0.02, 600)
    zeros = np.where(random.random(120) < 0.6, 0.0, random.normal(0, 0.01, 120))
    with contextlib.redirect_stdout(sys.stderr):
        all_series = [
            series("random 500 days", days("2022-01-03", 500), mixed, benchmark=market),
            series("random 500 days, risk-free 3 %", days("2022-01-03", 500), mixed, rf=0.03, benchmark=market),
            series("11 years of weeks", pd.date_range("2013-02-01", periods=600, freq="W-FRI"), weekly, 52,
                   benchmark=0.5 * weekly + random.normal(0, 0.01, 600)),
            series("all losing", days("2024-01-02", 40), -np.abs(random.normal(0, 0.01, 40)) - 0.0001),
            series("all winning", days("2024-01-02", 40), np.abs(random.normal(0, 0.01, 40)) + 0.0001),
            series("flat", days("2024-01-02", 30), np.zeros(30)),
            series("the same gain every day", days("2024-01-02", 30), np.full(30, 0.001)),
            series("one value", days("2024-01-02", 1), [0.01]),
            series("two values", days("2024-01-02", 2), [0.01, -0.005]),
            series("five days", days("2024-02-27", 5), [0.01, -0.005, 0.002, 0.0, -0.013]),
            series("with zeros", days("2024-06-03", 120), zeros, benchmark=np.zeros(120)),
            series("365 days a year", pd.date_range("2023-12-30", periods=400), random.normal(0, 0.03, 400), 365),
        ]
    print("[")
    print(",\n".join(json.dumps(one, allow_nan=False) for one in all_series))
    print("]")


if __name__ == "__main__":
    main()
