"""keras-tuner's HyperModels of the three trainings, for `kerasbert tune` and for one's own code."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from kerasbert.errors import UsageError
from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.task import ExtractionModel
from kerasbert.recipes import Initializer, build_model, stage_sets, start_model
from kerasbert.training.config import StageConfig, TrainingConfig
from kerasbert.training.examples import Examples
from kerasbert.training.input import evaluation_dataset, steps_per_epoch, training_dataset
from kerasbert.training.materials import Materials, read_materials
from kerasbert.training.optimizer import WarmupLinearDecay, compile_model
from kerasbert.training.resolve import resolve
from kerasbert.training.strategy import padding_multiple
from kerasbert.training.warm_start import bundle_encoder
from kerasbert.tuning.compat import keras_tuner
from kerasbert.tuning.space import Space, changed, chosen, declare, default_space

EPOCHS = "tuner/epochs"
"""Where Hyperband says for how long a trial is trained."""


def _bundles_only(model: ExtractionModel, path: Path) -> str:
    raise UsageError(
        "is no bundle, and no function was given that reads such a checkpoint",
        path=path,
        hint="convert it with `kerasbert-migrate checkpoint convert`, or pass initialize=",
    )


class ExtractionHyperModel(keras_tuner.HyperModel):
    """Base of the HyperModels: a training whose settings keras-tuner chooses.

    `build` makes a compiled model with its initial weights. `fit` trains it on the sentences of the configuration, or
    on data given to `tuner.search` as to Keras's `fit`; batch size, warm-up and, unless the tuner says otherwise,
    epochs are the chosen ones.

    Args:
      config: of the training; what is not searched over.
      initialize: loads the pretrained checkpoint into a model's encoder; not needed for a bundle.
      space: dimensions by dotted key, see `kerasbert.tuning.space`; by default `default_space`.

    Example:
      >>> hypermodel = JointHyperModel(load_config("config.yaml"))
      >>> objective = keras_tuner.Objective("val_triple_f1", "max")
      >>> tuner = keras_tuner.RandomSearch(hypermodel, objective=objective, max_trials=12, directory="search")
      >>> tuner.search()
      >>> model = tuner.get_best_models()[0]
    """

    stage: ClassVar[str]

    def __init__(
        self,
        config: TrainingConfig,
        initialize: Initializer = _bundles_only,
        space: Space | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.config, self.initialize = config, initialize
        self.space = default_space(self.stage, _encoder(config).num_layers) if space is None else space
        self._store: tempfile.TemporaryDirectory[str] | None = None
        self._prepared: tuple[Any, Materials, Examples, Examples | None] | None = None

    def declare_hyperparameters(self, hp: Any) -> None:
        """Registers the whole space."""
        declare(self.space, hp)

    def config_for(self, values: Mapping[str, Any]) -> TrainingConfig:
        """The configuration of a trial with keras-tuner's values."""
        return changed(self.config, self.settings(values))

    def settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial with keras-tuner's values changes, by dotted key."""
        settings = chosen(self.space, values)
        if EPOCHS in values:
            settings[f"{self.stage}.epochs"] = float(values[EPOCHS])
        return settings

    def build(self, hp: Any) -> ExtractionModel:
        """A compiled model with its initial weights."""
        self.declare_hyperparameters(hp)
        config = resolve(self.config_for(hp.values))
        materials, train, _ = self._prepare(config)
        keras.utils.set_random_seed(config.runtime.seed)
        model = build_model(self.stage, materials, config)
        stage = self._stage(config)
        total = steps_per_epoch(len(train), stage.batch_size) * math.ceil(stage.epochs)
        schedule = WarmupLinearDecay(stage.learning_rate, total, int(total * config.optimizer.warmup))
        compile_model(model, schedule, config.optimizer, stage.head_rate)
        start_model(model, self.stage, materials, config, self.initialize)
        return model

    def fit(self, hp: Any, model: ExtractionModel, *args: Any, **kwargs: Any) -> Any:
        """Trains a model that was just built; arguments are those of Keras's `fit`."""
        config = resolve(self.config_for(hp.values))
        batch_size = kwargs.pop("batch_size", self._stage(config).batch_size)
        epochs = kwargs.pop("epochs", math.ceil(self._stage(config).epochs))
        if args or "x" in kwargs:
            inputs = args[0] if args else kwargs["x"]
            per_epoch = math.ceil(len(tf.nest.flatten(inputs)[0]) / batch_size)
            _set_length(model, per_epoch * epochs, config.optimizer.warmup)
            return model.fit(*args, batch_size=batch_size, epochs=epochs, **kwargs)
        _, train, dev = self._prepare(config)
        per_epoch = steps_per_epoch(len(train), batch_size)
        _set_length(model, per_epoch * epochs, config.optimizer.warmup)
        strategy, multiple = model.distribute_strategy, padding_multiple(config.runtime.precision)
        begin = kwargs.get("initial_epoch", 0) * per_epoch
        if dev is not None:
            validation, steps = evaluation_dataset(dev, batch_size, strategy, multiple)
            kwargs = {"validation_data": validation, "validation_steps": steps} | kwargs
        batches = training_dataset(
            train, batch_size, config.runtime.seed, begin, per_epoch * epochs, strategy, multiple
        )
        return model.fit(batches, epochs=epochs, steps_per_epoch=per_epoch, **kwargs)

    def _stage(self, config: TrainingConfig) -> StageConfig:
        stage: StageConfig = getattr(config, self.stage)
        return stage

    def _prepare(self, config: TrainingConfig) -> tuple[Materials, Examples, Examples | None]:
        """The examples of a resolved configuration; those of the last one are kept."""
        model = dataclasses.replace(config.model, dropout=0.0)
        key = (
            config.data,
            model,
            config.joint.tuning,
            config.joint.capitals,
            config.joint.joined,
            config.labeling.form,
            config.runtime.seed,
        )
        if self._prepared is None or self._prepared[0] != key:
            materials = read_materials(config, None, lambda line: None, joint=self.stage == "joint")
            # Examples are mapped from files, which the model outlives by no more than the process does.
            self._store = tempfile.TemporaryDirectory(prefix="kerasbert-examples-")
            self._prepared = (key, materials, *stage_sets(self.stage, materials, config, Path(self._store.name)))
        return self._prepared[1:]


class PredicateHyperModel(ExtractionHyperModel):
    """The first stage of the pipeline; its objective on the development set is `val_f1`."""

    stage = "predicate"


class LabelingHyperModel(ExtractionHyperModel):
    """The second stage of the pipeline; its objective on the development set is `val_token_f1`."""

    stage = "labeling"


class JointHyperModel(ExtractionHyperModel):
    """The joint model; its objective on the development set is `val_triple_f1`, of triples in tokens."""

    stage = "joint"


HYPERMODELS: dict[str, type[ExtractionHyperModel]] = {
    "predicate": PredicateHyperModel,
    "labeling": LabelingHyperModel,
    "joint": JointHyperModel,
}


def require_stage(stage: str) -> None:
    """Raises UsageError where there is no search for a stage."""
    if stage not in HYPERMODELS:
        raise UsageError(f"there is no search for {stage!r}", hint=f"choose one of {', '.join(HYPERMODELS)}")


def _encoder(config: TrainingConfig) -> EncoderConfig:
    """The shape of the encoder that a training would start from."""
    model = resolve(config).model
    return EncoderConfig.load(model.bert_config) if model.bert_config else bundle_encoder(model.init)


def _set_length(model: ExtractionModel, total: int, warmup: float) -> None:
    """Stretches our learning rate schedule to a number of steps; an optimizer of the user's own is left alone."""
    schedule = getattr(model.optimizer, "_learning_rate", None)
    if isinstance(schedule, WarmupLinearDecay):
        schedule.total_steps, schedule.warmup_steps = total, int(total * warmup)
