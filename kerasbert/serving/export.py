"""Export: a trained model as a SavedModel that needs TensorFlow and tensorflow-text alone, published when proven."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasbert.corpus.sample import generate
from kerasbert.errors import InputError, UsageError
from kerasbert.extraction.load import load_model
from kerasbert.files import atomic_directory, describe_os_error
from kerasbert.keras import tf
from kerasbert.serving.companions import require_serving_protos, write_batching, write_card, write_warm_up
from kerasbert.serving.module import IDS_SIGNATURE, TEXT_SIGNATURE, ExtractionModule
from kerasbert.serving.proof import Proof, prove
from kerasbert.serving.weights import require_weights

_SEED = 2019
_WARM_UP_TEXTS = 16


@dataclass(frozen=True)
class Exported:
    """What was published.

    Attributes:
      directory: of the version.
      version: its number.
      proof: that it says what the model says.
    """

    directory: Path
    version: int
    proof: Proof


def export_model(
    model: str | Path,
    target: str | Path,
    texts: Sequence[str] | None = None,
    threshold: float | None = None,
    announce: Callable[[str], None] = lambda line: None,
    weights: str = "float32",
) -> Exported:
    """Publishes the model of a bundle as the next version in a directory, as TensorFlow Serving expects it.

    The version appears, whole, under its number, or not at all.

    Args:
      model: directory of the bundle.
      target: where the versions 1, 2, ... stand; made when it is missing.
      texts: sentences on which the export has to agree with the model; by default some of the embedded sample.
      threshold: probability from which a triple counts; the bundle's by default.
      announce: called with a line about each step.
      weights: what the matrices are stored as, see `kerasbert.serving.weights.WEIGHTS`; the export has to agree with
        the model whose matrices are rounded the same way.

    Raises:
      InputError: no model there, the target cannot be written, or the export does not agree.
      UsageError: no such type of weights, no sentence to check, tensorflow-serving-api is missing, or another export to
        the target is under way.
    """
    require_weights(weights)
    require_serving_protos()
    texts = sample_texts() if texts is None else list(texts)
    if not texts:
        raise UsageError("there is no sentence to check the export with", hint="give a file with sentences")
    pipeline = load_model(model, threshold)
    with _reserved(Path(target)) as version:
        directory = Path(target) / str(version)
        with atomic_directory(directory) as folder:
            announce("building the graph")
            module = ExtractionModule(pipeline, weights)
            signatures = {TEXT_SIGNATURE: module.extract, IDS_SIGNATURE: module.extract_ids}
            tf.saved_model.save(module, str(folder), signatures)
            announce(f"comparing it with the model on {len(texts)} sentences")
            proof = prove(folder, texts, pipeline.extract)
            chosen = texts[:_WARM_UP_TEXTS]
            write_warm_up(folder, chosen, pipeline.tokenizer(tf.constant([t.encode() for t in chosen])).ids.to_list())
            write_batching(folder)
            write_card(folder, version, pipeline, proof, weights)
    return Exported(directory, version, proof)


def sample_texts(count: int = 100) -> list[str]:
    """Sentences of the embedded sample, a text of many windows, and some that say nothing."""
    texts = [sentence.text for sentence in generate(count, _SEED, "test")]
    return [*texts, "".join(texts[:30]), "", " \u200b", "\U0001f600" + texts[0]]


def versions(directory: Path) -> list[int]:
    """The numbers of the versions in a directory, rising."""
    return sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal() and entry.is_dir())


@contextlib.contextmanager
def _reserved(target: Path) -> Iterator[int]:
    """The number of the next version, kept from other exports meanwhile."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_RDONLY)
    except OSError as error:
        raise InputError(
            f"cannot hold versions of a model: {describe_os_error(error)}", path=target, hint="name a directory"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError("another export to it is under way", path=target, hint="wait for it") from error
        except OSError:
            # A file system without locks.
            pass
        yield max(versions(target), default=0) + 1
    finally:
        os.close(handle)
