"""Plots as SVG text: bars, ranges, tornadoes, stacked areas and lines, for pages that load nothing.

A chart is drawn on a grid 720 wide and scales with the page. Colours are classes (`k0` to `k7`, of lines `s0` to `s2`), which
the page's style sheet has for light and dark. Each chart carries a sentence for who does not see it, and its figures as a table.
What is drawn here has been worked out elsewhere.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from freehold.cli.plan_words import figure, three_digits, tornado_rows
from freehold.plan.uncertainty import Simulation

WIDTH = 720
_LABEL, _RIGHT, _TOP, _ROW, _FOOT = 190, 70, 8, 30, 34  # of charts with a row for each bar
_LEFT_AXIS, _PLOT_HEIGHT = 56, 220  # of charts over time
_MOST_TICKS = 9
_MOST_PERCENT = 250.0  # of a range chart: one result that may be tenfold must not hide the others
_TEXT_WIDTH = 6.6  # of a letter at the page's 12 pixels, on average


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`svg` is markup, everything else is text. `header` and `rows` say the same in figures."""

    title: str
    svg: str
    summary: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[tuple[str, str], ...] = ()  # class of a colour, and what it stands for


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A result that is a range."""

    name: str
    p10: float
    p50: float
    p90: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """`colour` is a class: "k0" to "k7" of an area, "s0" to "s2" of a line."""

    name: str
    values: Sequence[float]
    colour: str


def tornado_chart(title: str, one: Simulation, unit: str) -> Chart:
    """A bar for each input, from the result at its P10 to that at its P90; the line is where all are in their middles."""
    ends = [(bar.at_p10, bar.at_p90) for bar in one.bars]
    axis = _axis([one.at_medians, *(end for pair in ends for end in pair)], _LABEL, WIDTH - _RIGHT)
    parts = []
    for at, bar in enumerate(one.bars):
        low, high = sorted((bar.at_p10, bar.at_p90))
        y = _TOP + at * _ROW
        middle = min(max(one.at_medians, low), high)
        parts += [
            _text(_LABEL - 10, y + 19, _short(bar.name), "end"),
            _box(axis.at(low), y + 6, axis.at(middle) - axis.at(low), 18, "k1"),
            _box(axis.at(middle), y + 6, axis.at(high) - axis.at(middle), 18, "k0"),
        ]
    height = _TOP + len(one.bars) * _ROW
    parts += [_rule(axis.at(one.at_medians), _TOP, axis.at(one.at_medians), height), *axis.ticks(height, unit)]
    header, rows = tornado_rows(one, unit)
    first = f"; {one.bars[0].name} moves it most" if one.bars else ""
    return Chart(
        title=title,
        svg=_svg(height + _FOOT, parts),
        summary=f"{figure(three_digits(one.at_medians), unit)} with every input in its middle{first}.",
        header=header,
        rows=rows,
    )


def range_chart(title: str, spans: Sequence[Span]) -> Chart:
    """P10 to P90 of results in different units, as percents of their middles, cut off where the page ends."""
    above = [one for one in spans if one.p50 > 0]
    ends = [min(end / one.p50 * 100, _MOST_PERCENT) for one in above for end in (one.p10, one.p90)]
    axis = _axis([100.0, *ends], _LABEL, WIDTH - _RIGHT - 80)
    parts = []
    for at, one in enumerate(above):
        y = _TOP + at * _ROW
        low, high = (axis.at(min(end / one.p50 * 100, axis.high)) for end in (one.p10, one.p90))
        parts += [
            _text(_LABEL - 10, y + 19, _short(one.name), "end"),
            _box(low, y + 9, high - low, 12, "k1"),
            _text(WIDTH - 4, y + 19, figure(three_digits(one.p50), one.unit), "end"),
        ]
    height = _TOP + len(above) * _ROW
    parts += [_rule(axis.at(100), _TOP, axis.at(100), height), *axis.ticks(height, "% of the middle")]
    rows = tuple((one.name, *(figure(three_digits(end), one.unit) for end in (one.p10, one.p50, one.p90))) for one in spans)
    return Chart(
        title=title,
        svg=_svg(height + _FOOT, parts),
        summary="; ".join(f"{row[0]} {row[2]}, eight in ten between {row[1]} and {row[3]}" for row in rows) + ".",
        header=("result", "P10", "P50", "P90"),
        rows=rows,
    )


def bar_chart(title: str, bars: Sequence[tuple[str, float]], unit: str) -> Chart:
    axis = _axis([0.0, *(value for _, value in bars)], _LABEL, WIDTH - _RIGHT - 40)
    parts = []
    for at, (name, value) in enumerate(bars):
        y = _TOP + at * _ROW
        low, high = sorted((axis.at(0.0), axis.at(value)))
        parts += [
            _text(_LABEL - 10, y + 19, _short(name), "end"),
            _box(low, y + 6, high - low, 18, "k0"),
            _text(high + 6, y + 19, figure(three_digits(value)), "start"),
        ]
    height = _TOP + len(bars) * _ROW
    rows = tuple((name, figure(three_digits(value), unit)) for name, value in bars)
    return Chart(
        title=title,
        svg=_svg(height + _FOOT, [*parts, *axis.ticks(height, unit)]),
        summary="; ".join(f"{name} {value}" for name, value in rows) + ".",
        header=("", unit),
        rows=rows,
    )


def time_chart(
    title: str, times: Sequence[str], layers: Sequence[Layer], lines: Sequence[Layer], unit: str, summary: str
) -> Chart:
    """Layers one on the other, each value a step wide, and lines over them.

    `times` name the steps, day and hour with a space between; the first of a day may have a tick.
    """
    count = len(times)
    tops, stacked = [0.0] * count, []
    for layer in layers:
        bottoms, tops = tops, [below + max(0.0, value) for below, value in zip(tops, layer.values, strict=True)]
        stacked.append((layer, bottoms, tops))
    most = max([*tops, *(value for line in lines for value in line.values), 1e-9])
    axis = _axis([0.0, most], _TOP + _PLOT_HEIGHT, _TOP)
    across = (WIDTH - _LEFT_AXIS - 10) / count
    parts = list(axis.rows(_LEFT_AXIS, WIDTH - 10))
    for layer, bottoms, ends in stacked:
        if any(end > bottom for bottom, end in zip(bottoms, ends, strict=True)):
            there = [*_stairs(ends, axis, across)]
            back = [*_stairs(bottoms, axis, across)][::-1]
            parts.append(f'<path class="{layer.colour} area" d="{_path([*there, *back])}Z"/>')
    parts += [f'<path class="{line.colour} line" d="{_path(_stairs(line.values, axis, across))}"/>' for line in lines]
    days = [at for at, when in enumerate(times) if at == 0 or when.split(" ")[0] != times[at - 1].split(" ")[0]]
    base = _TOP + _PLOT_HEIGHT
    for at in days[:: math.ceil(len(days) / _MOST_TICKS)]:
        x = _LEFT_AXIS + at * across
        parts += [_rule(x, base, x, base + 5), _text(x + 3, base + 17, times[at].split(" ")[0], "start")]
    drawn = [*layers, *lines]
    return Chart(
        title=f"{title}, {unit}",
        svg=_svg(base + 26, parts),
        summary=summary,
        header=("time", *(f"{one.name}, {unit}" for one in drawn)),
        rows=tuple((when, *(figure(three_digits(one.values[at])) for one in drawn)) for at, when in enumerate(times)),
        keys=tuple((one.colour, one.name) for one in drawn if any(value > 0 for value in one.values)),
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """From figures to places. The ends are round figures."""

    low: float
    high: float
    step: float
    first: float
    last: float

    def at(self, value: float) -> float:
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)

    def marks(self) -> Iterable[float]:
        return (self.low + at * self.step for at in range(round((self.high - self.low) / self.step) + 1))

    def ticks(self, y: float, unit: str) -> Iterable[str]:
        """Below, with the unit under them."""
        for value in self.marks():
            yield _text(self.at(value), y + 15, figure(value, "") if value else "0", "middle")
            yield _rule(self.at(value), y, self.at(value), y + 4)
        yield _text((self.first + self.last) / 2, y + 29, unit, "middle")

    def rows(self, left: float, right: float) -> Iterable[str]:
        """To the left, with lines across."""
        for value in self.marks():
            yield _rule(left, self.at(value), right, self.at(value), "grid")
            yield _text(left - 6, self.at(value) + 4, figure(value) if value else "0", "end")


def _axis(values: Sequence[float], first: float, last: float) -> _Axis:
    low, high = min(values), max(values)
    wide = max(high - low, max(abs(low), abs(high)) * 1e-6, 1e-12)  # narrower, and figures are all the same on paper
    power = 10.0 ** math.floor(math.log10(wide / 4))
    step = next(times * power for times in (1, 2, 2.5, 5, 10) if wide / (times * power) <= 5)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return _Axis(low, high if high > low else low + step, step, first, last)


def _stairs(values: Sequence[float], axis: _Axis, across: float) -> Iterable[tuple[float, float]]:
    for at, value in enumerate(values):
        y = axis.at(max(0.0, value))
        yield _LEFT_AXIS + at * across, y
        yield _LEFT_AXIS + (at + 1) * across, y


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _svg(height: float, parts: Iterable[str]) -> str:
    """Hidden from screen readers: the page says the summary in its place."""
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" aria-hidden="true" focusable="false">{"".join(parts)}</svg>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect class="{colour}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height}"/>'


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str = "rule") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(words: str) -> str:
    most = int((_LABEL - 10) / _TEXT_WIDTH)
    return words if len(words) <= most else words[: most - 1] + "…"
