"""Training that begins at a bundle: at an encoder, at a trained model, or in the middle of an earlier training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasbert.bundle import MANIFEST, OPTIMIZER, Description, find_bundle, read_description, weights_file
from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.task import ExtractionModel
from kerasbert.models.weights import load_weights
from kerasbert.schema import Schema
from kerasbert.tensors import TensorFile
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.optimizer import AdamWeightDecay

_WORDS = "encoder/word_embeddings/embeddings"


def is_bundle(path: str | Path) -> bool:
    """Whether there is a bundle in a directory, or in its folder `bundle`."""
    return any((place / MANIFEST).is_file() for place in (Path(path), Path(path) / "bundle"))


def bundle_encoder(path: str | Path) -> EncoderConfig:
    """The shape of the encoder in a bundle; one for all of its models.

    Raises:
      InputError: no whole bundle there, or models with encoders of different shape.
    """
    models = read_description(path).models
    shapes = [EncoderConfig(**config["encoder"]) for config in models.values()]
    if any(shape != shapes[0] for shape in shapes):
        raise InputError("holds models with different encoders", path=path, hint="convert each into its own bundle")
    return shapes[0]


def start_from_bundle(
    model: ExtractionModel, stage: str, path: str | Path, schema: Schema, vocabulary: Vocabulary
) -> str:
    """Sets a compiled model from a bundle, and says in a line what was set.

    A bundle with a model of the stage gives all weights; if the state of its optimizer is there too, the moments and
    the step are set, so that its training goes on. A bundle with an encoder by itself, or with a single model of
    another stage, gives that encoder, and the heads stay new.

    Args:
      model: compiled, its optimizer built.
      stage: of the model.
      path: the bundle.
      schema, vocabulary: what the training uses; a trained model has to have the same.

    Raises:
      InputError: no whole bundle, or another schema or vocabulary.
      UsageError: the bundle holds several models, and none of them is of the stage.
      CheckpointError: weights or moments that do not fit, by name; the model is as before.
    """
    directory = find_bundle(path)
    description = read_description(directory)
    if stage in description.models:
        _require_same(description, directory, schema, vocabulary)
        _require_form(model, description.models[stage], directory)
        state = _optimizer_state(model, directory / weights_file(stage, OPTIMIZER))
        load_weights(directory / weights_file(stage), model)
        if state is None:
            return f"{directory}: all weights of its {stage} model; the optimizer begins anew"
        step = _restore(model, state)
        return f"{directory}: all weights of its {stage} model and its optimizer's state, at step {step}"
    # Either may hold more predicate tokens at its end than the other.
    common = min(len(vocabulary), len(description.vocabulary))
    if vocabulary.tokens[:common] != description.vocabulary.tokens[:common]:
        raise _another_vocabulary(directory)
    if "encoder" in description.models:
        return _load_encoder(model, directory, "encoder")
    if len(description.models) > 1:
        raise UsageError(
            f"holds no {stage} model, but several others ({', '.join(description.models)}), each with its own encoder",
            path=directory,
            hint="give the pretrained checkpoint, or a bundle with this stage or with one model",
        )
    return _load_encoder(model, directory, *description.models)


def _require_same(description: Description, directory: Path, schema: Schema, vocabulary: Vocabulary) -> None:
    if description.schema != schema:
        raise InputError(
            "its model was trained for other predicates than the training's, or for another order of them",
            path=directory / "schema.json",
            hint=f"give its schema: data.schema={directory / 'schema.json'}",
        )
    if description.vocabulary != vocabulary:
        raise _another_vocabulary(directory)


def _another_vocabulary(directory: Path) -> InputError:
    return InputError(
        "is another vocabulary than the training's", path=directory / "vocab.txt", hint="leave model.vocab out"
    )


def _require_form(model: ExtractionModel, config: dict[str, object], directory: Path) -> None:
    form = model.get_config().get("form")
    if config.get("form") != form:
        raise UsageError(
            f"its labeler has the {config.get('form')} form, the training's the {form} form",
            path=directory,
            hint=f"add labeling.form={config.get('form')}",
        )
    if isinstance(model, JointExtractor):
        for setting in ("capitals", "distances"):
            own = model.get_config()[setting]
            if config.get(setting, False) != own:
                raise UsageError(
                    f"its model is {'not ' if own else ''}told of {setting}, the training's is{'' if own else ' not'}",
                    path=directory,
                    hint=f"add joint.{setting}={str(not own).lower()}",
                )


def _load_encoder(model: ExtractionModel, directory: Path, source: str) -> str:
    file = TensorFile(directory / weights_file(source))
    weights = {name: weight for name, weight in model.named_weights().items() if name.startswith("encoder/")}
    arrays: dict[str, np.ndarray] = {}
    extended = 0
    for name, weight in weights.items():
        wanted, found = tuple(weight.shape), file.tensors[name].shape if name in file.tensors else None
        if name == _WORDS and found is not None and found[0] < wanted[0] and found[1:] == wanted[1:]:
            extended = wanted[0] - found[0]
            arrays[name] = np.concatenate([file.read(name), weight.numpy()[found[0] :]])
        elif found == wanted:
            arrays[name] = file.read(name)
        else:
            raise CheckpointError(
                f"{name}: shape {list(found) if found else 'none'} in the bundle, {list(wanted)} in the model",
                path=file.path,
                hint="leave model.bert_config out",
            )
    for name, array in arrays.items():
        weights[name].assign(array)
    more = f"; {extended} new rows for predicate tokens" if extended else ""
    whose = "its encoder" if source == "encoder" else f"the encoder of its {source} model"
    return f"{directory}: {len(arrays)} weights of {whose}{more}; the heads are new and random"


def _optimizer_state(model: ExtractionModel, path: Path) -> list[tuple[tf.Variable, np.ndarray]] | None:
    """The optimizer's variables with their values; None where the bundle holds no state."""
    if not path.is_file():
        return None
    optimizer = model.optimizer
    assert isinstance(optimizer, AdamWeightDecay)
    if optimizer.bias_correction:
        raise UsageError(
            "the optimizer whose state is to be gone on with has no bias correction, as in TF1 BERT",
            path=path,
            hint="add optimizer.bias_correction=false, or begin anew from the weights alone (convert with --no-slots)",
        )
    file, names = TensorFile(path), {id(weight): name for name, weight in model.named_weights().items()}
    wanted: dict[str, tf.Variable] = {"step": optimizer.iterations}
    moments = zip(model.trainable_variables, optimizer.first_moments, optimizer.second_moments, strict=True)
    for weight, first, second in moments:
        name = names[id(weight)]
        wanted |= {f"{name}/first_moment": first, f"{name}/second_moment": second}
    problems = [
        name
        for name, variable in wanted.items()
        if name not in file.tensors or file.tensors[name].shape != tuple(variable.shape)
    ]
    if problems:
        raise CheckpointError(
            f"lacks moments of {len(problems)} weights, or holds some of another shape: {', '.join(problems[:8])}",
            path=path,
            hint="convert the checkpoint again; with --no-slots its weights alone are used",
        )
    return [(variable, file.read(name)) for name, variable in wanted.items()]


def _restore(model: ExtractionModel, state: list[tuple[tf.Variable, np.ndarray]]) -> int:
    for variable, value in state:
        variable.assign(value)
    return int(model.optimizer.iterations.numpy())
