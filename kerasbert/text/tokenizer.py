"""BERT's tokenizer as a TensorFlow graph: the original's ids, and character offsets into the caller's own text."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from kerasbert.errors import InputError, UsageError
from kerasbert.keras import tf
from kerasbert.text.normalization import CODE_POINTS, Characters, CodePointTable, Normalizer
from kerasbert.text.vocabulary import UNK, Vocabulary

# After kerasbert.keras, which chooses the Keras that tensorflow_text builds on.
import tensorflow_text as tf_text  # isort: skip

_LONGEST_WORD = 200  # characters; BERT gives up on longer words
_LONGEST_PIECE = 255  # bytes of UTF-8; tensorflow_text refuses longer vocabulary entries
_PREFIX = "##"
_CASED = 0x20000  # no code point from here on has letter case
_CHUNK = 1 << 20  # characters handed to the graph at a time, which bounds the memory of its intermediate results

CAPITAL = 1 << 20
"""What a tokenizer that marks capitals adds to the ids of tokens that begin with one; vocabularies are smaller."""


class Tokens(NamedTuple):
    """Tokens of a batch of texts.

    Attributes:
      ids: int32 ragged [texts, (tokens)], without [CLS] and [SEP].
      starts, ends: int32 ragged [texts, (tokens)]; ``text[start:end]`` is what the token stands for, counted in
        characters (code points) of the text that was handed in. Accents that were stripped belong to the letter
        before them.
    """

    ids: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


class Encoded(NamedTuple):
    """Tokens of a batch of texts as flat arrays: those of text i are ``[row_splits[i]:row_splits[i + 1]]``.

    Attributes:
      ids, starts, ends: int32 [tokens], as in `Tokens`.
      row_splits: int64 [texts + 1].
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    row_splits: np.ndarray


class _Pieces(NamedTuple):
    """Flat tokens; `firsts` is the index of each one's first character in `code_points`, the normalised texts."""

    ids: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    row_splits: tf.Tensor
    firsts: tf.Tensor
    code_points: tf.Tensor


class Tokenizer(tf.Module):
    """Text to wordpiece ids, exactly as BERT's own FullTokenizer (Unicode 11) computes them.

    A call is a graph of TensorFlow operations without Python in it: it works in tf.data, in tf.function and in a
    SavedModel (load that where tensorflow_text is imported).

    Args:
      vocabulary: the wordpieces.
      lower_case: lower-case texts and strip accents: True for uncased checkpoints and the released Chinese one.
      mark_capitals: add `CAPITAL` to the id of every token that begins with a capital letter in the text.

    Raises:
      InputError: a vocabulary entry is longer than tensorflow_text allows.
    """

    def __init__(self, vocabulary: Vocabulary, lower_case: bool = True, mark_capitals: bool = False) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.lower_case = lower_case
        self.mark_capitals = mark_capitals
        self._normalizer = Normalizer(lower_case)
        single = np.full(CODE_POINTS, vocabulary.unk_id, np.int32)
        for k, token in enumerate(vocabulary.tokens):
            if len(token) == 1:
                single[ord(token)] = k
        self._single = CodePointTable(single)
        self._capital = _capitals() if mark_capitals else None
        with tf.device("CPU:0"):
            self._wordpiece = tf_text.FastWordpieceTokenizer(
                _reachable(vocabulary),
                suffix_indicator=_PREFIX,
                max_bytes_per_word=4 * _LONGEST_WORD,
                token_out_type=tf.int32,
                unknown_token=UNK,
                no_pretokenization=True,
                support_detokenization=False,
            )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def __call__(self, texts: tf.Tensor) -> Tokens:
        """Tokenizes a batch of texts.

        Args:
          texts: string [N], UTF-8. Each ill-formed sequence of bytes counts as one character, as in
            ``bytes.decode(errors="replace")``, and is dropped.
        """
        with tf.device("CPU:0"):
            decoded = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
            pieces = self._tokenize(decoded.values, decoded.row_splits)
            ids = tf.RaggedTensor.from_row_splits(pieces.ids, pieces.row_splits, validate=False)
            return Tokens(ids, ids.with_values(pieces.starts), ids.with_values(pieces.ends))

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Tokenizes Python strings eagerly, any number in one call.

        Lone surrogates, which UTF-8 cannot express, are dropped like control characters and counted as one character.

        Raises:
          UsageError: a single string instead of a sequence of them.
        """
        runs = list(self._runs(texts))
        lengths = [np.diff(run.row_splits) for run in runs]
        ids, starts, ends = (np.concatenate([run[k] for run in runs]) for k in range(3))
        return Encoded(ids, starts, ends, np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64))

    def tokens(self, text: str) -> list[str]:
        """The wordpieces of a text as strings, like the original's ``tokenize``."""
        return self.tokens_batch([text])[0]

    def tokens_not_unknown(self, text: str) -> list[str]:
        """The wordpieces of a text with normalised words in place of [UNK], like the original's ``tokenize_not_UNK``.

        Words of more than 200 characters stay [UNK].
        """
        return self.tokens_not_unknown_batch([text])[0]

    def tokens_batch(self, texts: Sequence[str]) -> list[list[str]]:
        """`tokens` of many texts."""
        names = self.vocabulary.tokens
        encoded = self.encode(texts)
        tokens = [names[k % CAPITAL] for k in encoded.ids.tolist()]
        return [tokens[start:end] for start, end in pairwise(encoded.row_splits.tolist())]

    def tokens_not_unknown_batch(self, texts: Sequence[str]) -> list[list[str]]:
        """`tokens_not_unknown` of many texts."""
        names, unknown = self.vocabulary.tokens, self.vocabulary.unk_id
        rows: list[list[str]] = []
        for run in self._runs(texts):
            ids = run.ids % CAPITAL
            tokens = [names[k] for k in ids.tolist()]
            lasts = np.append(run.firsts[1:], run.code_points.size)
            for k in np.flatnonzero((ids == unknown) & (lasts - run.firsts <= _LONGEST_WORD)).tolist():
                tokens[k] = "".join(map(chr, run.code_points[run.firsts[k] : lasts[k]].tolist()))
            rows.extend(tokens[start:end] for start, end in pairwise(run.row_splits.tolist()))
        return rows

    def _runs(self, texts: Sequence[str]) -> Iterator[_Pieces]:
        """The results for consecutive stretches of the texts, as numpy arrays; one for no text at all."""
        if isinstance(texts, str):
            raise UsageError("one string was given where several texts are expected", hint="put it into a list: [text]")
        splits = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        first = 0
        while True:
            # As many texts as fit, but at least one.
            end = max(int(np.searchsorted(splits, splits[first] + _CHUNK, side="right")) - 1, first + 1)
            end = min(end, len(texts))
            raw = "".join(texts[first:end]).encode("utf-32-le", errors="surrogatepass")
            pieces = self._tokenize_code_points(np.frombuffer(raw, np.int32), splits[first : end + 1] - splits[first])
            yield _Pieces(*(tensor.numpy() for tensor in pieces))
            first = end
            if first >= len(texts):
                return

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int64)], autograph=False)
    def _tokenize_code_points(self, code_points: tf.Tensor, row_splits: tf.Tensor) -> _Pieces:
        with tf.device("CPU:0"):
            return self._tokenize(code_points, row_splits)

    def _tokenize(self, code_points: tf.Tensor, row_splits: tf.Tensor) -> _Pieces:
        row_splits = tf.cast(row_splits, tf.int32)
        characters = self._normalizer(code_points, row_splits)
        ids = self._ids_at(characters)
        firsts = tf.cast(tf.where(ids >= 0)[:, 0], tf.int32)
        starts = tf.gather(characters.starts, firsts)
        ends = tf.gather(characters.ends, tf.concat([firsts, tf.shape(ids)], 0)[1:] - 1)
        token_splits = tf.searchsorted(starts, row_splits, out_type=tf.int64)
        row_starts = tf.repeat(row_splits[:-1], token_splits[1:] - token_splits[:-1])
        ids = tf.gather(ids, firsts)
        if self._capital is not None:
            ids += self._capital(tf.gather(code_points, starts))
        return _Pieces(
            ids,
            starts - row_starts,
            ends - row_starts,
            token_splits,
            firsts,
            characters.code_points,
        )

    def _ids_at(self, characters: Characters) -> tf.Tensor:
        """int32, for each normalised character the id of the token that begins with it, -1 within a token.

        Most words of Chinese text are one character: those are looked up, the others go through wordpiece.
        """
        ids = tf.where(characters.begins_word, self._single(characters.code_points), -1)
        firsts = tf.cast(tf.where(characters.begins_word)[:, 0], tf.int32)
        ends = tf.concat([firsts, tf.shape(ids)], 0)[1:]
        longer = tf.where(ends - firsts > 1)[:, 0]
        firsts, ends = tf.gather(firsts, longer), tf.gather(ends, longer)
        too_long = ends - firsts > _LONGEST_WORD
        unknown = tf.boolean_mask(firsts, too_long)
        within = tf.ragged.range(firsts, tf.where(too_long, firsts, ends), row_splits_dtype=tf.int64)
        letters = tf.gather(characters.code_points, within.flat_values)
        words = tf.strings.unicode_encode(within.with_flat_values(letters), "UTF-8")
        pieces, starts, _ = self._wordpiece.tokenize_with_offsets(words)
        # Wordpiece counts bytes: find the letters at which its pieces begin.
        widths = 1 + sum(tf.cast(letters >= least, tf.int64) for least in (0x80, 0x800, 0x10000))
        places = tf.cumsum(widths, exclusive=True)
        word_places = tf.gather(tf.concat([places, [0]], 0), within.row_splits[:-1])
        piece_places = starts.flat_values + tf.gather(word_places, starts.value_rowids())
        piece_firsts = tf.gather(within.flat_values, tf.searchsorted(places, tf.cast(piece_places, tf.int64)))
        found = tf.concat([piece_firsts, unknown], 0)
        new = tf.concat([pieces.flat_values, tf.fill(tf.shape(unknown), self.vocabulary.unk_id)], 0)
        return tf.tensor_scatter_nd_update(ids, found[:, tf.newaxis], new)


@functools.lru_cache(maxsize=4)
def shared_tokenizer(vocabulary: Vocabulary, lower_case: bool, mark_capitals: bool) -> Tokenizer:
    """The `Tokenizer` of a vocabulary; the same one again and again, which is traced once."""
    return Tokenizer(vocabulary, lower_case, mark_capitals)


@functools.cache
def _capitals() -> CodePointTable:
    """CAPITAL for every code point that is an upper-case or title-case letter, 0 for the others."""
    table = np.zeros(CODE_POINTS, np.int32)
    table[[k for k in range(_CASED) if chr(k).isupper() or chr(k).istitle()]] = CAPITAL
    return CodePointTable(table)


def _reachable(vocabulary: Vocabulary) -> list[str]:
    """The vocabulary for tensorflow_text: entries that no text reaches and that it refuses are given other names.

    The names are of a private-use character, which cleaning drops from every text.
    """
    pieces = list(vocabulary.tokens)
    for k, token in enumerate(pieces):
        letters = token.removeprefix(_PREFIX)
        if not letters or "\0" in token or len(letters) > _LONGEST_WORD:
            pieces[k] = f"\ue000{k}"
        elif len(letters.encode()) > _LONGEST_PIECE:
            raise InputError(
                f"the vocabulary's token {k} is {len(letters.encode())} bytes long: {token[:20]!r}...",
                hint=f"at most {_LONGEST_PIECE} bytes can be matched; shorten it",
            )
    return pieces
