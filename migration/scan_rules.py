"""What replaces the parts of TensorFlow 1 that TensorFlow 2 dropped or that work differently, by name.

Names are without their `tf.`; a rule holds for all that lies under its name, and the longest one wins. Whether a rule
is needed at all is asked of the installed TensorFlow: a name that is there is no finding. Names without a rule are left
to TensorFlow's upgrade library.
"""

from __future__ import annotations

REMOVED: dict[str, str] = {
    "app.flags": "the same of absl: from absl import flags",
    "app.run": "absl.app.run(main), which wants the function named",
    "flags": "the same of absl: from absl import flags",
    "logging": "logging.{name} of absl: from absl import logging",
    "logging.TaskLevelStatusMessage": "logging.info of absl: from absl import logging",
    "logging.flush": "nothing; absl's logging writes at once",
    "python_io.tf_record_iterator": "tf.data.TFRecordDataset(file)",
    # Graphs and sessions
    "Session": "nothing: operations run at once; in a tf.function or tf.Graph, tf.compat.v1.Session",
    "InteractiveSession": "nothing: operations run at once",
    "ConfigProto": "tf.config, as in tf.config.experimental.set_memory_growth",
    "GPUOptions": "tf.config.experimental.set_memory_growth(gpu, True)",
    "placeholder": "an argument of the function (tf.function), or tf.keras.Input",
    "placeholder_with_default": "an argument of the function with a default value",
    "reset_default_graph": "nothing: there is no default graph to fill; tf.keras.backend.clear_session() for Keras",
    "get_default_graph": "nothing: operations run at once; inside a tf.function, tf.compat.v1.get_default_graph()",
    "global_variables_initializer": "nothing: variables hold their value once made",
    "local_variables_initializer": "nothing: variables hold their value once made",
    "initialize_all_variables": "nothing: variables hold their value once made",
    "tables_initializer": "nothing: tables are ready once made",
    "get_variable": "add_weight of a Keras layer, or tf.Variable",
    "get_variable_scope": "a Keras layer, which keeps its own variables",
    "variable_scope": "a Keras layer, which keeps and reuses its own variables; tf.name_scope for names alone",
    "trainable_variables": "model.trainable_variables",
    "global_variables": "model.variables",
    "assign": "variable.assign(value)",
    "assign_add": "variable.assign_add(value)",
    "assign_sub": "variable.assign_sub(value)",
    "set_random_seed": "tf.random.set_seed(seed), or tf.keras.utils.set_random_seed(seed)",
    "pywrap_tensorflow": "tf.train.load_checkpoint(prefix); `kerasbert-migrate checkpoint inspect PREFIX` lists one",
    # Layers, losses, metrics
    "layers": "the Keras layer in tf.keras.layers",
    "layers.dense": "tf.keras.layers.Dense(...)(inputs)",
    "layers.dropout": "tf.keras.layers.Dropout(...)(inputs, training=...)",
    "layers.batch_normalization": "tf.keras.layers.BatchNormalization(...)(inputs, training=...)",
    "metrics": "tf.keras.metrics; of triples, kerasbert.evaluation",
    "metrics.mean": "tf.keras.metrics.Mean",
    "losses": "tf.keras.losses",
    "nn.rnn_cell": "tf.keras.layers.LSTMCell, GRUCell or StackedRNNCells",
    "nn.static_rnn": "tf.keras.layers.RNN(cell)",
    "nn.dynamic_rnn": "tf.keras.layers.RNN(cell)",
    "nn.bidirectional_dynamic_rnn": "tf.keras.layers.Bidirectional(tf.keras.layers.RNN(cell))",
    "truncated_normal_initializer": "tf.keras.initializers.TruncatedNormal",
    # Estimators
    "estimator": "a Keras model with compile, fit, evaluate and predict; here kerasbert.recipes.train",
    "estimator.Estimator": "kerasbert.recipes.train (`kerasbert train`), or compile and fit of a Keras model",
    "estimator.EstimatorSpec": "the outputs of a Keras model; losses as in kerasbert.models.task.ExtractionModel",
    "estimator.ModeKeys": "the argument training of a Keras model's call",
    "estimator.RunConfig": "kerasbert.training.config.TrainingConfig",
    "estimator.export": "model.export, or tf.saved_model.save",
    "estimator.inputs": "tf.data.Dataset.from_tensor_slices(arrays)",
    "train.init_from_checkpoint": "migration.checkpoint.initialize(model, prefix)",
    "train.Scaffold": "nothing: weights are set before the training begins",
    "train.Saver": "tf.train.Checkpoint; `kerasbert-migrate checkpoint convert` for the checkpoints there are",
    "train.Optimizer": "tf.keras.optimizers.Optimizer; BERT's Adam is kerasbert.training.optimizer.AdamWeightDecay",
    "train.AdamOptimizer": "tf.keras.optimizers.Adam",
    "train.GradientDescentOptimizer": "tf.keras.optimizers.SGD",
    "train.polynomial_decay": (
        "tf.keras.optimizers.schedules.PolynomialDecay; with BERT's warm-up "
        "kerasbert.training.optimizer.WarmupLinearDecay"
    ),
    "train.exponential_decay": "tf.keras.optimizers.schedules.ExponentialDecay",
    "train.get_or_create_global_step": "optimizer.iterations",
    "train.get_global_step": "optimizer.iterations",
    "train.create_global_step": "optimizer.iterations",
    "train.SessionRunHook": "tf.keras.callbacks.Callback",
    "train.LoggingTensorHook": "the metrics of a Keras model, or tf.keras.callbacks.LambdaCallback",
    "train.MonitoredTrainingSession": "fit of a Keras model with tf.keras.callbacks.BackupAndRestore",
    # tf.contrib
    "contrib": "nothing in TensorFlow 2: take over the code that is needed, or a package that has it",
    "contrib.cluster_resolver": "tf.distribute.cluster_resolver.{name}",
    "contrib.crf": (
        "nothing in TensorFlow 2; for the best allowed sequence without learned transitions "
        "kerasbert.extraction.viterbi.best_path"
    ),
    "contrib.data": "tf.data.experimental",
    "contrib.data.map_and_batch": "dataset.map(function).batch(batch_size, drop_remainder=...)",
    "contrib.data.parallel_interleave": "dataset.interleave(function, num_parallel_calls=tf.data.AUTOTUNE)",
    "contrib.data.shuffle_and_repeat": "dataset.shuffle(buffer_size).repeat()",
    "contrib.distribute": "tf.distribute.{name}",
    "contrib.eager": "nothing: eager execution is the default",
    "contrib.estimator": "a Keras model with compile, fit, evaluate and predict",
    "contrib.framework": "tf.train.load_checkpoint and tf.train.list_variables for checkpoints, tf.nest for structures",
    "contrib.layers": "the Keras layer in tf.keras.layers",
    "contrib.layers.layer_norm": "tf.keras.layers.LayerNormalization(epsilon=1e-12)(inputs)",
    "contrib.layers.xavier_initializer": "tf.keras.initializers.GlorotUniform()",
    "contrib.layers.variance_scaling_initializer": "tf.keras.initializers.VarianceScaling()",
    "contrib.layers.l2_regularizer": "tf.keras.regularizers.L2(scale / 2)",
    "contrib.learn": "a Keras model with compile, fit, evaluate and predict",
    "contrib.lookup": "tf.lookup",
    "contrib.metrics": "tf.keras.metrics; of triples, kerasbert.evaluation",
    "contrib.opt": "tf.keras.optimizers",
    "contrib.opt.AdamWOptimizer": "tf.keras.optimizers.AdamW; as BERT's, kerasbert.training.optimizer.AdamWeightDecay",
    "contrib.predictor": "tf.saved_model.load(directory).signatures",
    "contrib.rnn": "tf.keras.layers.LSTMCell, GRUCell or StackedRNNCells",
    "contrib.saved_model": "tf.saved_model.load, tf.saved_model.save",
    "contrib.slim": "the package tf-slim: import tf_slim as slim",
    "contrib.summary": "tf.summary",
    "contrib.tpu": "tf.distribute.TPUStrategy",
    "contrib.tpu.CrossShardOptimizer": "the optimizer itself: tf.distribute adds up the gradients",
    "contrib.tpu.InputPipelineConfig": "nothing: tf.distribute divides the batches",
    "contrib.tpu.RunConfig": "kerasbert.training.config.TrainingConfig",
    "contrib.tpu.TPUConfig": "kerasbert.training.config.TrainingConfig",
    "contrib.tpu.TPUEstimator": "kerasbert.recipes.train (`kerasbert train`), or compile and fit of a Keras model",
    "contrib.tpu.TPUEstimatorSpec": (
        "the outputs of a Keras model; losses as in kerasbert.models.task.ExtractionModel"
    ),
}
"""What is gone. `.{name}` stands for the last part of the name that was found, if it is longer than the rule's."""

CHANGED: dict[str, tuple[str, str]] = {
    "gradients": ("fails outside of a graph", "tf.GradientTape; inside a tf.function it works on"),
    "hessians": ("fails outside of a graph", "tf.GradientTape; inside a tf.function it works on"),
    "summary.scalar": (
        "writes at once, and wants a step and a writer",
        "tf.summary.scalar(name, value, step=...) within writer.as_default()",
    ),
    "summary.histogram": (
        "writes at once, and wants a step and a writer",
        "tf.summary.histogram(name, value, step=...) within writer.as_default()",
    ),
}
"""Calls of functions that are there and, written for TensorFlow 1, do something else now: what, and what to write."""

GRAPH_ONLY = ("placeholder", "placeholder_with_default", "sparse_placeholder", "gradients", "hessians")
"""What tf.compat.v1 still has and runs only in a graph."""

METHODS: dict[str, tuple[str, str]] = {
    "make_one_shot_iterator": (
        "datasets of TensorFlow 2 have no such method",
        "iter(dataset), or tf.compat.v1.data.make_one_shot_iterator(dataset)",
    ),
    "make_initializable_iterator": (
        "datasets of TensorFlow 2 have no such method",
        "iter(dataset), or tf.compat.v1.data.make_initializable_iterator(dataset)",
    ),
}
"""Methods whose name alone tells what they belong to."""


def rule_of(name: str) -> str:
    """The longest name with a rule that a name (without `tf.`) lies under, "" without one."""
    parts = name.split(".")
    return next((key for k in range(len(parts), 0, -1) if (key := ".".join(parts[:k])) in REMOVED), "")


def removed(name: str) -> str:
    """The advice for a name (without `tf.`) that is gone, "" without a rule."""
    rule = rule_of(name)
    advice = REMOVED.get(rule, "")
    return advice.replace(".{name}", "" if name == rule else "." + name.split(".")[-1])
