"""The page: one file, everything in it, and nothing from outside can become markup."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kerasbert.corpus.reader import write_corpus
from kerasbert.errors import InputError
from kerasbert.reporting.examples import marked
from kerasbert.reporting.gather import System, gather, read_histories
from kerasbert.reporting.page import render_page
from kerasbert.schema import Sentence, Span, Triple
from tests import tiny
from tests.commandline import refused, run, write

EVIL = "<script>alert(1)</script>"
QUOTE = "\"'><img src=x onerror=alert(1)>"


class _Page(HTMLParser):
    """Collects tags, attributes and text, and checks that what is opened is closed."""

    VOID = frozenset(("meta", "line", "rect", "circle", "polyline"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def predictions(sentences: list[Sentence], sure: float | None = 0.8) -> list[Sentence]:
    """Some of the annotated triples, and in every fourth sentence another predicate."""
    made = []
    for n, sentence in enumerate(sentences):
        kept = [dataclasses.replace(t, confidence=sure) for t in sentence.triples[: 1 + n % 2]]
        if n % 4 == 0:
            kept[0] = dataclasses.replace(kept[0], predicate="居住地")
        made.append(Sentence(sentence.text, tuple(kept), sentence.line))
    return made


def page_of(gold: list[Sentence], *systems: System) -> _Page:
    return _Page(render_page(gather("gold.jsonl", gold, *systems)))


def test_everything_is_on_the_page() -> None:
    gold = tiny.sentences(40)
    history = {"joint": {"loss": [(1.0, 3.0), (2.0, 1.0)], "triple_f1": [(1.0, 0.2), (2.0, 0.6)]}}
    report = gather("gold.jsonl", gold, System("first", predictions(gold), history), System("second", gold))
    page = render_page(report)
    parsed = _Page(page)
    for heading in (
        "Scores",
        "Comparison",
        "Predicates",
        "Mistakes",
        "Confusion",
        "Calibration",
        "Learning curves",
        "Data",
    ):
        assert f">{heading}</h2>" in page
    assert parsed.tags.count("svg") == 5
    assert "F1 of second less that of first" in re.sub(r"\s+", " ", parsed.text)
    assert report.comparison is not None
    assert report.comparison.count_first == 0 and report.comparison.count_second == 40 - report.exact
    assert report.comparison.difference.f1.value == pytest.approx(1 - report.intervals[2].value)
    total = sum(number for number, _ in report.kinds.values())
    assert total >= 40 - report.exact > 0
    names, cells = report.confused
    taken = {(a, b): cells[i][j] for i, a in enumerate(names) for j, b in enumerate(names) if a != b and a and b}
    assert report.kinds["wrong predicate"][0] == sum(taken.values()) and taken["首都", "居住地"] == 4
    assert {row.name: row.gold for row in report.predicates} == {
        name: sum(t.predicate == name for s in gold for t in s.triples) for name in tiny.SCHEMA.names
    }
    assert report.calibration is not None and report.calibration.confidence == [pytest.approx(0.8)]
    assert render_page(report) == page


def test_the_page_needs_nothing_from_elsewhere() -> None:
    gold = tiny.sentences(12)
    page = render_page(gather("gold.jsonl", gold, System("m", predictions(gold))))
    assert "<script" not in page and "http-equiv" in page and 'charset="utf-8"' in page
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#)", page) and "url(" not in page and "@import" not in page
    assert "顾安" in page


@pytest.mark.parametrize("evil", [EVIL, QUOTE, "{{ 7 * 7 }}", "&lt;b&gt;", "]]>--></style><b>"])
def test_no_text_becomes_markup(evil: str) -> None:
    text = f"甲{evil}乙"
    triple = Triple(evil, evil, "乙", evil, evil, Span(1, 1 + len(evil)), confidence=0.5)
    gold = [Sentence(text, (triple,), 1), Sentence("丙丁", (Triple("丙", f"q{evil}", "丁"),), 2)]
    found = [
        Sentence(text, (dataclasses.replace(triple, predicate=f"p{evil}"),), 1),
        Sentence("丙丁", (Triple("丙", f"r{evil}", "丁", confidence=0.99),), 2),
    ]
    history = {f"stage{evil}": {f"loss{evil}": [(1.0, 2.0)], "loss": [(1.0, 1.0)]}}
    harmless = tiny.sentences(8)
    plain = page_of(harmless, System("m", predictions(harmless), history), System("n", harmless))
    report = gather(f"gold{evil}", gold, System(f"first{evil}", found, history), System(f"second{evil}", gold))
    page = _Page(render_page(report))
    assert set(page.tags) <= set(plain.tags) and page.attributes <= plain.attributes
    assert text in page.text and f"first{evil}" in page.text and f"stage{evil}" in page.text


def test_predictions_without_confidence_and_without_mistakes() -> None:
    gold = tiny.sentences(3)
    page = page_of(gold, System("m", gold))
    text = re.sub(r"\s+", " ", page.text)
    assert "have no confidence" in text and "No predicate was taken for another one" in text
    assert "3 of 3 sentences (100.0%)" in text


def test_half_a_surrogate_pair_does_not_stop_the_page() -> None:
    gold = tiny.sentences(3)
    assert "name?" in render_page(gather("gold", gold, System("name\ud800", gold)))


def test_marks_may_overlap() -> None:
    pieces = marked("甲乙丙丁", [(Span(0, 2), "a"), (Span(1, 3), "b"), (None, "c")])
    assert [(piece.text, piece.marks) for piece in pieces] == [
        ("甲", ("a",)),
        ("乙", ("a", "b")),
        ("丙", ("b",)),
        ("丁", ()),
    ]


def test_predictions_for_other_sentences_are_refused() -> None:
    gold = tiny.sentences(4)
    with pytest.raises(InputError, match="ends after 3 sentences"):
        gather("gold", gold, System("m", gold[:3]))
    with pytest.raises(InputError, match="is not that of gold line 1"):
        gather("gold", gold, System("m", gold), System("n", gold[::-1]))
    bare = [Sentence(sentence.text) for sentence in gold]
    with pytest.raises(InputError, match="no gold triple"):
        gather("gold", bare, System("m", gold))


def test_histories(tmp_path: Path) -> None:
    write(tmp_path / "joint/history.csv", b"epoch,step,loss,val_loss\n1,5,2.5,\n2,10,1.5,3\n")
    write(tmp_path / "other/history.csv", b"epoch,step\n1,5\n")
    assert read_histories(tmp_path) == {"joint": {"loss": [(1.0, 2.5), (2.0, 1.5)], "val_loss": [(2.0, 3.0)]}}
    write(tmp_path / "joint/history.csv", b"epoch,loss\n1,x\n")
    with pytest.raises(InputError, match="no history of a training"):
        read_histories(tmp_path)


def test_the_command(tmp_path: Path) -> None:
    gold, found, page = tmp_path / "gold.jsonl", tmp_path / "found.jsonl", tmp_path / "page.html"
    sentences = tiny.sentences(12)
    write_corpus(gold, sentences)
    write_corpus(found, predictions(sentences))
    tiny.joint_bundle().save(tmp_path / "model/bundle")
    write(tmp_path / "model/joint/history.csv", b"epoch,step,loss\n1,5,2.5\n2,10,1.5\n")
    done = run("report", gold, found, "-o", page, "--compare", tmp_path / "model")
    assert done.code == 0 and "F1 " in done.err and "p = " in done.err, done
    assert "model" in _Page(page.read_text(encoding="utf-8")).text
    done = run("report", gold, "-m", tmp_path / "model", "-o", page, "--force")
    assert done.code == 0 and "Learning curves" in page.read_text(encoding="utf-8"), done
    refused(run("report", gold, found, "-o", page), 2, page, "--force")
    refused(run("report", gold, found, "-o", gold, "--force"), 2, gold, "cannot be written as well")
    refused(run("report", gold, "-o", tmp_path / "x"), 2, "predictions or --model")
    refused(run("report", gold, found, "-m", tmp_path / "model", "-o", tmp_path / "x"), 2, "predictions or --model")
    found.write_text(json.dumps({"text": "other"}) + "\n")
    refused(run("report", gold, found, "-o", tmp_path / "x"), 1, "gold line 1")
    assert not (tmp_path / "x").exists()
