"""Raw sentences to triples by the original's own five commands on TF1, beside ours with models of the same shape."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import SEED, base, corpus, in_turn, show, small
from benchmarks.joint import SETTINGS, in_bfloat16, untrained_joint, untrained_pipeline
from kerasbert.bundle import Bundle
from kerasbert.errors import UsageError
from kerasbert.files import write_json
from kerasbert.keras import keras
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.inputs import classification_row, pad
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.schema import Sentence
from kerasbert.text.tokenizer import shared_tokenizer
from kerasbert.text.vocabulary import Vocabulary
from migration.constants import DUIE_SCHEMA
from migration.revert import revert

_LENGTH = 128
_NEVER = -100.0
_PRETRAINED = "pretrained_model/chinese_L-12_H-768_A-12"
_DATA = {"predicate": "bin/predicate_classifiction/classification_data", "labeling": "bin/subject_object_labeling"}
_SCRIPTS = {"predicate": "run_predicate_classification.py", "labeling": "run_sequnce_labeling.py"}
_OUTPUTS = {"predicate": "output/predicate_infer_out", "labeling": "output/sequnce_infer_out"}


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times `--original`, a checkout of it, with `--interpreter`, a Python that has TF 1.15, at 4x312 and BERT-base.

    The original is timed over some sentences and over twice as many, and the difference counts, so that starting Python
    five times and loading two models is not held against it. All weights are random, biased so that the first stage
    names as many predicates as are annotated.

    Raises:
      UsageError: one of them is not given, or a command of the original fails.
    """
    if arguments.original is None or arguments.interpreter is None:
        raise UsageError(
            "`original` needs --original DIR and --interpreter PYTHON", hint="a Python with tensorflow 1.15"
        )
    sentences, _, vocabulary = corpus(arguments)
    order = np.random.default_rng(SEED).permutation(len(sentences))
    rows = []
    for name, config, count in (("4x312", small(vocabulary), 256), ("12x768", base(vocabulary), 64)):
        chosen = [sentences[i] for i in order[: 2 * count]]
        rows += _compare(name, config, chosen, vocabulary, arguments)
        show(rows[-4:])
    return rows


def _compare(
    name: str,
    config: EncoderConfig,
    sentences: Sequence[Sentence],
    vocabulary: Vocabulary,
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:
    texts = [sentence.text for sentence in sentences]
    half = len(texts) // 2
    keras.utils.set_random_seed(SEED)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(DUIE_SCHEMA))
    joint = untrained_joint(DUIE_SCHEMA, extended, config, texts)
    pipeline = untrained_pipeline(DUIE_SCHEMA, extended, predicate_ids, config, sentences)
    narrow = in_bfloat16(joint)
    ours = in_turn(
        {
            "joint": lambda: joint.extract(texts),
            "joint, bfloat16": lambda: narrow.extract(texts),
            "pipeline": lambda: pipeline.extract(texts),
        },
        arguments.repeats,
    )
    with tempfile.TemporaryDirectory(prefix="kerasbert-original-") as folder:
        original = _Original(arguments.original, arguments.interpreter, Path(folder))
        original.write_models(config, vocabulary, sentences)
        taken = []
        for _ in range(arguments.repeats):
            once = original.seconds(texts[:half])
            taken.append(original.seconds(texts) - once)
    rates = {kind: len(texts) / seconds for kind, seconds in ours.items()}
    rates["original"] = (len(texts) - half) / statistics.median(taken)
    asked = {"pipeline": pipeline.asked / len(texts), "original": original.asked / len(texts)}
    return [
        {
            "extraction": name,
            "system": kind,
            "predicates asked for a sentence": asked.get(kind, ""),
            "sentences/s": rate,
            "faster than the original": rate / rates["original"],
        }
        for kind, rate in rates.items()
    ]


class _Original:
    """A copy of the original with checkpoints of its own.

    Attributes:
      asked: rows of the second stage in the last run.
    """

    def __init__(self, checkout: Path, interpreter: Path, folder: Path) -> None:
        self._interpreter = str(interpreter)
        self._folder = folder / "original"
        kept_out = shutil.ignore_patterns(".git", "raw_data", "pretrained_model", "output", "*.pdf", "*.png")
        shutil.copytree(checkout, self._folder, ignore=kept_out)
        self.asked = 0

    def write_models(self, config: EncoderConfig, vocabulary: Vocabulary, sentences: Sequence[Sentence]) -> None:
        """Writes vocabulary, configuration and a TF1 checkpoint of both stages."""
        classifier = PredicateClassifier(config, len(DUIE_SCHEMA))
        labeler = SequenceLabeler(config, len(DUIE_SCHEMA), form="legacy")
        _name_predicates(classifier, vocabulary, sentences)
        bundle = self._folder / "bundle"
        models = {"predicate": classifier, "labeling": labeler}
        Bundle(DUIE_SCHEMA, vocabulary, True, (), models, dict(SETTINGS)).save(bundle)
        for stage in models:
            revert(bundle, self._folder / stage / "model.ckpt-1", stage)
        place = self._folder / _PRETRAINED
        place.mkdir(parents=True)
        vocabulary.save(place / "vocab.txt")
        write_json(place / "bert_config.json", config.to_bert_config())

    def seconds(self, texts: Sequence[str]) -> float:
        """How long its five commands take from raw sentences to triples."""
        rows = [json.dumps({"text": text, "spo_list": [], "postag": []}, ensure_ascii=False) for text in texts]
        raw = self._folder / "raw_data"
        raw.mkdir(exist_ok=True)
        for name, some in (("train_data", rows[:1]), ("dev_data", rows[:1]), ("test1_data_postag", rows)):
            (raw / f"{name}.json").write_text("\n".join(some) + "\n", encoding="utf-8")
        shutil.rmtree(self._folder / "output", ignore_errors=True)
        test = self._folder / _DATA["labeling"] / "sequence_labeling_data" / "test"
        test.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        self._call("bin/predicate_classifiction/predicate_data_manager.py")
        self._predict("predicate", _DATA["predicate"])
        self._call("bin/predicate_classifiction/prepare_data_for_labeling_infer.py")
        self._predict("labeling", f"{_DATA['labeling']}/sequence_labeling_data")
        self._call("produce_submit_json_file.py")
        taken = time.perf_counter() - begin
        with (test / "text_and_one_predicate.txt").open(encoding="utf-8") as handle:
            self.asked = sum(1 for _ in handle)
        return taken

    def _predict(self, stage: str, data: str) -> None:
        self._call(
            _SCRIPTS[stage],
            "--task_name=SKE_2019",
            "--do_predict=true",
            f"--data_dir={data}",
            f"--vocab_file={_PRETRAINED}/vocab.txt",
            f"--bert_config_file={_PRETRAINED}/bert_config.json",
            f"--init_checkpoint={stage}/model.ckpt-1",
            f"--max_seq_length={_LENGTH}",
            f"--output_dir={_OUTPUTS[stage]}/epochs1/ckpt1",
        )

    def _call(self, script: str, *flags: str) -> None:
        command = [self._interpreter, script, *flags]
        # TensorFlow 2 leaves settings in the environment that change what TensorFlow 1 does.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF")}
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            last = (done.stderr.strip() or "nothing on stderr").splitlines()[-1]
            raise UsageError(f"{script} ended with {done.returncode}: {last}")


def _name_predicates(model: PredicateClassifier, vocabulary: Vocabulary, sentences: Sequence[Sentence]) -> None:
    """Biases an untrained first stage until it names as many predicates a sentence as are annotated, and at least one.

    Where it named none, the original would ask for ten.
    """
    encoded = shared_tokenizer(vocabulary, True, False).encode([sentence.text for sentence in sentences])
    ids = np.split(encoded.ids, encoded.row_splits[1:-1])
    rows = [classification_row(own[: _LENGTH - 2], vocabulary.cls_id, vocabulary.sep_id) for own in ids]
    logits = model.predict(pad(rows), batch_size=16, verbose=0)
    wanted = max(1.0, sum(len({t.predicate for t in s.triples}) for s in sentences) / len(sentences))
    always, share = int(wanted), wanted - int(wanted)
    bias = np.full(logits.shape[1], _NEVER, np.float32)
    bias[:always] = -_NEVER
    bias[always] = -np.quantile(logits[:, always], 1.0 - share)
    model.predicate_head.bias.assign(bias)
