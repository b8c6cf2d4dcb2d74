"""A ready project directory: schema, configuration, ten annotated sentences, and what to do with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kerasbert.corpus.reader import write_corpus
from kerasbert.corpus.schemas import name_problem
from kerasbert.errors import UsageError
from kerasbert.files import atomic_directory, atomic_write
from kerasbert.project_example import CONFIG, EXAMPLES, PREDICATES, README, SMALL, TO_FINE_TUNE
from kerasbert.schema import Sentence, Triple
from kerasbert.training.resolve import expected_case
from kerasbert.untrained import CheckpointWriter, write_small_encoder

LANGUAGES = ("zh", "en")

_SEED = 2019


def create_project(
    directory: str | Path,
    language: str,
    predicates: Sequence[str],
    checkpoint: str | Path | None,
    write_checkpoint: CheckpointWriter,
) -> Path:
    """Writes a project that `kerasbert train --config` can train at once.

    Args:
      directory: must be new or empty.
      language: of the example and the README, "zh" or "en".
      predicates: to put into the schema beside the example's, without argument types.
      checkpoint: the pretrained encoder to start from; None for a small untrained one, which is enough to see that
        everything works, and for nothing else.
      write_checkpoint: writes a random TF1 checkpoint.

    Returns:
      The directory.

    Raises:
      UsageError: an unknown language, a predicate that cannot be one, a checkpoint that is not there, or a directory
        with something in it.
    """
    directory = Path(directory)
    if language not in LANGUAGES:
        raise UsageError(f"unknown language {language!r}", hint=f"choose one of {', '.join(LANGUAGES)}")
    names = list(dict.fromkeys(name.strip() for name in predicates if name.strip()))
    for name in names:
        if problem := name_problem(name):
            raise UsageError(f"the predicate {name!r} {problem}", hint="give names that are separated by commas")
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        problem = "is not empty" if directory.is_dir() else "is there already and is no directory"
        raise UsageError(problem, path=directory, hint="give a new directory; nothing is written over files")
    lower_case = True
    if checkpoint is not None:
        folder = Path(checkpoint).resolve()
        if not folder.exists() and not folder.with_name(folder.name + ".index").exists():
            raise UsageError(
                "no such checkpoint",
                path=checkpoint,
                hint="give the unpacked folder of a BERT checkpoint, or none for a small untrained one",
            )
        lower_case = expected_case(folder if folder.is_dir() else folder.parent) is not False
        checkpoint = folder
    types = PREDICATES[language]
    with atomic_directory(directory) as made:
        write_corpus(made / "data" / "train.jsonl", example_sentences(language))
        with atomic_write(made / "schema.yaml") as handle:
            for name in dict.fromkeys([*types, *names]):
                # JSON strings are YAML too, and keep a name like "no" or "a: b" a string.
                parts = [_quoted(part) for part in types.get(name, ())]
                handle.write(f"{_quoted(name)}: [{', '.join(parts)}]\n")
        settings = SMALL if checkpoint is None else TO_FINE_TUNE
        with atomic_write(made / "config.yaml") as handle:
            init = "init/bert_model.ckpt" if checkpoint is None else str(checkpoint)
            handle.write(CONFIG.format(init=_quoted(init), lower_case=str(lower_case).lower(), **settings))
        with atomic_write(made / "README.md") as handle:
            handle.write(README[language])
        if checkpoint is None:
            _write_small_encoder(made / "init", write_checkpoint)
    return directory


def example_sentences(language: str) -> list[Sentence]:
    """The ten annotated sentences of a language."""
    made = []
    for line, (text, statements) in enumerate(EXAMPLES[language], 1):
        triples = (Triple(s, p, o, *PREDICATES[language][p]) for s, p, o in statements)
        made.append(Sentence(text, tuple(triples), line))
    return made


def _write_small_encoder(folder: Path, write_checkpoint: CheckpointWriter) -> None:
    """An untrained encoder that knows every common Chinese character, and other words letter by letter."""
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1) if not chr(code).isupper()]
    chinese = [chr(code) for code in range(0x4E00, 0xA000)]
    marks = list("　、。〈〉《》「」『』【】〔〕〜·—‘’“”…！（），：；？～")
    pieces = [f"##{letter}" for letter in letters if letter.isalnum()]
    special = ["[PAD]", *(f"[unused{n}]" for n in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = list(dict.fromkeys([*special, *letters, *pieces, *marks, *chinese]))
    write_small_encoder(folder, tokens, _SEED, write_checkpoint)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
