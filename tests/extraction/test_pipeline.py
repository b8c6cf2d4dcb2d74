"""The two stages together: windows, offsets, order, and what is asked of the second stage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.errors import InputError
from kerasbert.extraction.assess import evaluate_pipeline, unknown_predicates
from kerasbert.extraction.batching import length_batches
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.schema import Sentence, Span, Triple
from tests import tiny
from tests.extraction.oracle import oracle

FORMS = ("native", "legacy")


def places(triples: list[Triple]) -> list[tuple[str, Span | None, Span | None]]:
    return [(t.predicate, t.subject_span, t.object_span) for t in triples]


@pytest.fixture(scope="module", params=FORMS)
def wide(request: pytest.FixtureRequest) -> Pipeline:
    return oracle(request.param, max_length=64)


@pytest.mark.parametrize(
    ("text", "subject", "object_"),
    [
        ("海国首都青岚", "海国", "青岚"),
        ("𝄞𝄞海国首都青岚𝄞", "海国", "青岚"),
        ("e\u0301e\u0301 海国首都青岚", "海国", "青岚"),
        ("海国\u0301首都青\u0301\u0302岚", "海国\u0301", "青\u0301\u0302岚"),
        ("\u200b海\u200b国\u200b首都\u200b青 岚\u200b", "海\u200b国", "青 岚"),
        ("a\0b海国首都青\0岚", "海国", "青\0岚"),
        ("\ud800海国首都\udfff青岚", "海国", "青岚"),
        ("\r\n\t海国首都\u2028青岚\r\n", "海国", "青岚"),
        ("İIıﬁ海国首都ß青岚", "海国", "青岚"),
        ("👩‍👩‍👧海国首都🇨🇳青岚", "海国", "青岚"),
    ],
)
def test_offsets_are_of_the_text_that_was_given(wide: Pipeline, text: str, subject: str, object_: str) -> None:
    (found,) = wide.extract([text])
    assert [(t.subject, t.predicate, t.object) for t in found] == [(subject, "首都", object_)]
    (triple,) = found
    assert triple.subject_span is not None and triple.object_span is not None
    assert text[slice(*triple.subject_span)] == subject and text[slice(*triple.object_span)] == object_
    assert triple.confidence == pytest.approx(0.9 * 0.5 * 0.5, rel=1e-6)
    assert (triple.subject_type, triple.object_type) == ("国家", "城市")


def test_texts_without_a_token(wide: Pipeline) -> None:
    texts = ["", " \t\n", "\u200b", "\0", "\ud800", "海国首都青岚", ""]
    found = wide.extract(texts)
    assert [len(triples) for triples in found] == [0, 0, 0, 0, 0, 1, 0]
    assert wide.extract([""]) == [[]] and wide.extract([]) == []
    scores = wide.predicate_scores(texts)
    assert scores.shape == (7, 3) and scores[:5].max() == 0 and scores[5].max() > 0.5
    assert wide.predicate_scores([""]).tolist() == [[0.0, 0.0, 0.0]]
    assert wide.predicate_scores([]).shape == (0, 3)
    assert wide.spans(texts, [(0, "首都"), (5, "首都")])[0] == []
    assert wide.spans([], []) == []


@pytest.mark.parametrize(("form", "max_length", "overlap"), [("native", 16, 6), ("native", 16, 8), ("legacy", 26, 6)])
def test_a_mention_in_several_windows_is_found_once(form: str, max_length: int, overlap: int) -> None:
    pipeline = oracle(form, max_length, overlap)
    for before in range(40):
        text = "的" * before + "青岚首海国" + "的" * (40 - before)
        start = before
        expected = [("首都", Span(start + 3, start + 5), Span(start, start + 2))]
        assert places(pipeline.extract([text])[0]) == expected, before
        (spotted,) = pipeline.spans([text], [(0, "首都")])
        assert {(m.role, m.span) for m in spotted} == {("SUB", expected[0][1]), ("OBJ", expected[0][2])}, before


@pytest.mark.parametrize("overlap", [0, 1, 2, 3])
def test_whole_mentions_at_the_edges_of_windows_are_kept(overlap: int) -> None:
    pipeline = oracle("native", 16, overlap)
    for before in range(30):
        text = "的" * before + "青岚" + "的" * (30 - before)
        (spotted,) = pipeline.spans([text], [(0, "首都")])
        whole = [m.span for m in spotted if m.span == Span(before, before + 2)]
        # Twelve tokens a window: without an overlap of the mention's length, an edge may run through it.
        starts = [*range(0, 20, 12 - overlap), 20]
        if any(start <= before and before + 2 <= start + 12 for start in starts):
            assert whole, (overlap, before)
        if overlap == 3:
            assert {m.span for m in spotted} == set(whole), before


def test_many_mentions_over_many_windows() -> None:
    pipeline = oracle("native", 16, 8)
    text = "青岚首海国。" * 30
    found = pipeline.extract([text])[0]
    assert len(found) == len(set(places(found)))
    assert all(text[slice(*t.subject_span)] == "海国" and text[slice(*t.object_span)] == "青岚" for t in found)  # type: ignore[misc]
    near = {(t.subject_span[0] - 3, t.object_span[0]) for t in found}  # type: ignore[index]
    assert {(6 * k, 6 * k) for k in range(30)} <= near


@pytest.mark.parametrize("form", FORMS)
def test_answers_belong_to_their_texts(form: str) -> None:
    pipeline = oracle(form, 64)
    random = np.random.default_rng(4)
    before, after = random.integers(0, 20, 50), random.integers(0, 20, 50)
    texts = ["的" * int(a) + "海国首都青岚" + "。" * int(b) for a, b in zip(before, after, strict=True)]
    texts[7::9] = ["的" * 30] * len(texts[7::9])
    for k, (text, found) in enumerate(zip(texts, pipeline.extract(texts), strict=True)):
        start = text.find("海")
        expected = [("首都", Span(start, start + 2), Span(start + 4, start + 6))] if start >= 0 else []
        assert places(found) == expected, k


def test_only_stated_predicates_are_asked_for() -> None:
    pipeline = oracle()
    assert places(pipeline.extract(["海国，青岚"])[0]) == []
    assert [t.predicate for t in pipeline.extract(["海国首住，青岚"])[0]] == ["居住地", "首都"]
    assert len(Pipeline(pipeline.bundle, threshold=1.0).extract(["海国首都青岚"])[0]) == 0
    pipeline.threshold = 0.05
    assert [t.predicate for t in pipeline.extract(["海国，青岚"])[0]] == ["出生地", "居住地", "首都"]


def test_the_threshold_of_the_bundle_is_the_default() -> None:
    bundle = tiny.bundle()
    bundle.settings["threshold"] = 0.75
    assert Pipeline(bundle).threshold == 0.75 and Pipeline(bundle, 0.0).threshold == 0.0


@pytest.mark.parametrize("stage", ["predicate", "labeling"])
def test_a_stage_is_missing(stage: str) -> None:
    bundle = tiny.bundle()
    del bundle.models[stage]
    with pytest.raises(InputError, match=f"no {stage} model"):
        Pipeline(bundle)


@pytest.mark.parametrize("form", FORMS)
def test_answers_do_not_depend_on_the_company(form: str) -> None:
    pipeline = Pipeline(tiny.bundle(form))
    texts = [sentence.text for sentence in tiny.sentences(12)] + ["", "Annn" * 30, "的" * 70]
    together = pipeline.extract(texts)
    assert any(together)
    for text, found in zip(texts, together, strict=True):
        (alone,) = pipeline.extract([text])
        assert places(alone) == places(found)
        for one, other in zip(alone, found, strict=True):
            assert one.confidence == pytest.approx(other.confidence, abs=1e-5)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 2048))
def test_batches_by_length(lengths: list[int], budget: int) -> None:
    batches = length_batches(np.asarray(lengths, np.int64), budget)
    assert sorted(itertools.chain.from_iterable(batch.tolist() for batch in batches)) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[k] for k in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


GOLD = [
    Sentence("海国首都青岚", (Triple("海国", "首都", "青岚"),)),
    Sentence("海国，青岚首", (Triple("海国", "首都", "青岚"), Triple("海国", "出生地", "青岚"))),
    Sentence("的的的"),
]


def test_scores_of_each_stage() -> None:
    reports = evaluate_pipeline(oracle(), GOLD)
    predicates, spans, triples = (reports[name].overall for name in ("predicates", "spans", "triples"))
    assert (predicates.correct, predicates.submitted, predicates.gold) == (2, 2, 3)
    # Given the predicate, every span is found.
    assert (spans.correct, spans.submitted, spans.gold) == (6, 6, 6)
    assert (triples.correct, triples.submitted, triples.gold) == (2, 2, 3)


def test_predicates_that_the_model_does_not_know_count_as_missed() -> None:
    pipeline = oracle()
    gold = [*GOLD, Sentence("海国首都青岚", (Triple("海国", "邻国", "青岚"), Triple("海国", "首都", "青岚")))]
    assert unknown_predicates(pipeline, gold) == {"邻国": 1}
    assert unknown_predicates(pipeline, GOLD) == {}
    reports = evaluate_pipeline(pipeline, gold)
    triples, spans = reports["triples"].overall, reports["spans"].overall
    assert (triples.correct, triples.gold) == (3, 5)
    assert (spans.correct, spans.submitted, spans.gold) == (8, 8, 10)
    assert reports["triples"].per_predicate["邻国"].gold == 1


def test_gold_without_triples() -> None:
    with pytest.raises(InputError, match="no gold triple"):
        evaluate_pipeline(oracle(), [Sentence("海国"), Sentence("")])


def test_gold_mentions_that_are_not_in_the_text() -> None:
    reports = evaluate_pipeline(oracle(), [Sentence("海国", (Triple("北陆", "首都", "白渡"),))])
    assert "spans" not in reports and reports["triples"].overall.gold == 1
