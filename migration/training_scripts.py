"""The original's two scripts around the models: training, evaluation and prediction of a stage in one call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kerasbert.errors import InputError
from kerasbert.keras import tf
from kerasbert.text.vocabulary import Vocabulary
from migration.arguments import Values, require_runnable
from migration.checkout import Announce, classification_rows, labelling_rows
from migration.constants import DUIE_SCHEMA
from migration.features import classification_features, labelling_features
from migration.files import LABELS, PREDICATES, TEST_TOKENS, TOKENS, ClassificationData, LabellingData
from migration.preparation import load_config

VOCABULARY = "vocab.txt"
"""Beside a checkpoint, what it was trained with: so the released archives have it, and so training leaves it."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the requested parts of a call read."""

    train: ClassificationData | LabellingData | None
    evaluate: ClassificationData | LabellingData | None
    predict: ClassificationData | LabellingData | None


def run_stage(flags: Values, announce: Announce) -> None:
    """Trains, evaluates and predicts, as far as the flags ask for it, in this order.

    Everything is read and checked before the first of them begins. Evaluation and prediction use what was trained in
    the same call, otherwise the checkpoint of `--init_checkpoint`, otherwise the latest one of the output directory.

    Args:
      flags: the command line.
      announce: called with a line about each step.

    Raises:
      UsageError: the flags do not fit together or the model.
      InputError: a file cannot be used, or there is no checkpoint to predict with.
      CheckpointError: the checkpoint is not one of this stage and this configuration.
    """
    for note in require_runnable(flags):
        announce(note)
    length, vocab = flags["max_seq_length"], Path(flags["vocab_file"])
    load_config(flags["bert_config_file"], length)
    vocabulary = Vocabulary.load(vocab)
    rows = _read_rows(flags)
    if flags["do_train"]:
        # What would end the evaluation or the prediction must not wait for the end of the training.
        for data in (rows.evaluate, rows.predict):
            if data is not None:
                _require_features(data, vocabulary, length)
        if flags["init_checkpoint"]:
            _require_vocabulary(vocabulary, vocab, Path(flags["init_checkpoint"]).parent)
        _require_vocabulary(vocabulary, vocab, Path(flags["output_dir"]))
        _train(flags, rows, vocabulary, announce)
    else:
        _require_vocabulary(vocabulary, vocab, _checkpoint(flags).parent)
    if flags["do_eval"]:
        from migration.evaluation import evaluate_predicates

        assert isinstance(rows.evaluate, ClassificationData)
        evaluation = evaluate_predicates(
            rows.evaluate,
            _checkpoint(flags),
            Path(flags["bert_config_file"]),
            vocab,
            Path(flags["output_dir"]),
            length,
            flags["eval_batch_size"],
            DUIE_SCHEMA,
        )
        announce(evaluation.summary())
    if flags["do_predict"]:
        _predict(flags, rows, announce)


def _train(flags: Values, rows: _Rows, vocabulary: Vocabulary, announce: Announce) -> None:
    from migration.training import train_stage

    assert rows.train is not None
    output = Path(flags["output_dir"])
    try:
        report = train_stage(
            flags.stage,
            rows.train,
            checkpoint=Path(flags["init_checkpoint"]) if flags["init_checkpoint"] else None,
            bert_config=Path(flags["bert_config_file"]),
            vocab=Path(flags["vocab_file"]),
            output_dir=output,
            max_seq_length=flags["max_seq_length"],
            batch_size=flags["train_batch_size"],
            learning_rate=flags["learning_rate"],
            epochs=flags["num_train_epochs"],
            warmup_proportion=flags["warmup_proportion"],
            save_checkpoints_steps=flags["save_checkpoints_steps"],
            announce=announce,
        )
    finally:
        if tf.train.latest_checkpoint(str(output)) is not None and not (output / VOCABULARY).exists():
            vocabulary.save(output / VOCABULARY)
    announce(report.summary())


def _predict(flags: Values, rows: _Rows, announce: Announce) -> None:
    from migration.predict import predict_labels, predict_predicates

    paths = (_checkpoint(flags), Path(flags["bert_config_file"]), Path(flags["vocab_file"]), Path(flags["output_dir"]))
    if isinstance(rows.predict, ClassificationData):
        report = predict_predicates(rows.predict, *paths, flags["max_seq_length"])
    else:
        assert rows.predict is not None
        report = predict_labels(rows.predict, *paths, flags["max_seq_length"])
    announce(f"{flags['output_dir']}: {report.summary()}")


def _read_rows(flags: Values) -> _Rows:
    """The step files that the original reads for the same flags, and no other."""
    data = Path(flags["data_dir"])
    first = flags.stage == "predicate"
    train = evaluate = predict = None
    if flags["do_train"]:
        folder = data / "train"
        train = classification_rows(folder, PREDICATES) if first else labelling_rows(folder, TOKENS, LABELS)
    if flags["do_eval"]:
        evaluate = classification_rows(data / "valid", PREDICATES)
    if flags["do_predict"]:
        folder = data / "test"
        predict = classification_rows(folder) if first else labelling_rows(folder, TEST_TOKENS)
    return _Rows(train, evaluate, predict)


def _require_features(data: ClassificationData | LabellingData, vocabulary: Vocabulary, length: int) -> None:
    if isinstance(data, ClassificationData):
        classification_features(data, vocabulary, length)
    else:
        labelling_features(data, vocabulary, length)


def _require_vocabulary(vocabulary: Vocabulary, path: Path, folder: Path) -> None:
    """Compares a vocabulary with the one that lies beside a checkpoint, if there is one.

    Tokens that the released vocabularies leave unused may have been given a meaning, and tokens may follow at the end.

    Raises:
      InputError: a token has another id than there; the first line that differs is named.
    """
    recorded = folder / VOCABULARY
    if not recorded.is_file() or recorded.resolve() == path.resolve():
        return
    both = zip(vocabulary.tokens, Vocabulary.load(recorded).tokens, strict=False)
    for number, (own, theirs) in enumerate(both, start=1):
        if own != theirs and not theirs.startswith("[unused"):
            raise InputError(
                f"the token is {own!r}, but {theirs!r} in {recorded}, which belongs to the checkpoint",
                path=path,
                line=number,
                hint="give that file; with other ids the original computes nonsense without any other sign",
            )


def _checkpoint(flags: Values) -> Path:
    """The checkpoint to evaluate or to predict with."""
    output, given = flags["output_dir"], flags["init_checkpoint"]
    if given and not flags["do_train"]:
        return Path(given)
    latest = tf.train.latest_checkpoint(output)
    if latest is None:
        raise InputError(
            "holds no checkpoint, and no --init_checkpoint is given; the original predicts with random weights then",
            path=output,
            hint="add --init_checkpoint=.../model.ckpt-N, the checkpoint that training wrote",
        )
    return Path(latest)
