"""Triples as a small drawn graph: mentions in columns from left to right, an arrow for each predicate."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from kerasbert.schema import Triple

_HEIGHT, _ROW, _MARGIN = 30, 62, 14
_WIDE, _NARROW = 14.0, 7.6  # pixels of a full-width and of a half-width character at 14 pixels
_LONGEST = 24  # half-width characters of a label
_MOST = 40  # mentions; more make no picture


class _Node(NamedTuple):
    x: float
    y: float
    width: float


def draw(triples: Sequence[Triple], palette: dict[str, str]) -> str:
    """An SVG of the triples; of very many, of the first ones.

    Args:
      triples: equal strings are one node.
      palette: colours of types.
    """
    kinds: dict[str, str] = {}
    arrows: dict[tuple[str, str], dict[str, None]] = {}
    for t in triples:
        if len(kinds.keys() | {t.subject, t.object}) > _MOST:
            break
        kinds.setdefault(t.subject, t.subject_type)
        kinds.setdefault(t.object, t.object_type)
        arrows.setdefault((t.subject, t.object), {})[t.predicate] = None
    if not kinds:
        return ""
    nodes, width, height = _placed(list(kinds), arrows)
    size = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}", "height": f"{height:.0f}"}
    svg = Element("svg", {**size, "role": "img", "font-size": "14", "font-family": "system-ui, sans-serif"})
    marker = SubElement(
        SubElement(svg, "defs"),
        "marker",
        {"id": "kb-tip", "viewBox": "0 0 10 10", "refX": "9", "refY": "5", "markerWidth": "7", "markerHeight": "7"}
        | {"orient": "auto-start-reverse"},
    )
    SubElement(marker, "path", {"d": "M0 0L10 5L0 10z", "fill": "#667"})
    labels = [_arrow(svg, nodes[subject], nodes[object_]) for subject, object_ in arrows]
    for name, node in nodes.items():
        box = {"x": node.x, "y": node.y - _HEIGHT / 2, "width": node.width, "height": float(_HEIGHT), "rx": 7.0}
        fill = {"fill": palette.get(kinds[name], "#eee"), "stroke": "#667"}
        drawn = SubElement(svg, "rect", {key: f"{value:.1f}" for key, value in box.items()} | fill)
        SubElement(drawn, "title").text = _printable(f"{name} {kinds[name]}".strip())
        _text(svg, node.x + node.width / 2, node.y + 5, _short(name), {"fill": "#111", "font-size": "14"})
    for (x, y), predicates in zip(labels, arrows.values(), strict=True):
        label = ", ".join(map(_short, predicates))
        wide = _width(label) * 12 / 14 + 6
        ground = {"x": f"{x - wide / 2:.1f}", "y": f"{y - 9:.1f}", "width": f"{wide:.1f}", "height": "18"}
        SubElement(svg, "rect", ground | {"fill": "#fff"})
        _text(svg, x, y + 4, label, {"fill": "#334", "font-size": "12"})
    return f'<div class="kb kb-graph kb-scroll">{ElementTree.tostring(svg, encoding="unicode")}</div>'


def _placed(names: list[str], arrows: dict[tuple[str, str], dict[str, None]]) -> tuple[dict[str, _Node], float, float]:
    """Where each mention stands, and the size of the picture."""
    column = _columns(names, arrows)
    columns = [[name for name in names if column[name] == c] for c in range(max(column.values()) + 1)]
    height = max(map(len, columns)) * _ROW + 2 * _MARGIN
    nodes: dict[str, _Node] = {}
    x = float(_MARGIN)
    for c, members in enumerate(columns):
        wide = max(_width(_short(name)) + 20 for name in members)
        step = (height - 2 * _MARGIN) / len(members)
        for row, name in enumerate(members):
            own = _width(_short(name)) + 20
            nodes[name] = _Node(x + (wide - own) / 2, _MARGIN + step * (row + 0.5), own)
        leaving = [p for (s, _), p in arrows.items() if column[s] == c]
        # Room for the longest label between two columns, and for a bow behind the last one.
        x += wide + max((_width(", ".join(map(_short, p))) * 12 / 14 for p in leaving), default=0.0) + 70
    return nodes, x + _MARGIN, float(height)


def _columns(names: list[str], arrows: dict[tuple[str, str], dict[str, None]]) -> dict[str, int]:
    """The column of each mention: behind those that point to it, as far as there is no circle."""
    objects: dict[str, list[str]] = {name: [] for name in names}
    for subject, object_ in arrows:
        objects[subject].append(object_)
    targets = {object_ for _, object_ in arrows}
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        seen.add(name)
        for object_ in reversed(objects[name]):
            if object_ not in seen:
                visit(object_)
        order.insert(0, name)

    for name in sorted(names, key=targets.__contains__):
        if name not in seen:
            visit(name)
    column = dict.fromkeys(names, 0)
    place = {name: n for n, name in enumerate(order)}
    for name in order:
        for object_ in objects[name]:
            # An arrow back closes a circle.
            if place[object_] > place[name]:
                column[object_] = max(column[object_], column[name] + 1)
    return column


def _arrow(svg: Element, start: _Node, end: _Node) -> tuple[float, float]:
    """Draws an arrow and says where its label goes: straight on to the right, in a bow otherwise."""
    x0, y0 = start.x + start.width, start.y
    if end.x >= x0:
        x1, y1, bend = end.x - 2, end.y, (end.x - x0) / 2
        path = f"M{x0:.1f} {y0:.1f}C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        label = ((x0 + x1) / 2, (y0 + y1) / 2)
    else:
        y0, x1, y1 = y0 - 6, end.x + end.width + 2, end.y + 6
        far = max(x0, x1) + 56
        path = f"M{x0:.1f} {y0:.1f}C{far:.1f} {y0:.1f} {far:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        label = ((x0 + x1) / 8 + far * 0.75, (y0 + y1) / 2)
    SubElement(
        svg, "path", {"d": path, "fill": "none", "stroke": "#667", "stroke-width": "1.4", "marker-end": "url(#kb-tip)"}
    )
    return label


def _text(svg: Element, x: float, y: float, text: str, style: dict[str, str]) -> None:
    SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": "middle"} | style).text = text


def _cells(text: str) -> int:
    """Half-width characters that a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _width(text: str) -> float:
    return sum(_WIDE if unicodedata.east_asian_width(c) in "WF" else _NARROW for c in text)


def _printable(text: str) -> str:
    # A control character would make the picture ill-formed XML.
    return "".join(c if c.isprintable() else " " for c in text)


def _short(text: str) -> str:
    text = _printable(text)
    if _cells(text) <= _LONGEST:
        return text
    while _cells(text) > _LONGEST - 1:
        text = text[:-1]
    return text + "…"
