"""What users call: texts in every form, answers in their order, streams read lazily."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kerasbert
from kerasbert.errors import InputError, UsageError
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.pipeline import Pipeline
from tests import tiny
from tests.extraction.oracle import oracle

TEXTS = [sentence.text for sentence in tiny.sentences(9)]


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(oracle(max_length=64), chunk_size=4)


@functools.cache
def random_pipeline() -> Pipeline:
    return Pipeline(tiny.bundle(max_length=24, overlap=8))


def test_every_form_gives_the_same_answers(extractor: Extractor) -> None:
    text = "青岚是海国的首都"
    expected = extractor.extract(text)
    assert [(t.subject, t.object) for t in expected] == [("海国", "青岚")]
    for several in (
        [text, text],
        (text, text),
        iter([text, text]),
        (t for t in (text, text)),
        {text: 1, text + "。": 2},
    ):
        answers = extractor.extract(several)
        assert isinstance(answers, list) == isinstance(several, list | tuple)
        assert [[(t.subject, t.object) for t in found] for found in answers] == [[("海国", "青岚")]] * 2
    assert extractor.extract([]) == [] and extractor.extract(()) == [] and list(extractor.extract(iter(()))) == []
    assert extractor.extract("") == [] and extractor.extract(["", " "]) == [[], []]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_the_order_is_kept(extractor: Extractor, count: int) -> None:
    texts = ["的" * k + "海国首都青岚" for k in range(count)][::-1]
    for found in (extractor.extract(texts), list(extractor.extract(iter(texts)))):
        assert [t.subject_span.start for (t,) in found] == list(range(count))[::-1]  # type: ignore[union-attr]


def test_streams_are_read_a_chunk_at_a_time(extractor: Extractor) -> None:
    taken = []

    def texts() -> Iterator[str]:
        for k in range(1_000_000_000):
            taken.append(k)
            yield "海国首都青岚"

    answers = extractor.extract(texts())
    assert taken == []
    assert len(next(answers)) == 1 and len(taken) == 4
    for _ in range(3):
        next(answers)
    assert len(taken) == 4
    next(answers)
    assert len(taken) == 8


def test_an_error_of_the_stream_comes_after_the_answers_before_it(extractor: Extractor) -> None:
    def texts() -> Iterator[str]:
        yield from ["海国首都青岚"] * 4
        raise RuntimeError("the source broke")

    answers = extractor.extract(texts())
    assert [len(next(answers)) for _ in range(4)] == [1] * 4
    with pytest.raises(RuntimeError, match="the source broke"):
        next(answers)


@pytest.mark.parametrize(
    ("texts", "words"), [(b"a", "bytes was given"), (None, "NoneType was given"), (3, "int was given")]
)
def test_what_is_no_text(extractor: Extractor, texts: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        extractor.extract(texts)


@pytest.mark.parametrize("wrong", [None, b"a", 3, ["a"], float("nan")])
def test_something_else_among_texts(extractor: Extractor, wrong: Any) -> None:
    with pytest.raises(UsageError, match=f"text 5 .*{type(wrong).__name__}"):
        extractor.extract([*TEXTS[:5], wrong])
    with pytest.raises(UsageError, match="text 5 "):
        list(extractor.extract(iter([*TEXTS[:5], wrong])))


def test_chunks_of_no_text() -> None:
    with pytest.raises(UsageError, match="chunk_size is 0"):
        Extractor(random_pipeline(), chunk_size=0)


def test_loading(tmp_path: Path) -> None:
    bundle = tiny.bundle()
    bundle.save(tmp_path / "bundle")
    for directory in (tmp_path, str(tmp_path / "bundle")):
        loaded = kerasbert.Extractor.load(directory, threshold=0.2, chunk_size=2)
        assert loaded.schema == tiny.SCHEMA
        expected = Pipeline(bundle, 0.2).extract(TEXTS)
        found = loaded.extract(TEXTS)
        assert [[t.subject_span for t in one] for one in found] == [[t.subject_span for t in one] for one in expected]
    with pytest.raises(InputError, match=str(tmp_path / "none")):
        Extractor.load(tmp_path / "none")


LETTERS = "青岚海国首都住在Annn12 \t\0\u0301\u200b\u2028𝄞😀ßİ" + "\ud800\udfff"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(LETTERS, max_size=60), max_size=4))
def test_mentions_are_slices_of_the_text(texts: list[str]) -> None:
    extractor = Extractor(random_pipeline())
    for text, found in zip(texts, extractor.extract(texts), strict=True):
        for triple in found:
            for mention, span in ((triple.subject, triple.subject_span), (triple.object, triple.object_span)):
                assert span is not None and 0 <= span.start < span.end <= len(text)
                assert text[span.start : span.end] == mention
            assert triple.confidence is not None and 0 < triple.confidence <= 1
            assert triple.predicate in extractor.schema
        keys = [(t.predicate, t.subject_span, t.object_span) for t in found]
        assert len(set(keys)) == len(keys)
