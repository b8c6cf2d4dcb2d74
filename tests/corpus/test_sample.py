"""The embedded corpus: the same everywhere, exact in its offsets, and with new names in every split."""

from __future__ import annotations

import hashlib
import json

import pytest

from kerasbert.corpus.sample import SampleCorpus, generate, sample_corpus, sample_schema, sample_vocabulary
from kerasbert.errors import UsageError
from kerasbert.schema import Sentence

# Changes whenever the corpus does: then the figures that were measured on it have to be measured again.
DIGEST = "56cc2294c88eb525f1a19cfef1f1d2e0fffcf4d8f0497a13e06e74c244bda855"

NAMED = ("人物", "影视作品", "书籍", "图书作品", "歌曲", "企业", "机构", "网络小说", "音乐专辑")


@pytest.fixture(scope="module")
def corpus() -> SampleCorpus:
    return sample_corpus()


def digest(sentences: list[Sentence]) -> str:
    lines = "\n".join(json.dumps(s.to_dict(), ensure_ascii=False, sort_keys=True) for s in sentences)
    return hashlib.sha256(lines.encode()).hexdigest()


def test_deterministic(corpus: SampleCorpus) -> None:
    assert digest([*corpus.train, *corpus.dev, *corpus.test]) == DIGEST
    assert digest(generate(50, 2019, "dev")) == digest(corpus.dev[:50])
    assert digest(generate(50, 2020, "dev")) != digest(corpus.dev[:50])


def test_every_predicate_in_every_split(corpus: SampleCorpus) -> None:
    for split in (corpus.train, corpus.dev, corpus.test):
        assert {t.predicate for s in split for t in s.triples} == set(sample_schema().names)
    assert len(sample_schema()) == 49


def test_offsets_and_types(corpus: SampleCorpus) -> None:
    schema = corpus.schema
    for sentence in [*corpus.train, *corpus.dev, *corpus.test]:
        for triple in sentence.triples:
            assert triple.subject_span is not None and triple.object_span is not None
            assert sentence.text[slice(*triple.subject_span)] == triple.subject
            assert sentence.text[slice(*triple.object_span)] == triple.object
            assert (triple.subject_type, triple.object_type) in schema[triple.predicate].signatures


def test_names_of_held_out_splits_are_new(corpus: SampleCorpus) -> None:
    def names(split: list[Sentence]) -> set[str]:
        return {
            name
            for s in split
            for t in s.triples
            for name, kind in ((t.subject, t.subject_type), (t.object, t.object_type))
            if kind in NAMED and len(name) > 1
        }

    train, dev, test = names(corpus.train), names(corpus.dev), names(corpus.test)
    assert min(len(train), len(dev), len(test)) > 100
    assert not train & dev and not train & test and not dev & test


def test_held_out_names_are_made_of_known_characters(corpus: SampleCorpus) -> None:
    known = {character for s in corpus.train for character in s.text}
    unknown = {character for s in corpus.test for character in s.text} - known
    assert len(unknown) <= 5


def test_the_difficulties_are_there(corpus: SampleCorpus) -> None:
    train = corpus.train
    triples = [t for s in train for t in s.triples]
    assert 0.05 < sum(not s.triples for s in train) / len(train) < 0.3
    assert max(len(s.triples) for s in train) >= 4
    assert any(len(t.object) == 1 or len(t.subject) == 1 for t in triples)
    assert any(" " in t.subject or " " in t.object for t in triples)
    assert any(t.object.isascii() and t.object.replace(" ", "").isalpha() for t in triples)
    assert any("年" in t.object for t in triples)
    assert any(t.object in t.subject or t.subject in t.object for t in triples)
    assert any(len({t.subject for t in s.triples}) == 1 and len(s.triples) > 1 for s in train)
    assert any(len({t.predicate for t in s.triples}) < len(s.triples) for s in train)


def test_the_vocabulary_covers_every_character(corpus: SampleCorpus) -> None:
    vocabulary = sample_vocabulary()
    assert vocabulary[0] == "[PAD]" and vocabulary[1] == "[unused1]" and len(set(vocabulary)) == len(vocabulary)
    characters = {c.lower() for s in [*corpus.train, *corpus.dev, *corpus.test] for c in s.text if not c.isspace()}
    assert not characters - set(vocabulary)


def test_refuses_what_it_cannot_generate() -> None:
    with pytest.raises(UsageError, match="split"):
        generate(1, 0, "validation")
    with pytest.raises(UsageError, match="-1"):
        generate(-1, 0)
