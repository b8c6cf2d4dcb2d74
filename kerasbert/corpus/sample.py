"""The embedded sample corpus: generated Chinese sentences over the predicates of DuIE 1.0, to try everything with.

Sentences come from the project's own templates and every name in them is invented, so nothing is downloaded and
nothing is copied from a data set. A small model learns it from random weights, yet not by heart: the names of the
three splits are different strings made of the same characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from kerasbert.corpus.sample_frames import FRAMES, Frame
from kerasbert.corpus.sample_grammar import SPLITS, Generator, Template, literal_text, rename_slots, slot_kind
from kerasbert.corpus.sample_names import RULES, WORDS
from kerasbert.corpus.sample_templates import LEADS, NEGATIVES, SENTENCES, TAILS
from kerasbert.errors import UsageError
from kerasbert.schema import Schema, Sentence, Triple

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 150
MAX_TRIPLES: Final = 5

_NEGATIVE_SHARE: Final = 0.1
_FRAME_SHARE: Final = 0.6
_PAIR_SHARE: Final = 0.015
_LEAD_SHARE: Final = 0.2
_TAIL_SHARE: Final = 0.6
_RIVAL_SHARE: Final = 0.1
_EXTRA_CLAUSES: Final = (1, 2, 3, 3, 4, 5, 6)

# The schema of DuIE 1.0: predicate, subject type, object type.
_SIGNATURES: Final = """
祖籍 人物 地点
父亲 人物 人物
总部地点 企业 地点
出生地 人物 地点
目 生物 目
面积 行政区 Number
简称 机构 Text
上映时间 影视作品 Date
妻子 人物 人物
所属专辑 歌曲 音乐专辑
注册资本 企业 Number
首都 国家 城市
导演 影视作品 人物
字 历史人物 Text
身高 人物 Number
出品公司 影视作品 企业
修业年限 学科专业 Number
出生日期 人物 Date
制片人 影视作品 人物
母亲 人物 人物
编剧 影视作品 人物
国籍 人物 国家
海拔 地点 Number
连载网站 网络小说 网站
丈夫 人物 人物
朝代 历史人物 Text
民族 人物 Text
号 历史人物 Text
出版社 书籍 出版社
主持人 电视综艺 人物
专业代码 学科专业 Text
歌手 歌曲 人物
作词 歌曲 人物
主角 网络小说 人物
董事长 企业 人物
成立日期 机构 Date
毕业院校 人物 学校
占地面积 机构 Number
官方语言 国家 语言
邮政编码 行政区 Text
人口数量 行政区 Number
所在城市 景点 城市
作者 图书作品 人物
成立日期 企业 Date
作曲 歌曲 人物
气候 行政区 气候
嘉宾 电视综艺 人物
主演 影视作品 人物
改编自 影视作品 作品
创始人 企业 人物
"""


@dataclass(frozen=True, slots=True)
class SampleCorpus:
    """The three splits of the sample corpus and the schema that they follow."""

    train: list[Sentence]
    dev: list[Sentence]
    test: list[Sentence]
    schema: Schema


def sample_schema() -> Schema:
    """The 49 predicates of DuIE 1.0 with their argument types; 成立日期 has two subject types."""
    rows = (line.split() for line in _SIGNATURES.split("\n") if line)
    return Schema.from_signatures((predicate, subject, object_) for predicate, subject, object_ in rows)


def sample_corpus(seed: int = 2019, train: int = 3000, dev: int = 300, test: int = 500) -> SampleCorpus:
    """The whole sample corpus; the same arguments give the same corpus everywhere.

    Args:
      seed: where the generation starts.
      train, dev, test: how many sentences each split gets.
    """
    return SampleCorpus(
        train=generate(train, seed, "train"),
        dev=generate(dev, seed, "dev"),
        test=generate(test, seed, "test"),
        schema=sample_schema(),
    )


def generate(count: int, seed: int, split: str = "train") -> list[Sentence]:
    """Sentences of one split, all different, with the exact character offsets of every argument.

    Predicates take turns, so 60 sentences name each of the 49 at least once with few exceptions and 300 always do.

    Args:
      count: how many sentences.
      seed: where the sequence starts; a longer sequence of one seed begins with the shorter one.
      split: "train", "dev" or "test"; a name of one never occurs in another.

    Raises:
      UsageError: a negative count, or a split of another name.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r} in the sample corpus", hint=f"use one of {', '.join(SPLITS)}")
    if count < 0:
        raise UsageError(f"{count} sentences were asked for", hint="ask for 0 or more")
    generator = Generator(seed, split)
    schema = sample_schema()
    turns = _turns(generator, schema)
    seen: set[str] = set()
    sentences: list[Sentence] = []
    while len(sentences) < count:
        sentence = _realise(generator, _plan(generator, turns), schema)
        if MIN_LENGTH <= len(sentence.text) <= MAX_LENGTH and sentence.text not in seen:
            seen.add(sentence.text)
            sentences.append(sentence)
    return sentences


def sample_vocabulary() -> list[str]:
    """The WordPiece vocabulary of the sample corpus: one entry for each line of a ``vocab.txt``, lower case.

    [PAD] has id 0 and [unused1] to [unused99] the ids 1 to 99, as in the released Chinese BERT. After the special
    tokens come every character of the templates and names of all splits, then pieces for Latin words and numbers, in
    the form that starts a word and in the form that continues one.
    """
    special = ["[PAD]", *(f"[unused{i}]" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    text = " ".join(_literals()).lower()
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    digits = [str(digit) for digit in range(10)]
    characters = {*text, *letters, *digits} - {" "}
    words = {word for word in re.findall("[a-z]+", text) if len(word) > 1}
    numbers = [str(year) for year in range(1950, 2030)]
    continuations = [*letters, *digits, *sorted(words), "00"]
    return [*special, *sorted(characters), *sorted(words), *numbers, *(f"##{piece}" for piece in continuations)]


def _literals() -> Iterator[str]:
    yield from chain(LEADS, TAILS, "，。；")
    yield from chain.from_iterable(WORDS.values())
    for template in chain(SENTENCES, NEGATIVES, *(frame.clauses for frame in FRAMES)):
        yield literal_text(template.text)
    for notation in chain(*RULES.values(), *(frame.openers for frame in FRAMES)):
        yield literal_text(notation)


def _turns(generator: Generator, schema: Schema) -> Iterator[str]:
    # Which person of a sentence is meant only the words beside the name tell: these predicates take two turns a round.
    names = [p.name for p in schema for _ in range(2 if p.signatures[0].object_type == "人物" else 1)]
    while True:
        yield from generator.shuffled(names)


def _plan(generator: Generator, turns: Iterator[str]) -> Template:
    """The template of a whole sentence, its choices settled."""
    if generator.chance(_NEGATIVE_SHARE):
        plan = rename_slots(generator.choose(generator.pick(NEGATIVES)), "0")
    else:
        plan = _statement(generator, next(turns), "0")
        if generator.chance(_PAIR_SHARE):
            second = _statement(generator, next(turns), "1")
            if _fits(plan, second) and not _kinds(plan) & _kinds(second):
                plan = Template(f"{plan.text}{generator.pick('。；')}{second.text}", plan.claims + second.claims)
    text = plan.text
    if generator.chance(_LEAD_SHARE):
        text = generator.pick(LEADS) + text
    if generator.chance(_TAIL_SHARE):
        text += "，" + generator.pick(TAILS)
    if text[-1] not in "。？”":
        text += generator.pick(("。", "。", ""))
    return Template(text, plan.claims)


def _statement(generator: Generator, predicate: str, part: str) -> Template:
    """A template that states a triple of the predicate, its slots ending in the number of the part."""
    frames = [frame for frame in FRAMES if any(predicate in clause.predicates for clause in frame.clauses)]
    if frames and generator.chance(_FRAME_SHARE):
        return _framed(generator, generator.pick(frames), predicate, part)
    fitting = [template for template in SENTENCES if predicate in template.predicates]
    while True:
        template = rename_slots(generator.choose(generator.pick(fitting)), part)
        if predicate in template.predicates and (not _rivals(template) or generator.chance(_RIVAL_SHARE)):
            return template


def _framed(generator: Generator, frame: Frame, predicate: str, part: str) -> Template:
    subject = f"{frame.kind}_{part}"
    opener = generator.choose(Template(generator.pick(frame.openers)))
    wanted = generator.pick([clause for clause in frame.clauses if predicate in clause.predicates])
    others = [clause for clause in generator.shuffled(frame.clauses) if clause is not wanted]
    clauses: list[Template] = []
    stated = Template("")
    for number, clause in enumerate((wanted, *others[: generator.pick(_EXTRA_CLAUSES)])):
        clause = rename_slots(generator.choose(clause), f"{part}{number}", subject)
        both = Template("", stated.claims + clause.claims)
        if _fits(stated, clause) and (not _rivals(both) or generator.chance(_RIVAL_SHARE)):
            clauses.append(clause)
            stated = both
    start = rename_slots(opener, f"{part}9", subject).text
    texts = (clause.text for clause in generator.shuffled(clauses))
    return Template(frame.separator.join((start, *texts)), stated.claims)


def _fits(plan: Template, other: Template) -> bool:
    """Whether both can stand in one sentence: no predicate of two subjects, and not too many triples."""
    return not plan.predicates & other.predicates and len(plan.claims) + len(other.claims) <= MAX_TRIPLES


def _kinds(plan: Template) -> set[str]:
    return {slot_kind(slot) for claim in plan.claims for slot in (claim.subject, claim.object)}


def _rivals(plan: Template) -> bool:
    """Whether two predicates have different objects of one kind: only the words beside them tell which is which."""
    kinds: dict[str, tuple[str, str]] = {}
    for claim in plan.claims:
        predicate, slot = kinds.setdefault(slot_kind(claim.object), (claim.predicate, claim.object))
        if predicate != claim.predicate and slot != claim.object:
            return True
    return False


def _realise(generator: Generator, plan: Template, schema: Schema) -> Sentence:
    text, mentions = generator.fill(plan)
    triples = []
    for claim in plan.claims:
        subject, object_ = mentions[claim.subject], mentions[claim.object]
        signatures = schema[claim.predicate].signatures
        # Of the two signatures of 成立日期 the one for companies comes second.
        signature = signatures[-1] if subject.kind == "company" else signatures[0]
        triples.append(
            Triple(
                subject=text[slice(*subject.span)],
                predicate=claim.predicate,
                object=text[slice(*object_.span)],
                subject_type=signature.subject_type,
                object_type=signature.object_type,
                subject_span=subject.span,
                object_span=object_.span,
            )
        )
    return Sentence(text, tuple(triples))
