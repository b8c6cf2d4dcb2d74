"""Plain keras-tuner code with our HyperModels, and the workaround that lets it take models of Keras 2."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kerasbert.errors import UsageError
from kerasbert.keras import keras
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.text.tokenizer import CAPITAL
from kerasbert.training.config import TrainingConfig
from kerasbert.training.optimizer import WarmupLinearDecay
from kerasbert.training.resolve import resolve
from kerasbert.tuning import compat
from kerasbert.tuning.compat import keras_tuner
from kerasbert.tuning.hypermodels import JointHyperModel, LabelingHyperModel, PredicateHyperModel
from kerasbert.tuning.space import Range
from tests import tiny

SPACE = {"predicate.learning_rate": Range(1e-3, 3e-2, log=True), "model.dropout": Range(0.0, 0.3)}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    return tiny.write_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def config(material: tiny.Material) -> TrainingConfig:
    return material.config()


def test_upstream_still_refuses_models_of_keras_2(tmp_path: Path) -> None:
    """Fails once keras-tuner takes them: then the workaround has to go."""
    ours = [name for name in sys.modules if name.split(".")[0] == "keras_tuner"]
    with mock.patch.dict(sys.modules):
        for name in ours:
            del sys.modules[name]
        import keras_tuner as untouched

        def build(hp: object) -> keras.Model:
            model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
            model.compile(loss="mse")
            return model

        def search(name: str) -> keras.Model:
            objective = untouched.Objective("loss", "min")
            tuner = untouched.RandomSearch(build, objective, 1, directory=str(tmp_path), project_name=name)
            tuner.search(np.zeros([2, 2]), np.zeros([2, 1]), verbose=0)
            return tuner.get_best_models()[0]

        with pytest.raises(untouched.errors.FatalTypeError, match="to return a valid Keras Model instance"):
            search("refused")
        # Imported before ours, it changes its mind just as well.
        assert compat.import_keras_tuner() is untouched
        assert isinstance(search("taken"), keras.Model)


def test_other_versions_are_refused() -> None:
    with (
        mock.patch.object(keras_tuner, "__version__", "1.5.0"),
        pytest.raises(UsageError, match=r"keras-tuner 1\.5\.0 is installed"),
    ):
        compat.import_keras_tuner()
    with (
        mock.patch.dict(sys.modules, {"keras_tuner": None}),
        pytest.raises(UsageError, match=r'pip install "kerasbert\[tune\]"'),
    ):
        compat.import_keras_tuner()


def test_the_code_of_keras_tuners_documentation(
    config: TrainingConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hypermodel = PredicateHyperModel(config, tiny.keep_random, SPACE)
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        objective=keras_tuner.Objective("val_f1", "max"),
        max_trials=2,
        seed=3,
        directory=str(tmp_path),
        project_name="search",
    )
    tuner.search(epochs=1, verbose=0)
    model = tuner.get_best_models()[0]
    assert isinstance(model, PredicateClassifier)
    tuner.results_summary()
    shown = capsys.readouterr().out
    assert "Showing 10 best trials" in shown and "predicate.learning_rate:" in shown and "Score: " in shown
    # The best model's score is that of its trial.
    best = tuner.oracle.get_best_trials()[0]
    assert set(best.hyperparameters.values) == set(SPACE)
    _, _, dev = hypermodel._prepare(resolve(config))
    assert dev is not None
    inputs, labels = dev.batch(range(len(dev)), 1)
    assert model.evaluate(inputs, labels, verbose=0, return_dict=True)["f1"] == pytest.approx(best.score)
    # A best setting can be built and trained by hand.
    again = hypermodel.build(tuner.get_best_hyperparameters()[0])
    assert again.dropout.rate == best.hyperparameters.values["model.dropout"]


def test_data_given_to_search(config: TrainingConfig, tmp_path: Path) -> None:
    hypermodel = PredicateHyperModel(config, tiny.keep_random, {"predicate.batch_size": (2, 5)})
    _, train, _ = hypermodel._prepare(resolve(config))
    inputs, labels = train.batch(range(10), 1)
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    schedule = model.optimizer._learning_rate
    assert isinstance(schedule, WarmupLinearDecay) and schedule.total_steps == 12 * 2
    hp.values["predicate.batch_size"] = 5
    history = hypermodel.fit(hp, model, inputs, labels, epochs=3, verbose=0)
    assert len(history.history["loss"]) == 3 and schedule.total_steps == int(model.optimizer.iterations) == 6


def test_hyperband_continues_at_the_epoch_it_asks_for(config: TrainingConfig) -> None:
    hypermodel = PredicateHyperModel(config, tiny.keep_random, SPACE)
    hp = keras_tuner.HyperParameters()
    hp.values["tuner/epochs"] = 4
    model = hypermodel.build(hp)
    history = hypermodel.fit(hp, model, epochs=4, initial_epoch=3, verbose=0)
    assert history.epoch == [3] and history.history["val_f1"][0] >= 0
    assert hypermodel.config_for(hp.values).predicate.epochs == 4.0
    assert model.optimizer._learning_rate.total_steps == 3 * 4


def test_each_stage_builds_what_its_settings_say(config: TrainingConfig) -> None:
    joint = JointHyperModel(config, tiny.keep_random, {"joint.head_size": (8, 16), "model.frozen_layers": (1, 0)})
    model = joint.build(keras_tuner.HyperParameters())
    assert model.get_config()["head_size"] == 8
    assert not model.encoder.transformer_layers[0].trainable
    labeler = LabelingHyperModel(config, tiny.keep_random, {"labeling.form": ("legacy", "native")})
    assert labeler.build(keras_tuner.HyperParameters()).get_config()["form"] == "legacy"


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_examples_are_made_anew_where_capitals_are_tried(config: TrainingConfig, order: tuple[bool, bool]) -> None:
    hypermodel = JointHyperModel(config, tiny.keep_random, {"joint.capitals": order, "joint.epochs": (1,)})
    for capitals in order:
        hp = keras_tuner.HyperParameters()
        hp.values["joint.capitals"] = capitals
        model = hypermodel.build(hp)
        _, train, _ = hypermodel._prepare(resolve(hypermodel.config_for(hp.values)))
        marked = max(int(row.ids.max()) for row in train.rows) >= CAPITAL
        assert model.capitals == capitals == marked
        hypermodel.fit(hp, model, epochs=1, verbose=0)


@pytest.mark.parametrize("order", [(0.0, 1.0), (1.0, 0.0)])
def test_examples_are_made_anew_where_joining_is_tried(config: TrainingConfig, order: tuple[float, float]) -> None:
    hypermodel = JointHyperModel(config, tiny.keep_random, {"joint.joined": order, "joint.epochs": (1,)})
    for joined in order:
        hp = keras_tuner.HyperParameters()
        hp.values["joint.joined"] = joined
        hypermodel.build(hp)
        _, train, _ = hypermodel._prepare(resolve(hypermodel.config_for(hp.values)))
        assert bool(train.report.joined) == bool(joined)


def test_a_checkpoint_that_nobody_can_read(config: TrainingConfig) -> None:
    with pytest.raises(UsageError, match="pass initialize="):
        PredicateHyperModel(config, space=SPACE).build(keras_tuner.HyperParameters())
