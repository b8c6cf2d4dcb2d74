"""What checkpoints of other systems a directory holds, whether every tensor can be read, and what to do with them."""

from __future__ import annotations

from pathlib import Path

from kerasbert.doctor.finding import Finding, command
from kerasbert.errors import KerasbertError
from migration.checkpoint import trained_stages
from migration.sources import PICKLED, SAFETENSORS, Source, open_source

_CONFIGS, _VOCABULARY = ("bert_config.json", "config.json"), "vocab.txt"


def diagnose_checkpoints(directory: Path) -> list[Finding]:
    """One finding for each TensorFlow checkpoint of a directory, or one for a Hugging Face folder."""
    prefixes = sorted(
        {path.name.removesuffix(".index") for path in directory.glob("*.index")}
        | {path.name.rpartition(".data-")[0] for path in directory.glob("*.data-?????-of-?????")}
    )
    if prefixes:
        return [_diagnose(directory / prefix) for prefix in prefixes]
    if (directory / SAFETENSORS).is_file():
        return [_diagnose(directory)]
    if (directory / PICKLED).is_file():
        convert = command("kerasbert-migrate", "checkpoint", "convert", directory, "NEW", "--allow-pickle")
        summary = f"{PICKLED} is a pickle and was not opened"
        return [Finding("Hugging Face checkpoint", directory, summary, (), (), (convert,))]
    return []


def _diagnose(path: Path) -> Finding:
    try:
        source = open_source(path)
        for name in source.shapes:
            source.read(name)
    except KerasbertError as error:
        return Finding("checkpoint", path, "it cannot be read", (str(error),))
    stages = trained_stages(source)
    summary = f"{len(source.shapes)} tensors, all readable; trained heads: {', '.join(stages) or 'none'}"
    folder = path if path.is_dir() else path.parent
    notes = []
    if not any((folder / name).is_file() for name in _CONFIGS):
        notes.append(f"no {' or '.join(_CONFIGS)} beside it: name one with --config, or model.bert_config=FILE")
    if not (folder / _VOCABULARY).is_file():
        notes.append(f"no {_VOCABULARY} beside it: name one with --vocab, or model.vocab=FILE")
    return Finding(f"{source.format} checkpoint", path, summary, (), tuple(notes), _commands(path, source, stages))


def _commands(path: Path, source: Source, stages: list[str]) -> tuple[str, ...]:
    convert = command("kerasbert-migrate", "checkpoint", "convert", path, "NEW")
    if stages:
        return (convert,)
    return (command("kerasbert", "train", "--init", path, "--train", "FILE", "--output", "NEW"), convert)
