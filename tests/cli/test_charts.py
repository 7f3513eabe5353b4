"""Plots: well-formed, within their frame, every word escaped, and the same figures as text."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.cli.charts import WIDTH, Chart, Layer, Span, bar_chart, range_chart, time_chart, tornado_chart
from freehold.plan.uncertainty import Bar, Simulation

few = settings(max_examples=30)
FIGURES = st.floats(-1e12, 1e12)
SIZES = st.floats(0, 1e12)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("<>&'\""), min_size=1, max_size=60)


def drawn(chart: Chart) -> ElementTree.Element:
    """Parsed; everything lies in the frame."""
    root = ElementTree.fromstring(chart.svg)
    width, height = (float(one) for one in root.attrib["viewBox"].split()[2:])
    assert width == WIDTH
    for box in root.iter("rect"):
        x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert -0.1 <= x <= x + w <= width + 1
        assert -0.1 <= y <= y + h <= height + 0.1
    for path in root.iter("path"):
        points = [float(one) for one in re.findall(r"-?[\d.]+", path.attrib["d"])]
        assert all(-0.1 <= x <= width + 0.1 for x in points[::2])
        assert all(-0.1 <= y <= height + 0.1 for y in points[1::2])
    assert "nan" not in chart.svg
    assert chart.summary
    return root


@few
@given(st.lists(st.tuples(NAMES, SIZES), min_size=1, max_size=6), NAMES)
def test_bars(bars: list[tuple[str, float]], unit: str) -> None:
    chart = bar_chart("bars", bars, unit)
    assert len(list(drawn(chart).iter("rect"))) == len(bars)
    assert [row[0] for row in chart.rows] == [name for name, _ in bars]


@few
@given(st.lists(st.tuples(NAMES, FIGURES, FIGURES), min_size=1, max_size=6), FIGURES)
def test_tornadoes(bars: list[tuple[str, float, float]], middle: float) -> None:
    one = Simulation(
        p10=middle,
        p50=middle,
        p90=middle,
        at_medians=middle,
        bars=tuple(Bar(name=name, at_p10=low, at_p90=high, rank=0.5) for name, low, high in bars),
    )
    assert len(list(drawn(tornado_chart("moves", one, "USD")).iter("rect"))) == 2 * len(bars)


@few
@given(st.lists(st.tuples(NAMES, st.floats(1e-6, 1e12), st.floats(1, 3)), min_size=1, max_size=6))
def test_ranges(spans: list[tuple[str, float, float]]) -> None:
    chart = range_chart("ranges", [Span(name=name, p10=mid / wide, p50=mid, p90=mid * wide) for name, mid, wide in spans])
    assert len(list(drawn(chart).iter("rect"))) == len(spans)


@few
@given(st.integers(1, 60), st.data())
def test_layers_stand_on_each_other(count: int, data: st.DataObject) -> None:
    values = st.lists(SIZES, min_size=count, max_size=count)
    layers = [Layer(name=f"layer {at}", values=data.draw(values), colour=f"k{at}") for at in range(3)]
    line = Layer(name="load", values=data.draw(values), colour="s0")
    times = [f"{at // 8} Jan {at % 8}:00" for at in range(count)]
    chart = time_chart("week", times, layers, [line], "MW", "A week.")
    drawn(chart)
    assert len(chart.rows) == count
    assert {name for _, name in chart.keys} == {one.name for one in [*layers, line] if max(one.values) > 0}


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-12, 1e300])
def test_axes_of_odd_figures(value: float) -> None:
    drawn(bar_chart("odd", [("one", value)], ""))
    assert not math.isnan(value)


def test_words_are_text_and_not_markup() -> None:
    chart = bar_chart("<b>", [("<script>alert(1)</script>", 1.0)], '"&')
    assert "<script" not in chart.svg
    drawn(chart)
