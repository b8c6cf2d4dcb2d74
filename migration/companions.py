"""The files that belong to a checkpoint: its configuration and its vocabulary, found and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kerasbert.errors import InputError
from kerasbert.models.encoder import EncoderConfig
from kerasbert.text.vocabulary import Vocabulary


def beside(folder: Path, names: Sequence[str], option: str) -> Path:
    """The file of one of these names beside a checkpoint.

    Raises:
      InputError: there is none.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"there is no {' or '.join(names)} beside the checkpoint", path=folder, hint=f"add {option} FILE")


def require_vocabulary(vocabulary: Vocabulary, path: Path, folder: Path, encoder: EncoderConfig) -> None:
    """Compares a vocabulary with the encoder, and with the one that lies beside the checkpoint, if there is one.

    Raises:
      InputError: more tokens than embeddings, or other tokens; the first line that differs is named.
    """
    if len(vocabulary) > encoder.vocab_size:
        raise InputError(
            f"holds {len(vocabulary)} tokens for {encoder.vocab_size} word embeddings",
            path=path,
            hint="give the vocabulary that belongs to the checkpoint",
        )
    recorded = folder / "vocab.txt"
    if not recorded.is_file() or recorded.resolve() == path.resolve():
        return
    require_same_tokens(vocabulary, path, Vocabulary.load(recorded), recorded)


def require_same_tokens(vocabulary: Vocabulary, path: Path, other: Vocabulary, recorded: Path) -> None:
    """Refuses a vocabulary that would give tokens other ids than those the model was trained with.

    Raises:
      InputError: the first line that differs, in both files.
    """
    for number, (own, theirs) in enumerate(zip(vocabulary.tokens, other.tokens, strict=False), start=1):
        if own != theirs:
            raise InputError(
                f"the token is {own!r}, but {theirs!r} in {recorded}, which belongs to the checkpoint",
                path=path,
                line=number,
                hint="give that file; with other ids the model would compute nonsense without any other sign",
            )
    if len(vocabulary) != len(other):
        raise InputError(
            f"holds {len(vocabulary)} tokens, but {recorded}, which belongs to the checkpoint, {len(other)}",
            path=path,
            hint="give that file",
        )
