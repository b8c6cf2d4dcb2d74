"""Output directories of trainings: their stages, their saved states, and what goes on from them."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kerasbert.bundle import MANIFEST
from kerasbert.checksums import checkpoint_problems, has_note
from kerasbert.doctor.finding import Finding, command
from kerasbert.errors import KerasbertError
from kerasbert.files import read_json
from kerasbert.keras import tf
from kerasbert.tensors import first_line
from kerasbert.training.bundling import PIPELINE, STAGES
from kerasbert.training.checkpoints import stem
from kerasbert.training.config import TrainingConfig, config_from_dict
from kerasbert.training.input import steps_per_epoch
from kerasbert.training.output import unrecorded
from kerasbert.training.store_state import store_problems

_UNREADABLE = (tf.errors.OpError, RuntimeError, IndexError, ValueError)


def diagnose_training(directory: Path) -> Finding | None:
    """What the output directory of a training holds; None where it is none."""
    record = directory / "config.yaml"
    trained = any((directory / stage / "checkpoints").is_dir() for stage in STAGES)
    if not record.is_file():
        return _without_settings(directory, f"{record}: is missing") if trained else None
    try:
        values = yaml.safe_load(record.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        return _without_settings(directory, f"{record}: {first_line(error)}") if trained else None
    if not isinstance(values, dict) or not {"data", "model", "runtime"} <= values.keys():
        return _without_settings(directory, f"{record}: holds no settings of a training") if trained else None
    problems: list[str] = []
    running = _is_running(record)
    orphans = () if running else _orphans(directory)
    notes = [f"{left} was left by a write that was killed; the next start removes it" for left in orphans]
    config: TrainingConfig | None = None
    try:
        config = config_from_dict(values, record)
    except KerasbertError as error:
        problems.append(str(error))
    stages = [stage for stage in STAGES if (directory / stage).is_dir()]
    lines = []
    for stage in stages:
        line, found = _stage(directory / stage, config)
        lines.append(f"{stage}: {line}")
        problems += found
    if running:
        notes.append("a process is training there now")
    if config is not None:
        sources = {f"data.{key}": getattr(config.data, key) for key in ("train", "dev", "tuning", "schema")}
        notes += [f"{key}: {path} is not there; to go on, it has to be" for key, path in sources.items() if _gone(path)]
    bundle = directory / "bundle"
    if not (bundle / MANIFEST).is_file():
        if bundle.is_dir() and any(bundle.iterdir()):
            problems.append(
                f"{bundle / MANIFEST}: is missing; move {bundle} away, and the same training writes it again"
            )
        else:
            notes.append("no bundle yet: the training has not come to its end")
    summary = "; ".join(lines) or "nothing trained yet"
    settings = unrecorded(values) if config is not None else []
    commands = _commands(directory, stages, settings)
    return Finding("training", directory, summary, tuple(problems), tuple(notes), commands)


def _without_settings(directory: Path, problem: str) -> Finding:
    return Finding("training", directory, "its settings cannot be read", (problem,))


def _stage(folder: Path, config: TrainingConfig | None) -> tuple[str, list[str]]:
    """How far a stage has come, and what is wrong with its states, best weights and examples."""
    problems: list[str] = []
    last: int | None = None
    checkpoints = folder / "checkpoints"
    if (checkpoints / "checkpoint").exists():
        prefixes = _states(checkpoints)
        if prefixes is None:
            problems.append(f"{checkpoints / 'checkpoint'}: names no state")
        for prefix in prefixes or ():
            problems += _checkpoint(prefix)
        if prefixes:
            last = int(prefixes[-1].name.rpartition("-")[2])
    for prefix in sorted({path.with_suffix("") for path in folder.glob("best-*.index")}):
        problems += _checkpoint(prefix)
    for store in sorted(folder.glob("examples/*")):
        problems += [f"{problem}; remove {store}, and they are made anew" for problem in store_problems(store) or ()]
    if last is None:
        return "no state saved yet", problems
    total = _total(folder, config)
    return f"step {last}" + (f" of {total}" if total else "") + (", trained" if total == last else ""), problems


def _states(folder: Path) -> list[Path] | None:
    """Prefixes of the saved states, the last one at the end; None where the file that names them is damaged."""
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except _UNREADABLE:
        state = None
    if state is None:
        return None
    names = [Path(name).name for name in (*state.all_model_checkpoint_paths, state.model_checkpoint_path)]
    if any(re.fullmatch(r"ckpt-\d+", name) is None for name in names):
        return None
    return [folder / name for name in dict.fromkeys(names)]


def _checkpoint(prefix: Path) -> list[str]:
    """What is wrong with a checkpoint: by its digests, or without them by TensorFlow's own checks of every tensor."""
    if has_note(prefix):
        return [str(problem) for problem in checkpoint_problems(prefix)]
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except _UNREADABLE as error:
        return [f"{prefix}: cannot be read: {first_line(error)}"]
    return []


def _total(folder: Path, config: TrainingConfig | None) -> int | None:
    """Steps of the whole training of a stage, where its account of examples tells."""
    if config is None:
        return None
    try:
        account: Any = read_json(folder / "examples.json", "an account of examples")
        examples = int(account["train"]["examples"])
    except (KerasbertError, KeyError, TypeError, ValueError):
        return None
    settings = getattr(config, folder.name)
    return max(1, int(steps_per_epoch(examples, settings.batch_size) * settings.epochs))


def _orphans(directory: Path) -> Iterator[Path]:
    """What killed writes left, of which nothing is read any more."""
    yield from sorted(path for level in ("", "*/", "*/examples/*/") for path in directory.glob(f"{level}.*.tmp"))
    for folder in sorted(directory.glob("*/checkpoints")):
        named = {prefix.name for prefix in _states(folder) or ()}
        for path in sorted(folder.iterdir()):
            prefix = stem(path)
            temporary = path.name.startswith(("checkpoint.tmp", ".")) or path.name.endswith("_temp")
            if temporary or (named and prefix.startswith("ckpt-") and prefix not in named):
                yield path


def _is_running(record: Path) -> bool:
    with record.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            # A file system without locks.
            return False
    return False


def _gone(path: str) -> bool:
    return bool(path) and not Path(path).exists()


def _commands(directory: Path, stages: list[str], settings: list[str]) -> tuple[str, ...]:
    recipes = [stage for stage in stages if stage not in PIPELINE]
    pipeline = [stage for stage in stages if stage in PIPELINE]
    recipes += ["pipeline"] if len(pipeline) == len(PIPELINE) else pipeline
    words = ("--config", directory / "config.yaml", "--output", directory)
    return tuple(command("kerasbert", "train", recipe, *settings, *words) for recipe in recipes or ["joint"])
