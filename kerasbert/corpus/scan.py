"""What a corpus file holds, found in one pass and kept, so that a training that goes on does not read it again."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.checksums import sha256
from kerasbert.corpus.reader import read_corpus, stream_corpus
from kerasbert.corpus.rejects import Rejects
from kerasbert.corpus.schemas import schema_from_sentences
from kerasbert.errors import InputError, KerasbertError
from kerasbert.files import describe_os_error, read_json, write_json
from kerasbert.schema import Schema, Sentence

_LOG = logging.getLogger(__name__)
_FORMAT = 1


@dataclass(frozen=True)
class Corpus:
    """The usable sentences of a corpus file, read anew whenever they are asked for.

    Attributes:
      path: the file.
      limits: the schema that triples are limited to, None for none.
      sentences: how many there are.
      predicates: how many triples of each.
      sha256: of the file.
      implied: the schema that the sentences imply; None where one was given.
      stamp: size and times of the file when it was read.
    """

    path: Path
    limits: Schema | None
    sentences: int
    predicates: dict[str, int]
    sha256: str
    implied: Schema | None
    stamp: list[int]

    def __len__(self) -> int:
        return self.sentences

    def __iter__(self) -> Iterator[Sentence]:
        """The sentences in their order.

        Raises:
          InputError: the file has changed since it was scanned.
        """
        # Touched or moved, it is still the same; a training of days is not to end over that.
        if _stamp(self.path) != self.stamp and sha256(self.path) != self.sha256:
            raise InputError(
                "has changed while it was in use", path=self.path, hint="run the same command again when it is at rest"
            )
        # What cannot be used was counted and written down by the scan.
        return read_corpus(self.path, self.limits, Rejects())


def scan_corpus(path: str | Path, schema: Schema | None, rejects_path: Path | None, cache: Path | None) -> Corpus:
    """Reads a corpus file once; the same file is not read again by a later call with the same cache.

    Args:
      path: the file.
      schema: when given, triples of other predicates cannot be used.
      rejects_path: where what cannot be used goes, see `load_corpus`; announced by a log warning at every call.
      cache: a JSON file for what was found.

    Raises:
      InputError: as for `load_corpus`, or the file holds no triple that can be used.
    """
    path = Path(path)
    known = _cached(path, schema, rejects_path, cache) if cache is not None and path.is_file() else None
    if known is not None:
        return known
    stamp = _stamp(path) if path.is_file() else []
    digest = sha256(path) if path.is_file() else ""
    rejects, predicates = Rejects(), Counter[str]()
    stream = _counted(stream_corpus(path, schema, rejects_path, rejects), predicates)
    implied = None
    if schema is not None:
        for _ in stream:
            pass
    else:
        implied = _implied(stream)
    if not predicates:
        raise InputError(
            f"holds no triple that can be used; {rejects.summary()}" if rejects.items else "holds no triple",
            path=path,
            hint="give annotated sentences, and the schema that belongs to them",
        )
    corpus = Corpus(path, schema, rejects.used, dict(predicates), digest, implied, stamp)
    if cache is not None:
        summary = f"{rejects.summary()}; see {rejects_path}" if rejects.items else None
        write_json(cache, _to_dict(corpus, summary))
    return corpus


def _counted(sentences: Iterator[Sentence], predicates: Counter[str]) -> Iterator[Sentence]:
    for sentence in sentences:
        predicates.update(triple.predicate for triple in sentence.triples)
        yield sentence


def _implied(sentences: Iterator[Sentence]) -> Schema | None:
    """The schema of the sentences; None where they have no triple."""
    first = next((sentence for sentence in sentences if sentence.triples), None)
    return None if first is None else schema_from_sentences(itertools.chain([first], sentences))


def _cached(path: Path, schema: Schema | None, rejects_path: Path | None, cache: Path) -> Corpus | None:
    """What an earlier scan found; None where there was none, or where the file or the schema is another one."""
    try:
        found: Any = read_json(cache, "the account of a corpus")
        if found["format"] != _FORMAT or found["schema"] != _schema_digest(schema):
            return None
        summary, stamp = found["rejected"], _stamp(path)
        if summary is not None and (rejects_path is None or not rejects_path.is_file()):
            return None
        # Copied or touched, it may still be the same.
        if found["stamp"] != stamp and found["sha256"] != sha256(path):
            return None
        implied = Schema.from_dict(found["implied"]) if found["implied"] is not None else None
        counts = {str(name): int(count) for name, count in found["predicates"].items()}
        corpus = Corpus(path, schema, int(found["sentences"]), counts, str(found["sha256"]), implied, stamp)
    except (KerasbertError, OSError, KeyError, TypeError, ValueError, AttributeError):
        # It is only what the file itself says.
        return None
    if summary is not None:
        _LOG.warning("%s", summary)
    return corpus


def _to_dict(corpus: Corpus, rejected: str | None) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "sentences": corpus.sentences,
        "predicates": corpus.predicates,
        "sha256": corpus.sha256,
        "stamp": corpus.stamp,
        "schema": _schema_digest(corpus.limits),
        "implied": corpus.implied.to_dict() if corpus.implied is not None else None,
        "rejected": rejected,
    }


def _schema_digest(schema: Schema | None) -> str | None:
    return None if schema is None else hashlib.sha256(json.dumps(schema.to_dict()).encode()).hexdigest()


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"cannot be read: {describe_os_error(error)}", path=path) from error
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
