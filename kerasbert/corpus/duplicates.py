"""Sentences that are the same or nearly the same.

Two texts are near-duplicates when the sets of their bigrams have a Jaccard similarity of at least a threshold. Bigrams
are of words, or of characters where a script has no spaces; case, width and punctuation do not count. All such pairs
are found, not most of them as with MinHash: the prefix filter (Chaudhuri et al. 2006; Bayardo et al. 2007, "Scaling up
all pairs similarity search") is exact, needs no seed, and takes seconds for ten thousand sentences.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

NEAR = 0.7
"""Similarity from which texts count as nearly the same: one word in ten was changed."""

# A word or number; a Chinese, Japanese kana or Thai character stands for itself.
_TOKEN = re.compile(
    r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]|"
    r"[^\W_\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_ROUNDING = 1e-9


def near_duplicate_groups(texts: Sequence[str], threshold: float = NEAR) -> list[list[int]]:
    """The texts by index, those together that near-duplicates chain to each other, in the order of their first.

    Args:
      texts: any number; memory grows with their length.
      threshold: similarity above 0 and at most 1; 1 finds texts of equal bigrams.

    Returns:
      One list a group, rising; a text like no other is a group by itself.
    """
    sets = [shingles(text) for text in texts]
    frequency = Counter(shingle for found in sets for shingle in found)
    rarest_first = [sorted(found, key=lambda s: (frequency[s], s)) for found in sets]
    parents = list(range(len(texts)))
    # Every set is compared with smaller ones only, and only where both have a shingle among their rarest in common.
    index: dict[str, list[int]] = {}
    for n in sorted(range(len(texts)), key=lambda n: len(sets[n])):
        size = len(sets[n])
        prefix = rarest_first[n][: size - math.ceil(threshold * size - _ROUNDING) + 1]
        candidates = dict.fromkeys(other for shingle in prefix for other in index.get(shingle, ()))
        for other in candidates:
            if (
                len(sets[other]) >= threshold * size - _ROUNDING
                and _root(parents, n) != _root(parents, other)
                and similarity(sets[n], sets[other]) >= threshold - _ROUNDING
            ):
                first, second = sorted((_root(parents, n), _root(parents, other)))
                parents[second] = first
        for shingle in prefix:
            index.setdefault(shingle, []).append(n)
    groups: dict[int, list[int]] = {}
    for n in range(len(texts)):
        groups.setdefault(_root(parents, n), []).append(n)
    return list(groups.values())


def shingles(text: str) -> frozenset[str]:
    """The bigrams of a text; of a text of one word, or of none, the whole."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    tokens = _TOKEN.findall(folded) or folded.split()
    return frozenset(f"{a} {b}" for a, b in itertools.pairwise(tokens)) or frozenset(tokens)


def similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Jaccard similarity: the share of what either has that both have."""
    return len(first & second) / len(first | second)


def _root(parents: list[int], n: int) -> int:
    while parents[n] != n:
        parents[n] = parents[parents[n]]
        n = parents[n]
    return n
