"""The configuration of a training: frozen dataclasses, a YAML file, and dotted overrides."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from kerasbert.errors import UsageError
from kerasbert.files import require_file
from kerasbert.training.ranges import check_ranges

_PATHS = (
    *(("data", key) for key in ("train", "dev", "tuning", "schema")),
    *(("model", key) for key in ("init", "bert_config", "vocab")),
)


@dataclass(frozen=True)
class DataConfig:
    """Which sentences to learn from.

    Attributes:
      train, dev: DuIE JSON lines; without `dev` nothing is evaluated during training.
      tuning: sentences on which the joint model's threshold is chosen and its confidences are calibrated; without it a
        share of the training sentences, `joint.tuning`, which are not learnt from then.
      schema: the predicates; without it they are taken from the training sentences.
      max_length: longest input in tokens, special tokens included; longer texts become overlapping windows.
      overlap: tokens that neighbouring windows share.
    """

    train: str = ""
    dev: str = ""
    tuning: str = ""
    schema: str = ""
    max_length: int = 256
    overlap: int = 64


@dataclass(frozen=True)
class ModelConfig:
    """What to start from.

    Attributes:
      init: a pretrained checkpoint: a TF1 prefix, the unpacked folder, or a Hugging Face folder; or a bundle, whose
        training goes on if the state of its optimizer is in it; of a bundle with one model, of another stage, the
        encoder alone is taken.
      bert_config, vocab: by default the files of that name beside the checkpoint.
      lower_case: whether the vocabulary is lower-cased (also strips accents).
      dropout: probability of dropping a unit before a head.
      frozen_layers: lowest transformer layers that stay as they are initialised, and the embeddings with them; but for
        those of words in the second stage, whose predicates are words of their own.
    """

    init: str = ""
    bert_config: str = ""
    vocab: str = ""
    lower_case: bool = True
    dropout: float = 0.1
    frozen_layers: int = 0


@dataclass(frozen=True)
class StageConfig:
    """How long and how fast one model is trained.

    Attributes:
      epochs: passes over its examples.
      batch_size: sentences a step, over all replicas together.
      learning_rate: the peak of the schedule.
      head_rate: multiple of the learning rate for the heads, which start from random weights.
    """

    epochs: float = 6.0
    batch_size: int = 32
    learning_rate: float = 3e-5
    head_rate: float = 1.0


@dataclass(frozen=True)
class OptimizerConfig:
    """BERT's Adam.

    Attributes:
      warmup: share of the steps in which the learning rate rises.
      weight_decay: decoupled decay of all weights but biases and layer normalisation.
      bias_correction: whether Adam's moments are scaled up early on (TF1 BERT did not).
      clip_norm: largest global norm of the gradients.
    """

    warmup: float = 0.1
    weight_decay: float = 0.01
    bias_correction: bool = True
    clip_norm: float = 1.0


@dataclass(frozen=True)
class PredicateConfig(StageConfig):
    """The first stage.

    Attributes:
      threshold: probability from which a predicate counts as stated.
    """

    threshold: float = 0.5


@dataclass(frozen=True)
class LabelingConfig(StageConfig):
    """The second stage.

    Attributes:
      form: "native" asks for a predicate with one token, "legacy" repeats it once per text token as the original did.
    """

    epochs: float = 9.0
    form: Literal["native", "legacy"] = "native"


@dataclass(frozen=True)
class JointConfig(StageConfig):
    """The one-pass model.

    Attributes:
      tuning: share of the training sentences that is kept aside to choose the threshold and calibrate confidences,
        where there is no `data.tuning`.
      head_size: width of the queries and keys of the span and link heads, even.
      capitals: whether the model is told which tokens begin with a capital letter, where the vocabulary is lower-cased
        and the encoder knows two segments.
      distances: whether a link between two mentions knows how far apart they stand.
      joined: share of the training sentences, of those that fill at most half an input, that are shown once more, two
        to six of them joined, so that the model learns not to link what different sentences mention.
    """

    head_rate: float = 8.0
    epochs: float = 10.0
    tuning: float = 0.05
    head_size: int = 64
    capitals: bool = True
    distances: bool = True
    joined: float = 0.25


@dataclass(frozen=True)
class RuntimeConfig:
    """How the machine is used.

    Attributes:
      seed: of the head initialisation, the data order, dropout, and which sentences are set aside or joined.
      precision: float32, mixed_float16 (GPUs with tensor cores) or mixed_bfloat16 (TPUs, new CPUs and GPUs).
      devices: auto, cpu, gpu, mirrored (all GPUs), multiworker (a cluster in TF_CONFIG) or tpu.
      checkpoint_steps: steps between two saved states; a training that is killed goes on from the last one.
      checkpoint_minutes: minutes between two saved states, if they pass first; 0 for steps alone.
      deterministic: whether TensorFlow must use deterministic kernels.
      accumulate: parts in which a step is computed, one after the other, to save memory; the loss and the gradients are
        those of the whole batch.
    """

    seed: int = 2019
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    devices: Literal["auto", "cpu", "gpu", "mirrored", "multiworker", "tpu"] = "auto"
    checkpoint_steps: int = 200
    checkpoint_minutes: float = 10.0
    deterministic: bool = False
    accumulate: int = 1


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a training computes."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    predicate: PredicateConfig = field(default_factory=PredicateConfig)
    labeling: LabelingConfig = field(default_factory=LabelingConfig)
    joint: JointConfig = field(default_factory=JointConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to `config.yaml`."""
        return dataclasses.asdict(self)


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Reads a YAML file and applies `section.key=value` overrides, whose values are YAML too.

    A relative path in the file is one from the working directory or, where nothing is there, from the file's own.

    Raises:
      InputError: the file cannot be read or is not YAML.
      UsageError: an unknown section or key (with a suggestion), or a value of the wrong type or range.
    """
    import yaml

    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = yaml.safe_load(require_file(path, "a YAML configuration").read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"not YAML: {error}", path=path) from error
        if not isinstance(values, dict) or not all(isinstance(v, dict) for v in values.values()):
            raise UsageError("must hold sections with keys, as in 'data:\\n  train: FILE'", path=path)
        _find_beside(values, Path(path).parent)
    for override in overrides:
        key, separator, text = override.partition("=")
        section, dot, name = key.partition(".")
        if not separator or not dot or not name:
            raise UsageError(f"{override!r} is no override", hint="write section.key=value, as in labeling.epochs=3")
        try:
            values.setdefault(section, {})[name] = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise UsageError(f"the value of {key} is not YAML: {text!r}") from error
    return config_from_dict(values, path)


def as_overrides(texts: Mapping[str, str | None]) -> list[str]:
    """Overrides that set keys to texts as they are; None leaves a key alone."""
    # JSON strings are YAML too, and keep a path like "no" or "1e3" a string.
    return [f"{key}={json.dumps(text, ensure_ascii=False)}" for key, text in texts.items() if text is not None]


def config_from_dict(values: dict[str, Any], path: str | Path | None = None) -> TrainingConfig:
    """Builds and checks a configuration; see `load_config` for the errors."""
    import dacite

    # YAML 1.1 reads 3e-5 as a string and 6 as an integer; both are meant as numbers here. To Python, yes is 1.
    settings = dacite.Config(type_hooks={float: _number, int: _integer}, strict=True)
    for section, keys in values.items():
        _require_known(section, [f.name for f in dataclasses.fields(TrainingConfig)], "section", path)
        kind = type(getattr(TrainingConfig(), section))
        for key in keys:
            _require_known(key, [f.name for f in dataclasses.fields(kind)], f"key of {section!r}", path)
            hint = get_type_hints(kind)[key]
            try:
                dacite.from_dict(kind, {key: keys[key]}, settings)
            except (dacite.DaciteError, ValueError) as error:
                raise UsageError(f"{section}.{key} is {keys[key]!r}; {_expected(hint)}", path=path) from error
    config = dacite.from_dict(TrainingConfig, values, settings)
    check_ranges(config)
    return config


def _find_beside(values: dict[str, dict[str, Any]], folder: Path) -> None:
    """Completes paths that lead somewhere from the folder of the configuration alone."""
    for section, key in _PATHS:
        value = values.get(section, {}).get(key)
        if isinstance(value, str) and value and not _is_there(Path(value)) and _is_there(folder / value):
            values[section][key] = str(folder / value)


def _is_there(path: Path) -> bool:
    """Whether a file, a folder, or a TF1 checkpoint of this prefix is there."""
    return path.exists() or path.with_name(path.name + ".index").exists()


def _expected(hint: Any) -> str:
    """What a setting of a type must be, in words."""
    if choices := get_args(hint):
        return f"it must be one of {', '.join(choices)}"
    return {float: "it must be a number", int: "it must be a whole number", bool: "it must be true or false"}.get(
        hint, "it must be a text"
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _require_known(name: str, known: list[str], what: str, path: str | Path | None) -> None:
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        raise UsageError(f"unknown {what}: {name!r}", path=path, hint=hint)
