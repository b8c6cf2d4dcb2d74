"""Plots of a search as SVG, without any library."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerasbert.tuning.results import TrialResult
from kerasbert.tuning.space import Range, Space

_HEIGHT, _GAP, _TOP, _LEFT = 300, 130, 46, 70


def positions(space: Space, key: str, values: Sequence[Any]) -> list[float]:
    """Where values of a setting stand on its axis, between 0 and 1.

    Ranges are spread evenly, by logarithm if they are searched so; choices stand at equal distances in order.
    """
    dimension = space.get(key)
    if isinstance(dimension, Range):
        scale = math.log if dimension.log else float
        low, high = scale(dimension.low), scale(dimension.high)
        return [min(1.0, max(0.0, (scale(value) - low) / (high - low))) for value in values]
    places = {value: n for n, value in enumerate(_choices(space, key, values))}
    return [places[str(value)] / max(1, len(places) - 1) for value in values]


def parallel_plot(space: Space, keys: Sequence[str], scored: Sequence[TrialResult]) -> str:
    """Parallel coordinates: an axis for each setting and one for the score, a line for each trial.

    Args:
      space: what was searched over.
      keys: the settings with an axis.
      scored: trials with a score, at least one, the best first.
    """
    scores = [float(result.score or 0.0) for result in scored]
    low, high = min(scores), max(scores)
    heights = [(score - low) / (high - low) if high > low else 1.0 for score in scores]
    columns = [positions(space, key, [result.settings.get(key) for result in scored]) for key in keys] + [heights]
    parts = []
    # The best trial is drawn last, on top.
    for n in reversed(range(len(scored))):
        points = " ".join(f"{_x(i):.1f},{_y(column[n]):.1f}" for i, column in enumerate(columns))
        settings = ", ".join(f"{key}={value}" for key, value in scored[n].settings.items())
        colour = "#c22" if not n else f"hsl(215 {20 + 50 * heights[n]:.0f}% {85 - 50 * heights[n]:.0f}%)"
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{1.5 if n else 3}">'
            f"<title>{html.escape(f'trial {scored[n].trial}: {scores[n]:.4f}; {settings}')}</title></polyline>"
        )
    for i, key in enumerate([*keys, "score"]):
        ticks = (
            [(0.0, f"{low:.4f}"), (1.0, f"{high:.4f}")]
            if key == "score"
            else _ticks(space, key, [result.settings.get(key) for result in scored])
        )
        parts.append(f'<line x1="{_x(i)}" x2="{_x(i)}" y1="{_y(0)}" y2="{_y(1)}" stroke="#444"/>')
        parts.append(_text(_x(i), 20, key, "middle", 'font-weight="bold"'))
        parts += [_text(_x(i) + 5, _y(place) + 4, label, "start") for place, label in ticks]
    width = _x(len(keys)) + _LEFT
    return _svg(width, _HEIGHT + 2 * _TOP, parts)


def importance_plot(shares: Mapping[str, float]) -> str:
    """A bar for each setting, the longest for the largest share."""
    highest = max(shares.values())
    parts = []
    for n, (key, share) in enumerate(shares.items()):
        y = 10 + 26 * n
        parts.append(_text(190, y + 14, key, "end"))
        parts.append(f'<rect x="200" y="{y}" width="{400 * share / highest:.1f}" height="18" fill="#47a"/>')
        parts.append(_text(208 + 400 * share / highest, y + 14, f"{share:.0%}", "start"))
    return _svg(680, 26 * len(shares) + 20, parts)


def _choices(space: Space, key: str, values: Sequence[Any]) -> list[str]:
    """The choices of an axis in order; of a setting that is not in the space those that occur, the smallest first."""
    dimension = space.get(key)
    known = list(dimension) if isinstance(dimension, tuple) else sorted(set(values))
    return [str(value) for value in known]


def _ticks(space: Space, key: str, values: Sequence[Any]) -> list[tuple[float, str]]:
    dimension = space.get(key)
    if isinstance(dimension, Range):
        return [(0.0, f"{dimension.low:g}"), (1.0, f"{dimension.high:g}")]
    choices = _choices(space, key, values)
    return [(n / max(1, len(choices) - 1), choice) for n, choice in enumerate(choices)]


def _x(axis: int) -> float:
    return _LEFT + _GAP * axis


def _y(place: float) -> float:
    return _TOP + _HEIGHT * (1.0 - place)


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{html.escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="system-ui, sans-serif" font-size="11">\n{body}\n</svg>'
    )
