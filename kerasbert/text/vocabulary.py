"""The wordpiece vocabulary of a BERT checkpoint: one token a line, the line's number minus one being its id."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from kerasbert.errors import InputError, UsageError
from kerasbert.files import atomic_write, require_file

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
_WHAT = "a vocabulary (vocab.txt, one token a line)"
# What is left of a line that held nothing but white space, alone or as a continuation. Released vocabularies have such
# lines (U+2028 is token 343 of the Chinese ones): they keep their id, and no text can reach them.
_BLANK = ("", "##")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id.

    Attributes:
      tokens: the tokens in the order of their ids, white space around them stripped as BERT does.
      raw: the bytes of the file they came from, which `save` writes again; None for tokens given directly.

    Raises:
      InputError: a special token is missing, or a token occurs twice.
    """

    tokens: tuple[str, ...]
    raw: bytes | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(token.strip() for token in self.tokens))
        _check(self.tokens, None)

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Reads a vocabulary file: UTF-8, lines ended by a line feed and by nothing else.

        Raises:
          InputError: no such file, a directory, empty, not UTF-8, a special token missing, or a token named twice.
        """
        path = require_file(path, _WHAT)
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            hint = "save the file as UTF-8, or take the vocab.txt that came with the checkpoint"
            raise InputError(f"not UTF-8; {_WHAT} is expected", path=path, line=line, hint=hint) from error
        if not text.strip():
            raise InputError(f"is empty; {_WHAT} is expected", path=path, hint="copy the file again")
        # A token may itself be a line separator (U+2028), at which str.splitlines would end the line.
        lines = text.removesuffix("\n").split("\n")
        tokens = tuple(line.strip() for line in lines)
        _check(tokens, path)
        return cls(tokens, raw)

    def save(self, path: str | Path) -> None:
        """Writes the vocabulary file atomically, byte for byte as it was loaded.

        Raises:
          InputError: the file cannot be written.
        """
        with atomic_write(path, "wb") as handle:
            handle.write(self._bytes())

    def with_predicate_tokens(self, count: int) -> tuple[Vocabulary, tuple[int, ...]]:
        """A vocabulary with one token for each predicate, and the ids of these tokens.

        They are [unused1], [unused2], ... where the vocabulary holds `count` of them: their embeddings exist in the
        checkpoint and no text uses them. Otherwise all are [predicate1], [predicate2], ..., appended at the end unless
        already there; the model's word embeddings then have to grow to the new length.

        Raises:
          UsageError: `count` is negative.
        """
        if count < 0:
            raise UsageError(f"{count} predicate tokens were asked for", hint="ask for one token for each predicate")
        unused = [f"[unused{k}]" for k in range(1, count + 1)]
        if all(token in self for token in unused):
            return self, tuple(self.id(token) for token in unused)
        wanted = [f"[predicate{k}]" for k in range(1, count + 1)]
        missing = [token for token in wanted if token not in self]
        raw = self._bytes()
        ended = b"" if raw.endswith(b"\n") else b"\n"
        added = "".join(f"{token}\n" for token in missing).encode()
        extended = Vocabulary(self.tokens + tuple(missing), raw + ended + added) if missing else self
        return extended, tuple(extended.id(token) for token in wanted)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def id(self, token: str) -> int:
        """The id of a token; KeyError when the vocabulary does not hold it."""
        return self._ids[token]

    @property
    def pad_id(self) -> int:
        """The id of [PAD], which fills up batches."""
        return self._ids[PAD]

    @property
    def unk_id(self) -> int:
        """The id of [UNK], which stands for a word without wordpieces."""
        return self._ids[UNK]

    @property
    def cls_id(self) -> int:
        """The id of [CLS], with which every input begins."""
        return self._ids[CLS]

    @property
    def sep_id(self) -> int:
        """The id of [SEP], which ends every segment."""
        return self._ids[SEP]

    @property
    def mask_id(self) -> int | None:
        """The id of [MASK], None in a vocabulary without it."""
        return self._ids.get(MASK)

    @functools.cached_property
    def sha256(self) -> str:
        """Hexadecimal digest of the tokens: equal for files that differ in line ends alone."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {token: k for k, token in enumerate(self.tokens)}

    def _bytes(self) -> bytes:
        return "".join(f"{token}\n" for token in self.tokens).encode() if self.raw is None else self.raw


def _check(tokens: tuple[str, ...], path: Path | None) -> None:
    """Refuses tokens without the special ones or with repetitions; lines are counted from 1."""
    missing = [token for token in (PAD, UNK, CLS, SEP) if token not in tokens]
    if missing:
        raise InputError(
            f"no line reads {' or '.join(missing)}; {_WHAT} is expected",
            path=path,
            hint="take the vocab.txt that came with the checkpoint; its special tokens are written in capitals",
        )
    for number, token in enumerate(tokens, 1):
        if "\n" in token:
            raise InputError(f"token {number} holds a line feed: {token!r}", path=path, hint="give one token a line")
    if len(set(tokens)) == len(tokens):
        return
    lines: dict[str, list[int]] = {}
    for number, token in enumerate(tokens, 1):
        if token not in _BLANK:
            lines.setdefault(token, []).append(number)
    twice = [(token, numbers) for token, numbers in lines.items() if len(numbers) > 1]
    if twice:
        shown = "; ".join(f"{token!r} on lines {', '.join(map(str, numbers))}" for token, numbers in twice[:5])
        more = f"; and {len(twice) - 5} more" if len(twice) > 5 else ""
        raise InputError(
            f"tokens stand there more than once: {shown}{more}",
            path=path,
            line=twice[0][1][1],
            hint="ids follow the lines, so do not delete any: take the vocab.txt that came with the checkpoint",
        )
