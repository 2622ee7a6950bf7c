"""Charts as SVG for a page: styled by its CSS, so light and dark and on paper; read aloud.

Colours are classes, `c0` to `c3`, that the page gives a meaning to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

_DOT = Markup(
    '<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>'
)
_DIAMOND = Markup(
    '<path class="dot {0}" d="M{1:.1f} {2:.1f}m-{3:.1f} 0l{3:.1f} -{3:.1f}l{3:.1f} {3:.1f}'
    'l-{3:.1f} {3:.1f}z"><title>{4}</title></path>'
)
_BAR = Markup('<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
_SIDE, _LEFT, _BOTTOM, _TOP, _RIGHT = 320, 58, 46, 14, 14


class Chart:
    """A plot of `x` against `y`, both from their first to their second number."""

    def __init__(
        self,
        title: str,
        description: str,
        x: tuple[str, float, float],
        y: tuple[str, float, float],
    ) -> None:
        self._head = (title, description)
        (self._x_name, *self._x), (self._y_name, *self._y) = x, y
        self._drawn: list[Markup] = []
        self._legend: list[tuple[str, str]] = []

    def line(self, xs: Iterable[float], ys: Iterable[float], colour: str, name: str = "") -> None:
        """A line through points; in the legend where it has a name."""
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in map(self._at, xs, ys))
        self._drawn.append(Markup('<polyline class="line {}" points="{}"/>').format(colour, points))
        self._name(name, f"line {colour}")

    def dots(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        colour: str,
        name: str = "",
        said: Sequence[str] = (),
        sizes: Sequence[float] = (),
    ) -> None:
        """A dot at each point, with a tooltip where something is said of it, of a radius."""
        texts, radii = said or [""] * len(xs), sizes or [4.0] * len(xs)
        for x, y, text, radius in zip(xs, ys, texts, radii, strict=True):
            a, b = self._at(x, y)
            shape = _DIAMOND if colour == "c2" else _DOT  # not told by its colour alone
            self._drawn.append(shape.format(colour, a, b, radius, text))
        self._name(name, f"dot {colour}")

    def texts(self, xs: Sequence[float], ys: Sequence[float], texts: Sequence[str]) -> None:
        """A text below each point, or above those at the bottom."""
        for x, y, text in zip(xs, ys, texts, strict=True):
            a, b = self._at(x, y)
            self._drawn.append(
                _text(a, b + 18 if b + 18 < _TOP + _SIDE else b - 10, "middle", text)
            )

    def bars(
        self, edges: Sequence[float], heights: Sequence[float], colour: str, name: str
    ) -> None:
        """A bar between each two edges."""
        floor = self._at(0, self._y[0])[1]
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            (a, b), c = self._at(left, height), self._at(right, 0)[0]
            self._drawn.append(_BAR.format(colour, a, b, max(c - a - 1, 0.5), floor - b))
        self._name(name, f"bar {colour}")

    def svg(self) -> Markup:
        """The chart with its legend, as an element of a page."""
        title, description = map(escape, self._head)
        width, height = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM
        legend = Markup("").join(
            Markup('<li><span class="key {}"></span>{}</li>').format(mark, name)
            for name, mark in self._legend
        )
        return Markup(
            '<figure class="chart"><figcaption>{title}</figcaption>'
            '<svg role="img" viewBox="0 0 {width} {height}" aria-label="{title}. {description}">'
            "{axes}{drawn}</svg><ul class=legend>{legend}</ul></figure>"
        ).format(
            title=title,
            description=description,
            width=width,
            height=height,
            axes=self._axes(),
            drawn=Markup("").join(self._drawn),
            legend=legend,
        )

    def _axes(self) -> Markup:
        parts = []
        for step in range(5):
            part = step / 4
            x, y = (low + part * (high - low) for low, high in (self._x, self._y))
            (a, _), (_, b) = self._at(x, self._y[0]), self._at(self._x[0], y)
            bottom, right = _TOP + _SIDE, _LEFT + _SIDE
            grid = Markup('<path class="grid" d="M{a:.1f} {top}V{bottom}M{left} {b:.1f}H{right}"/>')
            parts.append(grid.format(a=a, b=b, top=_TOP, bottom=bottom, left=_LEFT, right=right))
            parts.append(_text(a, bottom + 16, "middle", f"{x:g}"))
            parts.append(_text(_LEFT - 6, b + 4, "end", f"{y:g}"))
        parts.append(_text(_LEFT + _SIDE / 2, _TOP + _SIDE + 38, "middle", self._x_name))
        turned = Markup('<g transform="translate(12 {}) rotate(-90)">{}</g>')
        parts.append(turned.format(_TOP + _SIDE / 2, _text(0, 0, "middle", self._y_name)))
        return Markup("").join(parts)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self._x[0]) / (self._x[1] - self._x[0])
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        return _LEFT + _SIDE * across, _TOP + _SIDE * (1 - up)

    def _name(self, name: str, mark: str) -> None:
        if name:
            self._legend.append((name, mark))


def _text(x: float, y: float, anchor: str, text: str) -> Markup:
    element = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return element.format(x, y, anchor, text)
