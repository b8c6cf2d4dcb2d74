"""The files of the original: how to know them, and what does their work here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class LegacyFile:
    """A Python file of the original.

    Attributes:
      path: where it lies in the original.
      instead: what does its work here.
      digests: first 16 hexadecimal digits of the SHA-256 of its published versions, with "\\n" line ends.
    """

    path: str
    instead: str
    digests: tuple[str, ...]

    @property
    def module(self) -> str:
        """Its name in an import."""
        return PurePosixPath(self.path).stem


_RUN = "kerasbert-migrate run"

LEGACY_FILES: tuple[LegacyFile, ...] = (
    LegacyFile(
        "run_predicate_classification.py",
        f"`{_RUN} run_predicate_classification.py` with the same flags; natively `kerasbert train predicate`",
        ("1edecaed291bda58", "2cd1476bcf25af8c", "ce5ac54faad0154b"),
    ),
    LegacyFile(
        "run_sequnce_labeling.py",
        f"`{_RUN} run_sequnce_labeling.py` with the same flags; natively `kerasbert train labeling`",
        ("672ea3cdf6e0f2a2", "9b1355368753e0cb"),
    ),
    LegacyFile(
        "produce_submit_json_file.py",
        f"`{_RUN} produce_submit_json_file.py`; its decoding is migration.decode.decode",
        ("0dc0fb25914b57a8", "35c54d93bd53a24b"),
    ),
    LegacyFile(
        "bin/predicate_classifiction/predicate_data_manager.py",
        f"`{_RUN} predicate_data_manager.py`; natively `kerasbert train` reads the corpus itself",
        ("f899c4d968dea0ac", "fe57c77071e696c1"),
    ),
    LegacyFile(
        "bin/predicate_classifiction/prepare_data_for_labeling_infer.py",
        f"`{_RUN} prepare_data_for_labeling_infer.py`; natively `kerasbert extract` runs both stages",
        ("92a80811c362e189",),
    ),
    LegacyFile(
        "bin/subject_object_labeling/sequence_labeling_data_manager.py",
        f"`{_RUN} sequence_labeling_data_manager.py`; natively `kerasbert train` reads the corpus itself",
        ("9c473d055e5a277d", "b0886c2abc3dec60"),
    ),
    LegacyFile(
        "bin/evaluation/evaluate_classifiction.py",
        f"`{_RUN} evaluate_classifiction.py`; natively `kerasbert evaluate`",
        ("983501887f3f0e4b",),
    ),
    LegacyFile(
        "bin/evaluation/evaluate_labeling.py",
        f"`{_RUN} evaluate_labeling.py`; natively `kerasbert evaluate`",
        ("b68fb7968d5e3f54",),
    ),
    LegacyFile(
        "bin/evaluation/calc_pr.py", f"`{_RUN} calc_pr.py`; natively `kerasbert evaluate`", ("215d9f820a88a959",)
    ),
    LegacyFile("bin/bert_tokenizer_test.py", "kerasbert.text.tokenizer.Tokenizer", ("a8844a61c5fd6d89",)),
    LegacyFile(
        "bert/modeling.py",
        "kerasbert.models.encoder.build_encoder, with the models in kerasbert.models",
        ("6f5e7c2d157ef46c",),
    ),
    LegacyFile("bert/optimization.py", "kerasbert.training.optimizer", ("5b0943f0f068320f",)),
    LegacyFile("bert/tokenization.py", "kerasbert.text.tokenizer.Tokenizer", ("ad856222aa78404e",)),
    LegacyFile(
        "bert/tf_metrics.py",
        "kerasbert.models.metrics.F1Score; of triples, kerasbert.evaluation",
        ("05e708407c92e996",),
    ),
    LegacyFile("bert/run_classifier.py", "kerasbert.recipes.train", ("53e9aaa27864cb89",)),
    LegacyFile(
        "bert/run_pretraining.py",
        "nothing: this project does not pretrain; it loads pretrained checkpoints (`--init`)",
        ("96f34d5b4ee3bd54",),
    ),
)

MEMBERS: dict[str, str] = {
    "modeling.BertModel": "kerasbert.models.encoder.build_encoder(config)",
    "modeling.BertConfig": "kerasbert.models.encoder.EncoderConfig",
    "modeling.BertConfig.from_json_file": "kerasbert.models.encoder.EncoderConfig.load(path)",
    "modeling.get_assignment_map_from_checkpoint": "migration.checkpoint.initialize(model, prefix), which does it all",
    "modeling.get_shape_list": "tf.shape(tensor) and tensor.shape",
    "modeling.layer_norm": "tf.keras.layers.LayerNormalization(epsilon=1e-12)(inputs)",
    "modeling.dropout": "tf.keras.layers.Dropout(rate)(inputs, training=...)",
    "modeling.gelu": "tf.keras.activations.gelu(x, approximate=True)",
    "modeling.create_initializer": "tf.keras.initializers.TruncatedNormal(stddev=...)",
    "optimization.create_optimizer": (
        "kerasbert.training.optimizer.AdamWeightDecay(WarmupLinearDecay(...), bias_correction=False)"
    ),
    "optimization.AdamWeightDecayOptimizer": "kerasbert.training.optimizer.AdamWeightDecay(bias_correction=False)",
    "tokenization.FullTokenizer": (
        "kerasbert.text.tokenizer.Tokenizer(Vocabulary.load(path)), with tokens(text) for tokenize, "
        "tokens_not_unknown(text) for tokenize_not_UNK and encode(texts) for ids"
    ),
    "tokenization.load_vocab": "kerasbert.text.vocabulary.Vocabulary.load(path)",
    "tokenization.validate_case_matches_checkpoint": "nothing: training compares the case with the checkpoint itself",
    "tokenization.printable_text": "the text itself: Python 3 prints it",
    "tokenization.convert_to_unicode": "the text itself: Python 3 strings are Unicode",
    "tf_metrics.precision": "kerasbert.models.metrics.F1Score; of triples, kerasbert.evaluation",
    "tf_metrics.recall": "kerasbert.models.metrics.F1Score; of triples, kerasbert.evaluation",
    "tf_metrics.f1": "kerasbert.models.metrics.F1Score; of triples, kerasbert.evaluation",
}
"""What replaces the members of the original's modules that scripts use."""

_BY_MODULE = {file.module: file for file in LEGACY_FILES}
BERT_MODULES = tuple(file.module for file in LEGACY_FILES if file.path.startswith("bert/"))
SCRIPT_MODULES = tuple(file.module for file in LEGACY_FILES if not file.path.startswith("bert/"))


def by_content(source: bytes) -> LegacyFile | None:
    """The file of the original that has these bytes, whatever its line ends."""
    digest = hashlib.sha256(source.replace(b"\r\n", b"\n")).hexdigest()[:16]
    return next((file for file in LEGACY_FILES if digest in file.digests), None)


def by_path(path: str) -> LegacyFile | None:
    """The file of the original that is named so; those in bert/ only in a folder of that name."""
    for file in LEGACY_FILES:
        if path == file.path or path.endswith("/" + file.path):
            return file
    found = _BY_MODULE.get(PurePosixPath(path).stem)
    return found if found is not None and found.module in SCRIPT_MODULES and path.endswith(".py") else None


def by_module(module: str) -> LegacyFile:
    """The file of a module of BERT_MODULES or SCRIPT_MODULES."""
    return _BY_MODULE[module]


def member_advice(name: str) -> str:
    """What replaces "module.member" of the original, by its longest rule; "" without one."""
    parts = name.split(".")
    for k in range(len(parts), 1, -1):
        if advice := MEMBERS.get(".".join(parts[:k])):
            return advice
    return ""
