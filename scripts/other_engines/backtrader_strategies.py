"""The example strategies as a user of backtrader writes them; their indicators are columns of the data."""

import math

import backtrader as bt
import pandas as pd

FIELDS = ["open", "high", "low", "close", "volume"]


def run(name, frames, cash, leverage):
    """Fills as (time, symbol, shares, price), the final equity, and how many orders the broker refused."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.set_cash(cash)
    cerebro.broker.set_coc(False)
    cerebro.broker.setcommission(commission=0, leverage=leverage)
    for symbol, frame in frames.items():
        cerebro.adddata(feed(frame), name=symbol)
    cerebro.addstrategy(STRATEGIES[name])
    strategy = cerebro.run()[0]
    return strategy.fills, cerebro.broker.getvalue(), strategy.refused


def feed(frame):
    more = tuple(column for column in frame.columns if column not in FIELDS)
    kind = type("Bars", (bt.feeds.PandasData,), {"lines": more, "params": tuple((name, -1) for name in more)})
    return kind(dataname=frame)


def whole(shares):
    return math.floor(shares + 1e-9)  # A product that is a hair below a whole number is that number.


class Book(bt.Strategy):
    """Sizes as `bot` documents them: so much of the equity at the close, as far as cash goes that no order has yet."""

    def __init__(self):
        self.fills, self.refused = [], 0
        self.start()

    def start(self):
        pass

    def next(self):
        self.free = self.broker.getcash()
        self.on_bars()

    def shares(self, data):
        return self.getposition(data).size

    def at(self, data):
        return data.datetime.datetime(0).replace(microsecond=0)

    def missing(self, data, weight):
        size = whole(abs(weight) * self.broker.getvalue() / data.close[0])
        return int(math.copysign(size, weight)) - self.shares(data)

    def hold(self, data, weight):
        missing = self.missing(data, weight)
        if missing > 0:
            missing = min(missing, whole(self.free / data.close[0]))
            self.free -= missing * data.close[0]
        return self.trade(data, missing)

    def trade(self, data, shares):
        if shares > 0:
            return self.buy(data=data, size=shares)
        return self.sell(data=data, size=-shares) if shares < 0 else None

    def notify_order(self, order):
        if order.status == order.Completed:
            at = pd.Timestamp(bt.num2date(order.executed.dt)).round("s")
            self.fills.append((at, order.data._name, order.executed.size, order.executed.price))
        elif order.status in (order.Margin, order.Rejected, order.Canceled):
            self.refused += 1
        if not order.alive():
            self.on_end(order)

    def on_end(self, order):
        pass


class SmaCross(Book):
    def on_bars(self):
        for data in self.datas:
            if data.fast[0] > data.slow[0] and self.shares(data) == 0:
                self.hold(data, 1)
            elif data.fast[0] < data.slow[0] and self.shares(data) > 0:
                self.close(data)


class Bollinger(Book):
    def on_bars(self):
        for data in self.datas:
            if data.close[0] < data.lower[0] and self.shares(data) == 0:
                self.hold(data, 1 / len(self.datas))
            elif data.close[0] >= data.middle[0] and self.shares(data) > 0:
                self.close(data)


class AtrTrail(Book):
    def start(self):
        self.stops = {}

    def on_bars(self):
        for data in self.datas:
            if math.isnan(data.top[0]) or math.isnan(data.atr[0]):
                continue
            stop = data.close[0] - 3.0 * data.atr[0]
            if self.shares(data) > 0:
                self.stops[data] = max(self.stops[data], stop)
                if data.close[0] < self.stops[data]:
                    self.close(data)
            elif data.close[0] > data.top[0]:
                self.hold(data, 1 / len(self.datas))
                self.stops[data] = stop


class OpeningRange(Book):
    def start(self):
        self.ranges = {}

    def on_bars(self):
        at = self.at(self.data)
        minutes = at.hour * 60 + at.minute + 5 - 570  # From the open to the end of this bar.
        if minutes == 5:
            self.ranges = {}
        if minutes >= 385:
            for data in self.datas:
                if minutes == 385 and self.shares(data):
                    self.close(data)
            return
        for data in self.datas:
            if minutes <= 30:
                high, low = self.ranges.get(data, (data.high[0], data.low[0]))
                self.ranges[data] = (max(high, data.high[0]), min(low, data.low[0]))
            elif data in self.ranges:
                high, low = self.ranges[data]
                if low <= data.close[0] <= high:
                    continue
                self.hold(data, (1 if data.close[0] > high else -1) / len(self.datas))
                del self.ranges[data]


class Momentum(Book):
    def start(self):
        self.waits, self.then = set(), []

    def on_bars(self):
        if not self.data.ends_month[0]:
            return
        rising = sorted((data for data in self.datas if data.momentum[0] > 0), key=lambda data: -data.momentum[0])
        weights = {data: 0 for data in self.datas if self.shares(data)}
        weights |= {data: 1 / 3 for data in rising[:3]}
        equity = self.broker.getvalue()
        weights = sorted(weights.items(), key=lambda pair: pair[0]._name)
        sells = [(data, part) for data, part in weights if part * equity < self.shares(data) * data.close[0]]
        orders = [self.hold(data, weight) for data, weight in sells]
        self.waits = {order.ref for order in orders if order}
        self.then = [pair for pair in weights if pair not in sells]
        self.buy_what_waits()

    def on_end(self, order):
        if order.ref in self.waits:  # What is bought needs the money of what is sold.
            self.waits.remove(order.ref)
            self.free = self.broker.getcash()
            self.buy_what_waits()

    def buy_what_waits(self):
        if not self.waits:
            for data, weight in self.then:
                self.hold(data, weight)
            self.then = []


class Pairs(Book):
    def on_bars(self):
        first, second = self.datas
        z, is_flat = first.z[0], not self.shares(first) and not self.shares(second)
        if math.isnan(z):
            return
        if is_flat and abs(z) > 2.0:
            weight = -0.45 if z > 0 else 0.45
            self.hold(first, weight)
            self.hold(second, -weight)
        elif abs(z) < 0.5 or not self.shares(first) or not self.shares(second):
            for data in self.datas:
                if self.shares(data):
                    self.close(data)


class WeeklyBuy(Book):
    def on_bars(self):
        if self.data.ends_week[0]:
            for data in self.datas:
                self.trade(data, whole(500 / data.close[0]))


class Grid(Book):
    def start(self):
        self.anchor = None

    def on_bars(self):
        data, close = self.data, self.data.close[0]
        self.anchor = self.anchor or close
        step, held = self.anchor * 1.0 / 100, self.shares(data) // 100
        line = self.anchor - step * held
        if close <= line - step and held < 8:
            self.buy(data, size=100)
        elif close >= line + step and held > 0:
            self.sell(data, size=100)


class Rsi2(Book):
    def on_bars(self):
        for data in self.datas:
            if self.shares(data) > 0 and data.close[0] > data.exit[0]:
                self.close(data)
            elif not self.shares(data) and data.close[0] > data.trend[0] and data.rsi[0] < 10:
                self.hold(data, 1 / len(self.datas))


class VolatilityTarget(Book):
    def on_bars(self):
        for data in self.datas:
            if data.volatility[0] > 0:
                self.hold(data, min(0.15 / data.volatility[0], 1.0) / len(self.datas))


class Pyramid(Book):
    def start(self):
        self.paid = {}

    def on_end(self, order):
        self.paid[order.data] = order.executed.price

    def on_bars(self):
        for data in self.datas:
            close, units = data.close[0], self.shares(data) // 100
            if math.isnan(data.top[0]) or math.isnan(data.atr[0]):
                continue
            if units == 0:
                if close > data.top[0]:
                    self.buy(data, size=100)
            elif close < data.bottom[0]:
                self.close(data)
            elif units < 4 and close > self.paid[data] + 0.5 * data.atr[0]:
                self.buy(data, size=100)


STRATEGIES = {
    "sma_cross": SmaCross, "bollinger": Bollinger, "atr_trail": AtrTrail, "opening_range": OpeningRange,
    "momentum": Momentum, "pairs": Pairs, "weekly_buy": WeeklyBuy, "grid": Grid, "rsi2": Rsi2,
    "volatility_target": VolatilityTarget, "pyramid": Pyramid,
}
