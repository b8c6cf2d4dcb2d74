"""The notation of the sample corpus: from templates with named slots to sentences with exact offsets.

``{person}``    a name of that kind; a digit tells two of a kind apart: ``{person2}``.
``{~person}``   the same name once more, an occurrence that carries no annotation.
``<book:...>``  a mention made of what is inside, for arguments that contain one another.
``[a|b|]``      one of the alternatives, which may hold slots and further choices.

A template is one record, ``TEXT => subject predicate object; subject predicate object``, its arguments named by their
slots. A triple is dropped when a choice left one of its slots out, so one record serves several sentences.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from kerasbert.corpus.sample_names import HELD_OUT, RULES, WORDS
from kerasbert.schema import Span

SPLITS: Final = ("train", "dev", "test")

_CHOICE: Final = re.compile(r"\[([^\[\]]*)\]")
_SLOT: Final = re.compile(r"(?<=[{<~])[a-z]+[0-9]*")
_PIECE: Final = re.compile(r"<(?P<open>\w+):|(?P<close>>)|\{(?P<again>~?)(?P<slot>\w+)\}|(?P<text>[^<>{}]+)")
_NESTED: Final = re.compile(r"\{(\w+)\}")

Item = TypeVar("Item")


class Claim(NamedTuple):
    """A triple of a template: the slots of its arguments around the predicate."""

    subject: str
    predicate: str
    object: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text in the notation above with the triples that it states."""

    text: str
    claims: tuple[Claim, ...] = ()

    @property
    def predicates(self) -> frozenset[str]:
        return frozenset(claim.predicate for claim in self.claims)


class Mention(NamedTuple):
    """Where the name of a slot stands in the finished text."""

    kind: str
    span: Span


def parse_templates(block: str) -> tuple[Template, ...]:
    """Reads one template a line; a line that starts with a space continues the one before."""
    lines = re.sub(r"\n +", " ", block.strip()).split("\n")
    return tuple(_parse_template(line) for line in lines)


def _parse_template(line: str) -> Template:
    text, _, claims = line.partition("=>")
    return Template(text.strip(), tuple(Claim(*claim.split()) for claim in claims.split(";") if claim.strip()))


def rename_slots(template: Template, suffix: str, subject: str = "") -> Template:
    """Sets the slots of a template apart from those of others that it is joined with.

    Args:
      template: what to rename.
      suffix: digits that go behind every slot.
      subject: the slot that ``s`` stands for, taken as it is.
    """

    def renamed(slot: str) -> str:
        return subject if slot == "s" else f"{slot}_{suffix}"

    claims = (Claim(renamed(claim.subject), claim.predicate, renamed(claim.object)) for claim in template.claims)
    return Template(_SLOT.sub(lambda match: renamed(match[0]), template.text), tuple(claims))


def slot_kind(slot: str) -> str:
    """The kind of name that a slot takes: ``person`` for ``person2_1``."""
    return slot.rstrip("_0123456789")


def literal_text(notation: str) -> str:
    """What a template or rule contributes of itself, its slots and choices taken out."""
    return re.sub(r"\{~?\w+\}|<\w+:|[<>\[\]|]", " ", notation)


class Generator:
    """Makes the choices of one split.

    Only `random.Random.random` is drawn from: it is the one method whose sequence Python promises to keep.

    Args:
      seed: where the sequence starts.
      split: which names are drawn, one of `SPLITS`.
    """

    def __init__(self, seed: int, split: str) -> None:
        self.split = split
        self._random = random.Random(f"{seed} {split}").random

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self._random() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely as the others."""
        return items[int(self._random() * len(items))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in another order."""
        rest, order = list(items), []
        while rest:
            order.append(rest.pop(int(self._random() * len(rest))))
        return order

    def choose(self, template: Template) -> Template:
        """Settles the choices of a template, and leaves out the triples whose slots went with them.

        The slot ``s``, a subject that the text itself may not name, is taken to be there.
        """
        text = template.text
        while match := _CHOICE.search(text):
            text = text[: match.start()] + self.pick(match[1].split("|")) + text[match.end() :]
        slots = {"s"} | {match["open"] or match["slot"] for match in _PIECE.finditer(text) if not match["again"]}
        return Template(text, tuple(c for c in template.claims if c.subject in slots and c.object in slots))

    def draw(self, kind: str) -> str:
        """A name of a kind; kinds of `HELD_OUT` are drawn until one belongs to this split."""
        while True:
            name = self.pick(WORDS[kind]) if kind in WORDS else self._compose(self.pick(RULES[kind]))
            if kind not in HELD_OUT or name_split(name) == self.split:
                return name

    def _compose(self, rule: str) -> str:
        return _NESTED.sub(lambda match: self.draw(match[1]), self.choose(Template(rule)).text)

    def fill(self, template: Template) -> tuple[str, dict[str, Mention]]:
        """Draws the names of a template whose choices are settled.

        Returns:
          The text, and for every slot the mention where it is annotated.
        """
        text = ""
        names: dict[str, str] = {}
        mentions: dict[str, Mention] = {}
        open_mentions: list[tuple[str, int]] = []
        for match in _PIECE.finditer(template.text):
            if match["open"]:
                open_mentions.append((match["open"], len(text)))
            elif match["close"]:
                slot, start = open_mentions.pop()
                mentions[slot] = Mention(slot_kind(slot), Span(start, len(text)))
            elif match["slot"]:
                slot = match["slot"]
                if slot not in names:
                    names[slot] = self._draw_new(slot_kind(slot), names)
                start = len(text)
                text += names[slot]
                if not match["again"]:
                    mentions[slot] = Mention(slot_kind(slot), Span(start, len(text)))
            else:
                text += match["text"]
        return text, mentions

    def _draw_new(self, kind: str, names: dict[str, str]) -> str:
        while (name := self.draw(kind)) in names.values():
            pass
        return name


def name_split(name: str) -> str:
    """The split that a name belongs to: six in eight to train, one each to dev and test, by its CRC-32."""
    return SPLITS[max(0, zlib.crc32(name.encode("utf-8")) % 8 - 5)]
