"""Every finding on a corpus made to have it, and on real corpora."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.corpus.check import check_corpus, split_report
from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.report import CorpusReport, Example, Lengths, render
from kerasbert.corpus.schemas import read_schema
from kerasbert.schema import Predicate, Schema, Sentence, Signature, Span, Triple

SCHEMA = Schema((Predicate("r", (Signature("A", "B"), Signature("A", "C"))), Predicate("free"), Predicate("idle")))


def t(subject: str, object_: str, predicate: str = "free", subject_type: str = "", object_type: str = "") -> Triple:
    return Triple(subject, predicate, object_, subject_type, object_type)


def checked(*sentences: tuple[str, list[Triple]]) -> CorpusReport:
    return check_corpus([Sentence(text, tuple(triples), n) for n, (text, triples) in enumerate(sentences, 1)], SCHEMA)


def lines(report: CorpusReport, name: str) -> list[int]:
    assert report[name].count == len(report[name].examples)
    return [example.line for example in report[name].examples]


def test_a_sound_corpus_has_no_finding() -> None:
    report = checked(("Ann met Bob", [t("Ann", "Bob"), t("Ann", "Bob", "idle"), t("Ann", "Bob", "r", "A", "C")]))
    assert {finding.name: finding.count for finding in report.findings if finding.count} == {}
    assert (report.sentences, report.triples) == (1, 3)
    assert report.predicates == {"r": 1, "free": 1, "idle": 1}


def test_duplicates_and_conflicts() -> None:
    pair = [t("Ann", "Bob"), t("Bob", "Ann")]
    report = checked(
        ("Ann met Bob", pair), ("Ann met Bob", pair[::-1]), ("Ann met Bob", pair[:1]), ("Ann met Bob", []), ("x", [])
    )
    assert lines(report, "duplicated sentences") == [2, 3, 4]
    assert lines(report, "conflicting sentences") == [3, 4]
    assert report["conflicting sentences"].examples[1].detail == "0 triples that line 1 lacks, 2 that only it has"
    assert lines(report, "unlabelled sentences") == [4, 5]


def test_repeated_triples() -> None:
    placed = [Triple("Ann", "free", "Bob", object_span=span) for span in (Span(8, 11), Span(16, 19))]
    report = checked(
        ("Ann met Bob", [t("Ann", "Bob"), t("Ann", "Bob"), t("Ann", "Bob")]), ("Ann met Bob and Bob", placed)
    )
    assert lines(report, "repeated triples") == [1, 1]


def test_mentions_that_are_not_found() -> None:
    text = "Ann Lee met Ｂｏｂ"
    report = checked((text, [t("ann lee", "Bob")]), (text, [t("AnnLee", "Eve")]), (text, [t("Ann Lee", "Ｂｏｂ")]))
    assert lines(report, "mentions not found") == [1, 1, 2, 2]
    assert lines(report, "found when folded") == [1, 1, 2]
    assert report["mentions not found"].examples[3] == Example(2, f"'Eve' in {text!r}")


def test_types_and_predicates() -> None:
    text = "Ann met Bob"
    report = checked(
        (text, [t("Ann", "Bob", "r", "A", "B")]),
        (text, [t("Ann", "Bob", "r", "B", "A")]),
        (text, [t("Ann", "Bob", "r", "A", "")]),
        (text, [t("Ann", "Bob", "r", "", "A")]),
        (text, [t("Ann", "Bob", "free", "X", "Y")]),
        (text, [t("Ann", "Bob", "other", "A", "B")]),
        (text, [t("Ann", "Bob", "r", "", "C")]),
    )
    assert lines(report, "type violations") == [2, 4]
    assert report["type violations"].examples[0].detail == "(Ann, r, Bob): B - A"
    assert lines(report, "unknown predicates") == [6]
    assert report["unused predicates"].examples == (Example(0, "idle"),)
    assert list(report.predicates.items()) == [("r", 5), ("free", 1), ("idle", 0), ("other", 1)]


@pytest.mark.parametrize(
    ("text", "subject", "object_", "overlap"),
    [
        ("北京新能源公司", "北京新能源公司", "北京", True),
        ("北京新能源公司在北京", "北京新能源公司", "北京", False),
        ("北京的北京新能源公司", "北京新能源公司", "北京", False),
        ("abc", "ab", "bc", True),
        ("abcab", "ab", "bc", False),
        ("ab", "a", "b", False),
        ("a", "a", "a", True),
        ("a a", "a", "a", False),
        ("abc", "x", "abc", False),
    ],
)
def test_overlap(text: str, subject: str, object_: str, overlap: bool) -> None:
    assert lines(checked((text, [t(subject, object_)])), "overlapping arguments") == [1] * overlap


@given(text=st.text("ab", max_size=8), subject=st.text("ab", min_size=1), object_=st.text("ab", min_size=1))
def test_overlap_is_that_of_every_placement(text: str, subject: str, object_: str) -> None:
    def places(mention: str) -> list[Span]:
        return [Span(i, i + len(mention)) for i in range(len(text)) if text.startswith(mention, i)]

    pairs = [(s, o) for s in places(subject) for o in places(object_)]
    expected = bool(pairs) and all(s.start < o.end and o.start < s.end for s, o in pairs)
    assert checked((text, [t(subject, object_)]))["overlapping arguments"].count == expected


def test_offsets_decide_the_overlap() -> None:
    inside = Triple("ab", "free", "b", subject_span=Span(0, 2), object_span=Span(1, 2))
    beside = Triple("ab", "free", "b", subject_span=Span(0, 2), object_span=Span(3, 4))
    assert lines(checked(("ab b", [inside]), ("ab b", [beside])), "overlapping arguments") == [1]


def test_one_character_arguments() -> None:
    assert lines(checked(("汉 Ann", [t("Ann", "汉")]), ("x y", [t("x", "y")])), "one-character arguments") == [1, 2, 2]


def test_lengths_are_nearest_rank() -> None:
    sentences = [Sentence("x" * n, (), n) for n in range(100, 0, -1)]
    report = check_corpus(sentences, SCHEMA, lambda texts: [2 * len(text) for text in texts], max_tokens=196)
    assert report.characters == Lengths(50.5, 1, 50, 90, 95, 99, 100)
    assert report.tokens == Lengths(101.0, 2, 100, 180, 190, 198, 200)
    assert lines(report, "long sentences") == [100, 99]
    assert report["long sentences"].meaning == "sentences of more than 196 tokens"
    without = check_corpus(sentences, SCHEMA)
    assert without.tokens is None and "long sentences" not in {finding.name for finding in without.findings}


def test_tokens_are_counted_in_batches_and_in_order() -> None:
    sizes = []

    def count(texts: list[str]) -> list[int]:
        sizes.append(len(texts))
        return [int(text) for text in texts]

    report = check_corpus((Sentence(str(n), (), n) for n in range(1300)), SCHEMA, count, max_tokens=1296)
    assert sum(sizes) == 1300 and max(sizes) < 1300
    assert lines(report, "long sentences") == [1297, 1298, 1299]


def test_examples_stop_at_five() -> None:
    report = checked(*[(f"text {n}", []) for n in range(9)])
    assert report["unlabelled sentences"].count == 9
    assert [example.line for example in report["unlabelled sentences"].examples] == [1, 2, 3, 4, 5]


def test_nothing_to_check() -> None:
    report = check_corpus([], SCHEMA, lambda texts: [])
    assert (report.sentences, report.characters, report.tokens) == (0, None, None)
    assert report["unused predicates"].count == 3
    assert "0 sentences" in render(report)


def test_report_as_json_and_text() -> None:
    report = checked(("Ann met Bob", [t("ann", "Bob"), t("Ann", "Bob"), t("Bob", "Ann", "r", "B", "A")]))
    data = json.loads(json.dumps(report.to_dict()))
    assert data["predicates"] == {"r": 1, "free": 2, "idle": 0}
    found = {finding["name"]: finding for finding in data["findings"]}
    assert found["mentions not found"]["examples"] == [{"line": 1, "detail": "'ann' in 'Ann met Bob'"}]
    text = render(report)
    assert "1 sentences, 3 triples, 3 predicates" in text
    assert "       2  free\n       1  r\n" in text
    assert "line 1: (Bob, r, Ann): B - A" in text
    assert "characters       11.0       11       11" in text


def test_splits() -> None:
    train = [Sentence("a b", (t("a", "b"),), 1), Sentence("c d", (t("c", "d"),), 2)]
    dev = [Sentence("c d", (t("c", "d"),), 1), Sentence("e", (t("a", "b"), t("e", "e", "r")), 2), Sentence("f", (), 3)]
    dev.append(Sentence("e e", (t("e", "e", "r"), t("b", "a")), 4))
    report = split_report(train, dev)
    assert (report.train_sentences, report.dev_sentences, report.dev_triples) == (2, 4, 4)
    assert report.shared_texts.examples == (Example(1, "line 2 of train: 'c d'"),)
    assert report.unseen_triples.examples == (Example(2, "(e, r, e)"), Example(4, "(b, free, a)"))
    assert report.unseen_predicates.examples == (Example(2, "r"),)
    assert json.loads(json.dumps(report.to_dict()))["unseen_triples"]["count"] == 2
    assert "2  distinct triples of dev that are not in train" in render(report)


REAL = [
    (
        "duie1/train_data.json",
        "duie1/all_50_schemas",
        {
            "mentions not found": 20,
            "found when folded": 20,
            "unused predicates": 1,
            "overlapping arguments": 4,
            "one-character arguments": 68,
        },
    ),
    ("duie1/dev_data.json", "duie1/all_50_schemas", {"unused predicates": 5, "one-character arguments": 7}),
    ("duie1/test1_data_postag.json", "duie1/all_50_schemas", {"unlabelled sentences": 500, "unused predicates": 49}),
    (
        "duie2/duie2_train_merged.json",
        "duie2/schema.json",
        {
            "repeated triples": 27,
            "unused predicates": 1,
            "overlapping arguments": 11,
            "one-character arguments": 126,
        },
    ),
    (
        "webnlg/WebNLG_test_triples.json",
        "webnlg/WebNLG_rel2id.json",
        {
            "duplicated sentences": 2,
            "conflicting sentences": 2,
            "unused predicates": 67,
            "overlapping arguments": 21,
            "one-character arguments": 6,
        },
    ),
]


@pytest.mark.parametrize(("name", "schema", "found"), REAL, ids=[case[0] for case in REAL])
def test_real_corpora(shared: Path, name: str, schema: str, found: dict[str, int]) -> None:
    known = read_schema(shared / "data" / schema)
    report = check_corpus(load_corpus(shared / "data" / name, known), known)
    assert {finding.name: finding.count for finding in report.findings if finding.count} == found


def test_real_splits_share_no_text(shared: Path) -> None:
    train, dev = (load_corpus(shared / f"data/duie1/{name}_data.json") for name in ("train", "dev"))
    report = split_report(train, dev)
    assert (report.shared_texts.count, report.dev_triples, report.unseen_triples.count) == (0, 2056, 1939)
