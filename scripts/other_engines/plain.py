"""Example strategies in plain Python, by the rules that `bot` documents, where the other engines have no such rule."""

import math

import pandas as pd


def news(bars, scores, cash):
    """A good score buys at the next open, for what it costs as far as the cash goes; 24 bars later it is sold."""
    [(symbol, frame)] = bars.items()
    span = frame.index[1] - frame.index[0]
    events = sorted([(at + span, 0, place) for place, at in enumerate(frame.index)]
                    + [(at, 1, value) for at, value in scores.items()])
    fills, held, wanted, since, close = [], 0, 0, 0, None
    for at, is_score, value in events:
        if is_score:
            if value > 0.6 and held == 0 and wanted == 0 and close is not None:
                wanted, asked_at = math.floor(cash / close), at
            continue
        opened, price = frame.index[value], frame["open"].iloc[value]
        if wanted and asked_at <= opened:
            shares = min(wanted, math.floor(cash / price))
            fills.append((opened, symbol, shares, price))
            held, cash, wanted, since = held + shares, cash - shares * price, 0, value
        close = frame["close"].iloc[value]
        if held and not wanted and value + 1 - since >= 24:
            wanted, asked_at = -held, at
    return fills, cash + held * close
