"""tf.distribute chosen from what the machine has, and the numeric precision."""

from __future__ import annotations

import os

from kerasbert.errors import UsageError
from kerasbert.keras import keras, tf


def choose_strategy(devices: str = "auto") -> tf.distribute.Strategy:
    """A distribution strategy.

    Args:
      devices: "auto" takes, in this order, a cluster described by TF_CONFIG, a TPU, all GPUs, one GPU, the CPU; any
        other value insists on one: "cpu", "gpu", "mirrored", "multiworker" or "tpu".

    Raises:
      UsageError: the machine does not have what was insisted on.
    """
    gpus = tf.config.list_logical_devices("GPU") if devices != "multiworker" else []
    if devices == "auto":
        if os.environ.get("TF_CONFIG"):
            devices = "multiworker"
        elif os.environ.get("COLAB_TPU_ADDR") or os.environ.get("TPU_NAME"):
            devices = "tpu"
        else:
            devices = "mirrored" if len(gpus) > 1 else "gpu" if gpus else "cpu"
    if devices == "multiworker":
        if not os.environ.get("TF_CONFIG"):
            raise UsageError(
                "runtime.devices is multiworker, but TF_CONFIG is not set",
                hint="describe the cluster in TF_CONFIG on every worker, or use runtime.devices=auto",
            )
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"TF_CONFIG does not describe a cluster and this worker's place in it: {error}",
                hint='it reads {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}',
            ) from error
    if devices == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME", ""))
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except (ValueError, tf.errors.OpError) as error:
            raise UsageError("no TPU can be reached", hint="set TPU_NAME, or use runtime.devices=auto") from error
        return tf.distribute.TPUStrategy(resolver)
    if devices in ("gpu", "mirrored") and not gpus:
        raise UsageError(
            f"runtime.devices is {devices}, but TensorFlow sees no GPU", hint="use runtime.devices=auto or cpu"
        )
    if devices == "mirrored":
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    if devices == "cpu" and gpus:
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    # TensorFlow's own choice is the first GPU, or the CPU where there is none. It reads data without the iterator for
    # several devices, whose tuning thread no option turns off (see `kerasbert.training.input.untuned`).
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the shared files: the only one, or the first worker of a cluster."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec().as_dict():
        return True
    task_type, task_id = resolver.task_type, resolver.task_id
    return task_type in (None, "chief") or (
        task_type == "worker" and task_id == 0 and "chief" not in resolver.cluster_spec().as_dict()
    )


def in_cluster(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes train along."""
    resolver = strategy.cluster_resolver
    tasks = resolver.cluster_spec().as_dict() if resolver is not None else {}
    return sum(len(tasks.get(kind, ())) for kind in ("chief", "worker")) > 1


def in_any_worker(strategy: tf.distribute.Strategy, *flags: bool) -> list[bool]:
    """Of some flags, which are set in any process of the cluster; each of them has to ask at the same place.

    A preempted machine tells one worker alone, and all have to save at the same step: TensorFlow's
    PreemptionCheckpointHandler settles it likewise, but needs a training loop of its own and leaves by its own rules.
    """
    if not in_cluster(strategy):
        return list(flags)
    wishes = strategy.experimental_distribute_values_from_function(lambda context: tf.constant(flags, tf.int32))
    return [bool(count) for count in strategy.reduce(tf.distribute.ReduceOp.SUM, wishes, axis=None).numpy()]


def set_precision(precision: str, deterministic: bool, seed: int) -> None:
    """Sets the process's numeric policy, its seeds and, if asked, deterministic kernels."""
    keras.mixed_precision.set_global_policy(precision)
    # Dropout draws from generators that can be saved with the training state.
    keras.backend.experimental.enable_tf_random_generator()
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def padding_multiple(precision: str) -> int:
    """What padded lengths are rounded up to a multiple of: tensor cores compute blocks of 8."""
    return 8 if precision == "mixed_float16" else 1
