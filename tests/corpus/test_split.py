"""Near-duplicates are found, all of them, and never stand on two sides of a split."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.corpus.duplicates import near_duplicate_groups, shingles, similarity
from kerasbert.corpus.reader import load_corpus, write_corpus
from kerasbert.corpus.split import PARTS, split_corpus
from kerasbert.errors import UsageError
from kerasbert.schema import Sentence, Triple
from tests import tiny
from tests.commandline import contents, refused, run


def brute_force(texts: list[str], threshold: float) -> list[list[int]]:
    """The groups by comparing everything with everything."""
    sets = [shingles(text) for text in texts]
    group = list(range(len(texts)))
    for a, b in itertools.combinations(range(len(texts)), 2):
        if sets[a] and sets[b] and similarity(sets[a], sets[b]) >= threshold - 1e-9:
            old, new = group[b], group[a]
            group = [new if g == old else g for g in group]
    members: dict[int, list[int]] = {}
    for n, g in enumerate(group):
        members.setdefault(g, []).append(n)
    return list(members.values())


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.text(st.sampled_from("甲乙丙ab 。"), max_size=12), max_size=12),
    threshold=st.sampled_from([0.3, 0.5, 0.7, 2 / 3, 1.0]),
)
def test_exactly_the_groups_of_comparing_everything_with_everything(texts: list[str], threshold: float) -> None:
    assert near_duplicate_groups(texts, threshold) == brute_force(texts, threshold)


def test_what_counts_as_nearly_the_same() -> None:
    texts = [
        "管仲，姬姓，管氏，名夷吾，字仲，春秋时期法家代表人物",
        "”管仲，姬姓，管氏，名夷吾，字仲，春秋时期法家代表人物[1]  ",
        "管仲 姬姓 管氏 名夷吾 字仲 春秋时期法家代表人物",
        "鲍叔牙，姒姓，鲍氏，春秋时期齐国大夫",
        "The band was formed in 1998 in Berlin.",
        "ＴＨＥ BAND was formed in 1998, in Berlin",
        "The band was formed in 1971 in Vienna.",
        "。",
        "！",
        "",
    ]
    assert near_duplicate_groups(texts) == [[0, 1, 2], [3], [4, 5], [6], [7], [8], [9]]
    assert near_duplicate_groups([]) == []


def corpus() -> list[Sentence]:
    """Ninety sentences in thirty groups of three, two of which alone show a predicate."""
    made = []
    for n in range(30):
        name = chr(0x4E00 + 7 * n) + chr(0x5E00 + 11 * n) + chr(0x6E00 + 5 * n)
        text = f"{name * 2}住在{name[::-1] * 2}"
        predicate = f"single{n}" if n < 2 else "居住地"
        triples = (Triple(name, predicate, name[::-1]),)
        made += [Sentence(text, triples), Sentence(text + "。", triples), Sentence(text + "！", triples)]
    return made


def test_parts_share_nothing_and_lose_nothing() -> None:
    sentences = corpus()
    split = split_corpus(sentences, 0.2, 0.2, seed=5)
    assert split.groups == 30 and split.grouped == 90 and len(split.largest) == 3
    assert {part: len(found) for part, found in split.parts.items()} == {"train": 54, "dev": 18, "test": 18}
    assert sorted(s.text for found in split.parts.values() for s in found) == sorted(s.text for s in sentences)
    sides = [{s.text.strip("。！") for s in split.parts[part]} for part in PARTS]
    assert not any(a & b for a, b in itertools.combinations(sides, 2))
    in_train = {t.predicate for s in split.parts["train"] for t in s.triples}
    assert {"single0", "single1"} <= in_train
    order = {id(sentence): n for n, sentence in enumerate(sentences)}
    for found in split.parts.values():
        assert [order[id(s)] for s in found] == sorted(order[id(s)] for s in found)


def test_the_seed_decides() -> None:
    first, again, other = (split_corpus(corpus(), seed=seed).parts for seed in (1, 1, 2))
    assert first == again != other


def test_real_sentences(shared: Path) -> None:
    sentences = load_corpus(shared / "data" / "duie1" / "dev_data.json")
    split = split_corpus(sentences, 0.1, 0.1)
    sets = {part: [shingles(s.text) for s in found] for part, found in split.parts.items()}
    assert [len(sets[part]) for part in PARTS] == [800, 100, 100]
    assert all(similarity(a, b) < 0.7 for a in sets["dev"] for b in sets["train"] + sets["test"])


def test_impossible_splits_are_refused() -> None:
    for shares in ((0.5, 0.5), (-0.1, 0.1), (float("nan"), 0.1)):
        with pytest.raises(UsageError, match="leave nothing to train on"):
            split_corpus(corpus(), *shares)
    with pytest.raises(UsageError, match="nothing is left for dev, test"):
        split_corpus(corpus()[:3])
    with pytest.raises(UsageError, match="similarity of 0"):
        split_corpus(corpus(), near=0)
    assert list(split_corpus(corpus()[:3], 0, 0).parts) == ["train"]


def test_the_command(tmp_path: Path) -> None:
    path, output = tmp_path / "corpus.jsonl", tmp_path / "parts"
    write_corpus(path, corpus())
    done = run("split", path, "-o", output, "--dev", "0.2", "--test", "0", "--json")
    assert done.code == 0, done
    report = json.loads(done.out)
    assert report["sentences"] == {"train": 72, "dev": 18} and report["sentences_with_near_duplicates"] == 90
    assert json.loads((output / "split.json").read_text()) == report
    assert len(load_corpus(output / "train.jsonl")) == 72 and not (output / "test.jsonl").exists()
    before = contents(output)
    refused(run("split", path, "-o", output), 2, "train.jsonl", "--force")
    assert contents(output) == before
    done = run("split", path, "-o", output, "--force")
    assert done.code == 0 and "each group of them is in one part" in done.err
    assert len(load_corpus(output / "test.jsonl")) == 9
    # What an earlier split put into a part that this one lacks is in another part now.
    assert run("split", path, "-o", output, "--test", "0", "--force").code == 0
    assert not (output / "test.jsonl").exists()
    before = contents(output)
    refused(run("split", output / "train.jsonl", "-o", output, "--force"), 2, "train.jsonl", "is read")
    assert contents(output) == before


def test_a_split_of_sentences_that_are_all_different(tmp_path: Path) -> None:
    split = split_corpus(tiny.sentences(24), 0.25, 0.0, near=1.0)
    assert "near-duplicate" in split.summary()
    assert sum(map(len, split.parts.values())) == 24
