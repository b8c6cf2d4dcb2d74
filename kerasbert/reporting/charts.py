"""Charts as SVG, without a plotting library: the page stays one small file and needs no font of its own.

They are built as XML trees, so that every text in them is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

_WIDTH, _HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 42
_COLOURS = ("#2563a8", "#c2521b", "#2f7d4f", "#7a4aa3", "#8a6d1d", "#b0306a")


def bars(values: Mapping[str, float], title: str) -> str:
    """A bar for each name, from 0 to the largest value.

    Args:
      values: at least one.
      title: what the numbers are, for readers who hear the page.
    """
    svg, low, high = _frame(title, 0.0, max(max(values.values()), 1e-9))
    step = (_WIDTH - _LEFT - _RIGHT) / len(values)
    every = -(-len(values) // 12)
    for n, (name, value) in enumerate(values.items()):
        x, y = _LEFT + n * step, _y(value, low, high)
        bar = _add(
            svg, "rect", x=x + step * 0.1, y=y, width=step * 0.8, height=_y(low, low, high) - y, fill=_COLOURS[0]
        )
        SubElement(bar, "title").text = f"{name}: {value:g}"
        if n % every == 0:
            _text(svg, x + step / 2, _HEIGHT - _BOTTOM + 16, name, "middle")
    return _done(svg)


def rows(values: Mapping[str, float], title: str) -> str:
    """A line with a horizontal bar for each name, from 0 to the largest value: for many names, every one readable.

    Args:
      values: none or more.
      title: what the numbers are, for readers who hear the page.
    """
    left, height = 120, 17
    view = f"0 0 {_WIDTH} {height * len(values) + 4}"
    svg = Element("svg", {"viewBox": view, "role": "img", "aria-label": title})
    most = max(values.values(), default=0) or 1
    for n, (name, value) in enumerate(values.items()):
        y, width = n * height + 2, (_WIDTH - left - 50) * value / most
        _text(svg, left - 6, y + 11, name, "end")
        _add(svg, "rect", x=left, y=y, width=width, height=height - 4, fill=_COLOURS[0])
        _text(svg, left + width + 4, y + 11, _number(value), "start")
    return _done(svg)


def reliability(confidence: Sequence[float], right: Sequence[float], number: Sequence[int], title: str) -> str:
    """Share of right triples against their mean confidence, a dot a bin, its size that of the bin; the diagonal is
    perfect calibration."""
    svg, low, high = _frame(title, 0.0, 1.0)
    for tick in range(0, 11, 2):
        _text(svg, _x(tick / 10, 0, 1), _HEIGHT - _BOTTOM + 16, f"{tick / 10:g}", "middle")
    _text(svg, _x(0.5, 0, 1), _HEIGHT - 6, "confidence", "middle")
    ends: dict[str, str | float] = {
        "x1": _x(0, 0, 1),
        "y1": _y(0, low, high),
        "x2": _x(1, 0, 1),
        "y2": _y(1, low, high),
    }
    _add(svg, "line", **ends, stroke="#999", **{"stroke-dasharray": "4 4"})
    most = max(number, default=1)
    for sure, share, n in zip(confidence, right, number, strict=True):
        radius = 3 + 9 * (n / most) ** 0.5
        dot = _add(
            svg, "circle", cx=_x(sure, 0, 1), cy=_y(share, low, high), r=radius, fill=_COLOURS[0], opacity="0.75"
        )
        SubElement(dot, "title").text = f"{n} triples, confidence {sure:.2f}, right {share:.2f}"
    return _done(svg)


def curves(series: Mapping[str, Sequence[tuple[float, float]]], title: str) -> str:
    """A line for each name through its (x, y) points.

    Args:
      series: at least one point in all.
      title: what the numbers are.
    """
    points = [point for line in series.values() for point in line]
    svg, low, high = _frame(title, min(0.0, *(y for _, y in points)), max(y for _, y in points))
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    for x in sorted({first, (first + last) / 2, last}):
        _text(svg, _x(x, first, last), _HEIGHT - _BOTTOM + 16, f"{x:g}", "middle")
    for n, (name, line) in enumerate(series.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        path = " ".join(f"{_x(x, first, last):.1f},{_y(y, low, high):.1f}" for x, y in line)
        drawn = _add(svg, "polyline", points=path, fill="none", stroke=colour, **{"stroke-width": "2"})
        SubElement(drawn, "title").text = name
        if len(line) == 1:
            _add(svg, "circle", cx=_x(line[0][0], first, last), cy=_y(line[0][1], low, high), r=3, fill=colour)
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * (n % 3) / 3
        _text(svg, x, _HEIGHT - 6 - 12 * (n // 3 == 0 and len(series) > 3), name, "start", colour)
    return _done(svg)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _frame(title: str, low: float, high: float) -> tuple[Element, float, float]:
    """An empty chart with its scale."""
    svg = Element("svg", {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "aria-label": title})
    # Quarters of a round number read better than those of the largest value.
    size = 10.0 ** math.floor(math.log10(max(high - low, 1e-9)))
    high = low + size * next(n for n in (1, 2, 4, 6, 8, 10) if n * size >= (high - low) * (1 - 1e-9))
    for n in range(5):
        value = low + (high - low) * n / 4
        y = _y(value, low, high)
        _add(svg, "line", x1=_LEFT, y1=y, x2=_WIDTH - _RIGHT, y2=y, stroke="#ddd")
        _text(svg, _LEFT - 6, y + 4, _number(value), "end")
    return svg, low, high


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ((value - low) / (high - low) if high > low else 0.5)


def _y(value: float, low: float, high: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)


def _add(parent: Element, name: str, **values: str | float) -> Element:
    made = {key: value if isinstance(value, str) else f"{value:.1f}" for key, value in values.items()}
    return SubElement(parent, name, made)


def _text(svg: Element, x: float, y: float, text: str, anchor: str, colour: str = "#555") -> None:
    _add(svg, "text", x=x, y=y, fill=colour, **{"text-anchor": anchor, "font-size": "11"}).text = text


def _done(svg: Element) -> str:
    return ElementTree.tostring(svg, encoding="unicode")
