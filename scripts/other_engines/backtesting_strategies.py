"""The example strategies of one symbol as a user of backtesting.py writes them; their indicators are columns of the data."""

import contextlib
import io
import math
import warnings

from backtesting import Backtest, Strategy

FIELDS = ["open", "high", "low", "close", "volume"]


def run(name, frames, cash, leverage):
    """Fills as (time, symbol, shares, price), the final equity, and how many orders the broker refused."""
    [(symbol, frame)] = frames.items()
    frame = frame.rename(columns={field: field.capitalize() for field in FIELDS})
    test = Backtest(frame, STRATEGIES[name], cash=cash, commission=0, margin=1 / leverage, trade_on_close=False,
                    hedging=False, exclusive_orders=False, finalize_trades=False)
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        stats = test.run()
    refused = sum("canceled the order" in str(warning.message) for warning in warned)
    return fills_of(stats["_strategy"], symbol), stats["Equity Final [$]"], refused


def fills_of(strategy, symbol):
    """What was filled at one open is one fill here: each trade has a begin, and an end of its own."""
    by_time = {}
    for trade in list(strategy.closed_trades) + list(strategy.trades):
        sides = [(trade.entry_time, trade.size, trade.entry_price)]
        if trade.exit_time is not None:
            sides.append((trade.exit_time, -trade.size, trade.exit_price))
        for at, size, price in sides:
            by_time[at] = (at, symbol, by_time.get(at, (at, symbol, 0, price))[2] + size, price)
    return [(at, symbol, size, float(price)) for at, _, size, price in by_time.values()]


def whole(shares):
    return math.floor(shares + 1e-9)  # A product that is a hair below a whole number is that number.


class Book(Strategy):
    """Sizes as `bot` documents them: so much of the equity at the close, as far as cash goes."""

    def init(self):
        self.start()

    def start(self):
        pass

    def now(self, column):
        return self.data[column][-1]

    def hold(self, weight):
        close = self.now("Close")
        size = int(math.copysign(whole(abs(weight) * self.equity / close), weight))
        missing = size - self.position.size
        if missing > 0 and self.position.size >= 0:
            missing = min(missing, whole((self.equity - self.position.size * close) / close))
        self.trade(missing)

    def trade(self, shares):
        if shares > 0:
            self.buy(size=shares)
        elif shares < 0:
            self.sell(size=-shares)


class SmaCross(Book):
    def next(self):
        if self.now("fast") > self.now("slow") and not self.position:
            self.hold(1)
        elif self.now("fast") < self.now("slow") and self.position:
            self.position.close()


class Bollinger(Book):
    def next(self):
        if self.now("Close") < self.now("lower") and not self.position:
            self.hold(1)
        elif self.now("Close") >= self.now("middle") and self.position:
            self.position.close()


class AtrTrail(Book):
    def next(self):
        close = self.now("Close")
        if math.isnan(self.now("top")) or math.isnan(self.now("atr")):
            return
        stop = close - 3.0 * self.now("atr")
        if self.position:
            self.stop = max(self.stop, stop)
            if close < self.stop:
                self.position.close()
        elif close > self.now("top"):
            self.hold(1)
            self.stop = stop


class OpeningRange(Book):
    def start(self):
        self.range = (self.data.High[0], self.data.Low[0])  # `next` is not called for the first bar of the data.

    def next(self):
        at, high, low, close = self.data.index[-1], self.now("High"), self.now("Low"), self.now("Close")
        minutes = at.hour * 60 + at.minute + 5 - 570  # From the open to the end of this bar.
        if minutes == 5:
            self.range = (high, low)
        elif minutes <= 30:
            self.range = (max(self.range[0], high), min(self.range[1], low))
        elif minutes >= 385:
            if minutes == 385 and self.position:
                self.position.close()
        elif self.range and not self.range[1] <= close <= self.range[0]:
            self.hold(1 if close > self.range[0] else -1)
            self.range = None


class WeeklyBuy(Book):
    def next(self):
        if self.now("ends_week"):
            self.buy(size=whole(500 / self.now("Close")))


class Grid(Book):
    def next(self):
        close, anchor = self.now("Close"), self.data.Close[0]
        step, held = anchor * 1.0 / 100, self.position.size // 100
        line = anchor - step * held
        if close <= line - step and held < 8:
            self.buy(size=100)
        elif close >= line + step and held > 0:
            self.sell(size=100)


class Rsi2(Book):
    def next(self):
        close = self.now("Close")
        if self.position and close > self.now("exit"):
            self.position.close()
        elif not self.position and close > self.now("trend") and self.now("rsi") < 10:
            self.hold(1)


class VolatilityTarget(Book):
    def next(self):
        if self.now("volatility") > 0:
            self.hold(min(0.15 / self.now("volatility"), 1.0))


class Pyramid(Book):
    def next(self):
        close, units = self.now("Close"), self.position.size // 100
        if math.isnan(self.now("top")) or math.isnan(self.now("atr")):
            return
        if units == 0:
            if close > self.now("top"):
                self.buy(size=100)
        elif close < self.now("bottom"):
            self.position.close()
        elif units < 4 and close > self.trades[-1].entry_price + 0.5 * self.now("atr"):
            self.buy(size=100)


STRATEGIES = {
    "sma_cross": SmaCross, "bollinger": Bollinger, "atr_trail": AtrTrail, "opening_range": OpeningRange,
    "weekly_buy": WeeklyBuy, "grid": Grid, "rsi2": Rsi2, "volatility_target": VolatilityTarget, "pyramid": Pyramid,
}
