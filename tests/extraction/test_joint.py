"""The joint extractor from text to triples: offsets, windows, long documents, the ceiling of its label scheme."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from kerasbert.bundle import Bundle
from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.schemas import read_schema
from kerasbert.errors import InputError
from kerasbert.evaluation.strict import score_strict
from kerasbert.extraction.assess import evaluate_joint, evaluate_model, unknown_predicates
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.load import load_model
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.schema import Schema, Sentence, Span, Triple
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.store import Record, pack
from tests import tiny
from tests.extraction.joint_oracle import YES, oracle

Place = tuple[str, Span | None, Span | None]


def places(triples: list[Triple]) -> list[Place]:
    return [(t.predicate, t.subject_span, t.object_span) for t in triples]


@pytest.mark.parametrize(
    ("text", "subject", "object_"),
    [
        ("海国首都青岚", "海国", "青岚"),
        ("𝄞𝄞海国首都青岚𝄞", "海国", "青岚"),
        ("海国\u0301首都青\u0301\u0302岚", "海国\u0301", "青\u0301\u0302岚"),
        ("\u200b海国首都青 岚\u200b", "海国", "青 岚"),
        ("\ud800海国首都\udfff青岚", "海国", "青岚"),
    ],
)
def test_offsets_are_of_the_text_that_was_given(text: str, subject: str, object_: str) -> None:
    pipeline, _ = oracle([Sentence(text, (Triple(subject, "首都", object_),))])
    ((triple,),) = pipeline.extract([text])
    assert (triple.subject, triple.predicate, triple.object) == (subject, "首都", object_)
    assert triple.subject_span is not None and triple.object_span is not None
    assert text[slice(*triple.subject_span)] == subject and text[slice(*triple.object_span)] == object_
    assert triple.confidence == pytest.approx(1 / (1 + np.exp(-YES)))
    assert (triple.subject_type, triple.object_type) == ("国家", "城市")


def test_nested_overlapping_one_character_and_repeated_arguments() -> None:
    triples = (
        Triple("石桥镇", "首都", "桥"),
        Triple("石桥", "首都", "石桥镇"),
        Triple("石桥镇", "出生地", "石桥镇"),
        Triple("镇", "居住地", "石"),
        Triple("桥", "居住地", "镇"),
    )
    pipeline, _ = oracle([Sentence("石桥镇", triples)])
    (found,) = pipeline.extract(["石桥镇"])
    assert {(t.subject, t.predicate, t.object) for t in found} == {(t.subject, t.predicate, t.object) for t in triples}


def test_texts_without_a_token() -> None:
    texts = ["", " \t\n", "\u200b", "海国首都青岚", ""]
    pipeline, _ = oracle([Sentence(texts[3], (Triple("海国", "首都", "青岚"),))])
    assert [len(found) for found in pipeline.extract(texts)] == [0, 0, 0, 1, 0]
    assert pipeline.extract([]) == [] and pipeline.extract([""]) == [[]]
    proposals, gate = pipeline.proposals([])
    assert gate.shape == (0, 3) and [len(column) for column in proposals] == [0] * 5


@pytest.mark.parametrize(("max_length", "overlap"), [(14, 6), (14, 5), (20, 8)])
def test_a_triple_in_several_windows_is_found_once(max_length: int, overlap: int) -> None:
    made = ["的" * before + "青岚首海国" + "的" * (40 - before) for before in range(40)]
    sentences = [Sentence(text, (Triple("海国", "首都", "青岚"),)) for text in made]
    pipeline, _ = oracle(sentences, max_length=max_length, overlap=overlap)
    for before, found in enumerate(pipeline.extract(made)):
        expected = ("首都", Span(before + 3, before + 5), Span(before, before + 2))
        assert places(found) == [expected], before


def test_a_mention_that_a_window_cuts_is_left_to_the_next() -> None:
    # The first window sees a part of the name that looks whole to it.
    text = "的" * 7 + "青岚海国石桥镇" + "的" * 7
    whole = Triple("海国", "首都", "石桥镇")
    pipeline, examples = oracle([Sentence(text, (whole,))], max_length=14, overlap=6)
    assert len(examples) == 3
    packed = examples.packed
    seen = Record(packed[0].row, np.asarray([tiny.SCHEMA.index("首都"), 10, 11, 12, 12, 0], np.int32))
    examples.packed = pack([seen, packed[1], packed[2]])
    (found,) = pipeline.extract([text])
    assert places(found) == [("首都", Span(9, 11), Span(11, 14))]


def document(characters: int) -> Sentence:
    """A text of many statements, each with a name of its own, every other one behind a stretch of nothing."""
    parts, triples, length = [], [], 0
    number = 0
    while length < characters:
        name = f"{number % 2}{tiny.PEOPLE[number % 4]}"
        part = f"{name}住在{tiny.CITIES[number % 5]}。" + "的" * (number % 7)
        start = length + part.index("在") + 1
        city = tiny.CITIES[number % 5]
        triples.append(
            Triple(
                name,
                "居住地",
                city,
                subject_span=Span(length, length + len(name)),
                object_span=Span(start, start + len(city)),
            )
        )
        parts.append(part)
        length += len(part)
        number += 1
    return Sentence("".join(parts), tuple(triples))


def test_a_long_document_loses_nothing() -> None:
    sentence = document(20_000)
    pipeline, examples = oracle([sentence], max_length=64, overlap=24)
    assert len(examples) > 300 and examples.report.across_windows == 0
    (found,) = pipeline.extract([sentence.text])
    expected: list[Place] = [(t.predicate, t.subject_span, t.object_span) for t in sentence.triples]
    assert places(found) == expected and len(expected) > 1500


def test_long_documents_take_linear_time() -> None:
    pipeline = JointPipeline(tiny.joint_bundle(max_length=64, overlap=24, lift=0.0))

    def seconds(characters: int) -> float:
        text = document(characters).text
        pipeline.extract([text])
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            pipeline.extract([text])
            times.append(time.perf_counter() - begin)
        return min(times)

    assert seconds(20_000) < 3 * 4 * seconds(5_000)


def test_answers_belong_to_their_texts() -> None:
    random = np.random.default_rng(4)
    sentences = [
        Sentence("的" * int(a) + "海国首都青岚" + "。" * int(b), (Triple("海国", "首都", "青岚"),))
        for a, b in random.integers(0, 20, (50, 2))
    ]
    sentences[7::9] = [Sentence("的" * 30)] * len(sentences[7::9])
    pipeline, _ = oracle(sentences)
    for sentence, found in zip(sentences, pipeline.extract([s.text for s in sentences]), strict=True):
        start = sentence.text.find("海")
        expected = [("首都", Span(start, start + 2), Span(start + 4, start + 6))] if start >= 0 else []
        assert places(found) == expected


def test_answers_do_not_depend_on_the_company() -> None:
    pipeline = JointPipeline(tiny.joint_bundle(), threshold=0.3)
    texts = [sentence.text for sentence in tiny.sentences(12)]
    together, alone = pipeline.extract(texts), [pipeline.extract([text])[0] for text in texts]
    assert [places(found) for found in together] == [places(found) for found in alone]
    assert any(together)
    for ours, theirs in zip(together, alone, strict=True):
        assert [t.confidence for t in ours] == pytest.approx([t.confidence for t in theirs], abs=1e-4)


def test_the_threshold_is_of_the_confidence() -> None:
    texts = [sentence.text for sentence in tiny.sentences(12)]
    low, high = (JointPipeline(tiny.joint_bundle(), t).extract(texts) for t in (0.3, 0.6))
    assert sum(map(len, high)) < sum(map(len, low))
    kept = [[place for place, t in zip(places(row), row, strict=True) if (t.confidence or 0) >= 0.6] for row in low]
    assert kept == [places(row) for row in high]
    assert all((t.confidence or 0) >= 0.6 for row in high for t in row)
    bundle = tiny.joint_bundle()
    bundle.settings["joint"] = {"threshold": 0.75, "calibration": {"weights": [0, 0, 0, 0, 0, 0], "bias": 2.0}}
    pipeline = JointPipeline(bundle)
    assert pipeline.threshold == 0.75
    found = [t for row in pipeline.extract(texts) for t in row]
    assert found and [t.confidence for t in found] == pytest.approx([1 / (1 + np.exp(-2.0))] * len(found))


def test_rivals_exclude_each_other_where_the_bundle_says_so() -> None:
    bundle = tiny.joint_bundle()
    texts = [sentence.text for sentence in tiny.sentences(12)]
    everything = JointPipeline(bundle, threshold=0.0).extract(texts)
    bundle.settings["joint"] = {"exclusive": True}
    chosen = JointPipeline(bundle, threshold=0.0).extract(texts)
    assert 0 < sum(map(len, chosen)) < sum(map(len, everything))
    for some, all_ in zip(chosen, everything, strict=True):
        assert set(places(some)) <= set(places(all_))
        spans = [(p, s, o) for p, s, o in places(some) if s is not None and o is not None]
        for predicate, subject, object_ in spans:
            rivals = [
                (s, o)
                for p, s, o in spans
                if p == predicate and s.start < subject.end and subject.start < s.end
                if o.start < object_.end and object_.start < o.end
            ]
            assert rivals == [(subject, object_)]


@pytest.mark.parametrize("count", [1, 500])
def test_schemas_of_any_size(count: int) -> None:
    schema = Schema.from_signatures([(f"r{k:03d}", "甲", "乙") for k in range(count)])
    pipeline = JointPipeline(tiny.joint_bundle(schema=schema, lift=9.0), threshold=0.0)
    found = pipeline.extract(["青岚是海国的首都", "", "海"])
    assert len(found) == 3 and found[1] == [] and len(found[0]) > 0
    assert {t.predicate for t in found[0]} <= set(schema.names)


def test_scores_of_the_gate_and_of_triples() -> None:
    gold = [
        Sentence("海国首都青岚", (Triple("海国", "首都", "青岚"),)),
        Sentence("海国，青岚", (Triple("海国", "首都", "白渡"), Triple("海国", "出生地", "青岚"))),
        Sentence("的的的"),
    ]
    pipeline, _ = oracle(gold)
    reports = evaluate_joint(pipeline, gold)
    gate, triples = reports["gate"].overall, reports["triples"].overall
    assert (gate.correct, gate.submitted, gate.gold) == (3, 3, 3)
    assert (triples.correct, triples.submitted, triples.gold) == (2, 2, 3)
    other = [*gold, Sentence("海国首都青岚", (Triple("海国", "邻国", "青岚"),))]
    assert unknown_predicates(pipeline, other) == {"邻国": 1}
    assert evaluate_model(pipeline, other)["triples"].overall.gold == 4


def test_the_joint_model_is_chosen_where_there_is_one(tmp_path: Path) -> None:
    bundle, joint = tiny.bundle(), tiny.joint_bundle()
    Bundle(joint.schema, joint.vocabulary, True, joint.predicate_ids, joint.models, joint.settings).save(tmp_path / "j")
    bundle.save(tmp_path / "p")
    both = bundle.models | joint.models
    Bundle(joint.schema, joint.vocabulary, True, joint.predicate_ids, both, joint.settings).save(tmp_path / "b")
    for name, kind in (("j", JointPipeline), ("p", Pipeline), ("b", JointPipeline)):
        assert type(load_model(tmp_path / name, 0.4)) is kind and load_model(tmp_path / name, 0.4).threshold == 0.4
    text = "青岚是海国的首都"
    loaded = Extractor.load(tmp_path / "j", threshold=0.3)
    assert loaded.extract(text) == JointPipeline(joint, 0.3).extract([text])[0]
    with pytest.raises(InputError, match="no joint model"):
        JointPipeline.load(tmp_path / "p")


@pytest.mark.parametrize(
    ("predicates", "held_out", "count", "floor"),
    [
        ("duie1/all_50_schemas", "duie1/dev_data.json", 1000, 0.997),
        # Two of these texts are there twice, with different annotations.
        ("webnlg/WebNLG_rel2id.json", "webnlg/WebNLG_test_triples.json", 703, 0.9985),
    ],
)
def test_the_ceiling_of_the_label_scheme(
    predicates: str, held_out: str, count: int, floor: float, shared: Path, zh_vocab: Path
) -> None:
    schema = read_schema(shared / "data" / predicates)
    sentences = load_corpus(shared / "data" / held_out, schema)
    pipeline, examples = oracle(sentences, schema, Vocabulary.load(zh_vocab), max_length=256, overlap=64)
    assert len(sentences) == count
    scores = score_strict(
        sentences,
        [
            Sentence(s.text, tuple(found), s.line)
            for s, found in zip(sentences, pipeline.extract([s.text for s in sentences]), strict=True)
        ],
    ).overall
    assert scores.f1 >= floor and scores.recall >= floor, (scores, examples.report)
