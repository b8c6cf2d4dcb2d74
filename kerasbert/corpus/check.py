"""What a corpus holds, and what in it will cost quality, before anything is trained on it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from kerasbert.corpus.report import CorpusReport, Example, Finding, Lengths, SplitReport
from kerasbert.schema import Schema, Sentence, Triple

EXAMPLES = 5

# What each finding counts, in the order of the report.
_FINDINGS = {
    "unlabelled sentences": "sentences without a triple",
    "duplicated sentences": "sentences whose text stood in an earlier line",
    "conflicting sentences": "of these, sentences whose triples differ from the first one's",
    "repeated triples": "triples given twice in one sentence",
    "mentions not found": "subjects and objects that are no substring of the text",
    "found when folded": "of these, mentions found when case, white space and width (NFKC) are ignored",
    "type violations": "triples whose argument types the schema does not admit",
    "unknown predicates": "triples of a predicate that the schema does not hold",
    "unused predicates": "predicates of the schema that no triple uses",
    "overlapping arguments": "triples whose subject and object cannot be placed apart in the text",
    "one-character arguments": "subjects and objects of one character",
    "long sentences": "sentences of more than {max_tokens} tokens",
}


class _Tally:
    """Counts of every finding, with the first examples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[Example]] = {name: [] for name in _FINDINGS}

    def add(self, name: str, line: int, detail: str) -> None:
        self.counts[name] += 1
        if len(self.examples[name]) < EXAMPLES:
            self.examples[name].append(Example(line, detail))

    def findings(self, names: Iterable[str], max_tokens: int) -> tuple[Finding, ...]:
        return tuple(
            Finding(name, _FINDINGS[name].format(max_tokens=max_tokens), self.counts[name], tuple(self.examples[name]))
            for name in names
        )


def check_corpus(
    sentences: Iterable[Sentence],
    schema: Schema,
    lengths: Callable[[list[str]], Sequence[int]] | None = None,
    max_tokens: int = 510,
) -> CorpusReport:
    """Counts what a corpus holds and what in it contradicts itself, its texts or the schema.

    One pass; texts are remembered to find the ones that come again.

    Args:
      sentences: the corpus.
      schema: the predicates and the argument types they admit. A predicate without signatures admits all types, and
        an unknown type ("") agrees with all.
      lengths: numbers of tokens of a list of texts, special tokens not counted; without it no token is counted.
      max_tokens: sentences of more tokens are reported; BERT's 512 positions take 510 and two special tokens.
    """
    tally = _Tally()
    predicates: Counter[str] = Counter()
    characters: list[int] = []
    tokens: list[int] = []
    seen: dict[str, tuple[int, frozenset[tuple[str, str, str]]]] = {}
    batch: list[Sentence] = []

    def count_tokens() -> None:
        if lengths is None or not batch:
            return
        counts = [int(n) for n in lengths([sentence.text for sentence in batch])]
        tokens.extend(counts)
        for sentence, n in zip(batch, counts, strict=True):
            if n > max_tokens:
                tally.add("long sentences", sentence.line, f"{n} tokens: {_clip(sentence.text)}")
        batch.clear()

    for sentence in sentences:
        characters.append(len(sentence.text))
        predicates.update(triple.predicate for triple in sentence.triples)
        _check_text(sentence, seen, tally)
        _check_triples(sentence, schema, tally)
        if lengths is not None:
            batch.append(sentence)
            if len(batch) == 512:
                count_tokens()
    count_tokens()

    for name in schema.names:
        if name not in predicates:
            tally.add("unused predicates", 0, name)
    names = [name for name in _FINDINGS if lengths is not None or name != "long sentences"]
    return CorpusReport(
        sentences=len(characters),
        triples=predicates.total(),
        predicates={name: predicates[name] for name in (*schema.names, *(p for p in predicates if p not in schema))},
        characters=_quantiles(characters),
        tokens=_quantiles(tokens),
        findings=tally.findings(names, max_tokens),
    )


def split_report(train: Iterable[Sentence], dev: Iterable[Sentence]) -> SplitReport:
    """Compares two splits: texts they share, and what of dev train has never shown."""
    lines: dict[str, int] = {}
    triples: set[tuple[str, str, str]] = set()
    train_sentences = 0
    for sentence in train:
        train_sentences += 1
        lines.setdefault(sentence.text, sentence.line)
        triples |= _statements(sentence)
    known = {predicate for _, predicate, _ in triples}

    shared: list[Example] = []
    unseen: dict[tuple[str, str, str], Example] = {}
    unseen_predicates: dict[str, Example] = {}
    dev_triples: set[tuple[str, str, str]] = set()
    dev_sentences = 0
    for sentence in dev:
        dev_sentences += 1
        if sentence.text in lines:
            shared.append(Example(sentence.line, f"line {lines[sentence.text]} of train: {_clip(sentence.text)}"))
        for triple in sentence.triples:
            statement = triple.statement
            dev_triples.add(statement)
            if statement not in triples:
                unseen.setdefault(statement, Example(sentence.line, _show(triple)))
            if triple.predicate not in known:
                unseen_predicates.setdefault(triple.predicate, Example(sentence.line, triple.predicate))
    return SplitReport(
        train_sentences,
        dev_sentences,
        len(dev_triples),
        _finding("shared texts", "dev sentences whose text is in train", shared),
        _finding("unseen triples", "distinct triples of dev that are not in train", list(unseen.values())),
        _finding("unseen predicates", "predicates of dev that are not in train", list(unseen_predicates.values())),
    )


def _check_text(
    sentence: Sentence, seen: dict[str, tuple[int, frozenset[tuple[str, str, str]]]], tally: _Tally
) -> None:
    statements = _statements(sentence)
    if not sentence.triples:
        tally.add("unlabelled sentences", sentence.line, _clip(sentence.text))
    if sentence.text not in seen:
        seen[sentence.text] = (sentence.line, statements)
        return
    line, first = seen[sentence.text]
    tally.add("duplicated sentences", sentence.line, f"as line {line}: {_clip(sentence.text)}")
    if statements != first:
        more, fewer = len(statements - first), len(first - statements)
        tally.add(
            "conflicting sentences", sentence.line, f"{more} triples that line {line} lacks, {fewer} that only it has"
        )


def _check_triples(sentence: Sentence, schema: Schema, tally: _Tally) -> None:
    text, line = sentence.text, sentence.line
    folded: str | None = None
    counts = Counter((t.subject, t.predicate, t.object, t.subject_span, t.object_span) for t in sentence.triples)
    for (subject, predicate, object_, *_), n in counts.items():
        for _ in range(n - 1):
            tally.add("repeated triples", line, f"({subject}, {predicate}, {object_})")
    for triple in sentence.triples:
        for mention in (triple.subject, triple.object):
            if len(mention) == 1:
                tally.add("one-character arguments", line, _show(triple))
            if mention not in text:
                tally.add("mentions not found", line, f"{_clip(mention)} in {_clip(text)}")
                folded = _fold(text) if folded is None else folded
                if _fold(mention) in folded:
                    tally.add("found when folded", line, f"{_clip(mention)} in {_clip(text)}")
        if _overlap(triple, text):
            tally.add("overlapping arguments", line, _show(triple))
        if triple.predicate not in schema:
            tally.add("unknown predicates", line, _show(triple))
        elif not _admitted(triple, schema):
            tally.add("type violations", line, f"{_show(triple)}: {triple.subject_type} - {triple.object_type}")


def _admitted(triple: Triple, schema: Schema) -> bool:
    signatures = schema[triple.predicate].signatures
    return not signatures or any(
        triple.subject_type in ("", subject_type) and triple.object_type in ("", object_type)
        for subject_type, object_type in signatures
    )


def _overlap(triple: Triple, text: str) -> bool:
    if triple.subject_span is not None and triple.object_span is not None:
        return triple.subject_span.start < triple.object_span.end and triple.object_span.start < triple.subject_span.end
    subject, object_ = text.find(triple.subject), text.find(triple.object)
    if subject < 0 or object_ < 0:
        return False
    # The first place of one and the last place of the other are the farthest apart that the two can stand.
    return subject + len(triple.subject) > text.rfind(triple.object) and object_ + len(triple.object) > text.rfind(
        triple.subject
    )


def _fold(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _statements(sentence: Sentence) -> frozenset[tuple[str, str, str]]:
    return frozenset(triple.statement for triple in sentence.triples)


def _quantiles(values: list[int]) -> Lengths | None:
    if not values:
        return None
    ordered = sorted(values)

    def at(percent: int) -> int:
        return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]

    return Lengths(sum(ordered) / len(ordered), ordered[0], at(50), at(90), at(95), at(99), ordered[-1])


def _finding(name: str, meaning: str, examples: list[Example]) -> Finding:
    return Finding(name, meaning, len(examples), tuple(examples[:EXAMPLES]))


def _show(triple: Triple) -> str:
    return f"({triple.subject}, {triple.predicate}, {triple.object})"


def _clip(text: str, width: int = 40) -> str:
    return repr(text if len(text) <= width else text[:width] + "...")
