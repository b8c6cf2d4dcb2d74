"""Windows: they cover everything, keep short spans whole, and share out the tokens without gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.errors import UsageError
from kerasbert.text.windows import owned, windows


def test_examples() -> None:
    assert windows(0, 8, 3) == []
    assert windows(8, 8, 3) == [(0, 8)]
    assert windows(9, 8, 3) == [(0, 8), (1, 9)]
    assert windows(20, 8, 3) == [(0, 8), (5, 13), (10, 18), (12, 20)]
    assert owned(windows(20, 8, 3)) == [(0, 6), (6, 11), (11, 15), (15, 20)]
    assert owned([]) == []


@given(st.integers(0, 300), st.integers(1, 40), st.data())
def test_every_short_span_lies_in_a_window_and_every_token_has_one_owner(
    count: int, size: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    found = windows(count, size, overlap)
    for start in range(count):
        end = min(start + max(overlap, 1), count)
        assert any(first <= start and end <= last for first, last in found)
    assert all(0 <= first < last <= count and last - first == min(size, count) for first, last in found)
    assert found == sorted(set(found))
    parts = owned(found)
    assert [k for part in parts for k in range(*part)] == list(range(count))
    assert all(first <= start <= end <= last for (first, last), (start, end) in zip(found, parts, strict=True))


@pytest.mark.parametrize(("count", "size", "overlap"), [(5, 0, 0), (5, 4, 4), (5, 4, -1), (-1, 4, 1)])
def test_sizes_that_contradict_one_another(count: int, size: int, overlap: int) -> None:
    with pytest.raises(UsageError):
        windows(count, size, overlap)
