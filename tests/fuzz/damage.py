"""Ways in which files come to harm, as hypothesis draws them."""

from __future__ import annotations

import gzip
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", " ", "\0", "\ud800", "\u2028", "[UNK]", "的" * 40]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def budget(examples: int) -> settings:
    """So many examples, however long each takes, and the same ones in every run of a default test."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 1000,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file's content after up to three accidents."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "drop", "insert", "double", "swap", "pack"]))
        length = draw(st.integers(1, 40))
        if kind == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[place:]
        elif kind == "drop":
            del data[place : place + length]
        elif kind == "insert":
            data[place:place] = draw(
                st.binary(max_size=12) | st.sampled_from([b"\n", b"\r", b"\xef\xbb\xbf", b'{"', b"["])
            )
        elif kind == "double":
            data[place:place] = data[place : place + length]
        elif kind == "swap":
            other = draw(st.integers(0, max(len(data) - 1, 0)))
            data[place : place + 1], data[other : other + 1] = data[other : other + 1], data[place : place + 1]
        elif kind == "pack":
            data = bytearray(gzip.compress(bytes(data), mtime=0))
    return bytes(data)


@st.composite
def replaced(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one of its parts, at any depth, replaced, removed or renamed."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        kind = draw(st.sampled_from(["inside", "inside", "remove", "rename"]))
        rest = {name: part for name, part in value.items() if name != key}
        if kind == "inside":
            return rest | {key: draw(replaced(value[key]))}
        return rest if kind == "remove" else rest | {draw(st.text(max_size=8)): value[key]}
    if isinstance(value, list) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(replaced(value[place])), *value[place + 1 :]]
    return draw(JSON)
