"""Charts: well-formed, each point at its place, and text as text."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from cxrdiag.evaluation.svg import Chart


def _svg(chart: Chart) -> ElementTree.Element:
    text = str(chart.svg()).replace("class=legend", 'class="legend"')
    return ElementTree.fromstring(text)


def test_points_are_where_the_axes_say() -> None:
    chart = Chart("title", "what is seen", ("x", 10, 20), ("y", 0, 4))
    chart.line([10, 15, 20], [0, 4, 2], "c0", "a line")
    chart.dots([15], [1], "c1", "a dot", ["<here> & there"], [7.5])
    chart.bars([10, 15, 20], [4, 0], "c2", "bars")
    svg = _svg(chart)
    line = svg.find(".//polyline")
    assert line is not None
    points = [[float(v) for v in pair.split(",")] for pair in line.attrib["points"].split()]
    left, right = points[0][0], points[2][0]
    bottom, top = points[0][1], points[1][1]
    assert points[1][0] == pytest.approx((left + right) / 2)
    assert points[2][1] == pytest.approx((bottom + top) / 2)
    assert right > left
    assert top < bottom
    dot = svg.find(".//circle")
    assert dot is not None
    assert float(dot.attrib["cx"]) == pytest.approx((left + right) / 2)
    assert float(dot.attrib["cy"]) == pytest.approx(bottom + (top - bottom) / 4)
    assert dot.attrib["r"] == "7.5"
    assert dot.findtext("title") == "<here> & there"
    first, second = svg.findall(".//rect")
    assert float(first.attrib["height"]) == pytest.approx(bottom - top)
    assert float(second.attrib["height"]) == 0
    assert [item.findtext(".") or item[0].tail for item in svg.findall(".//li")] == [
        "a line",
        "a dot",
        "bars",
    ]


def test_it_is_named_and_labelled() -> None:
    svg = _svg(Chart("a < b", 'say "c"', ("across", 0, 1), ("up", 0, 100)))
    image = svg.find("svg")
    assert image is not None
    assert image.attrib["role"] == "img"
    assert image.attrib["aria-label"] == 'a < b. say "c"'
    texts = [element.text for element in svg.iter("text")]
    assert {"across", "up", "0.25", "75"} <= set(texts)
