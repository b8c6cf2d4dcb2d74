"""What TensorFlow sees of a machine: devices, threads, and what each numeric precision costs, measured."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.doctor.cluster import Member, check_cluster
from kerasbert.keras import PRECISIONS, numeric_policy, package_versions, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.tensors import first_line
from kerasbert.training.optimizer import AdamWeightDecay

# TensorFlow turns oneDNN on by itself on these (tsl/util/onednn_util, DefaultOneDnnPolicy).
_ONEDNN_FLAGS = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}

# Units of a layer, examples and tokens of a step: large enough for a GPU to show what it gains, and small enough for a
# CPU that has to emulate a precision.
_ON_GPU, _ON_CPU = (512, 32, 128), (64, 8, 32)
_STEPS, _MOST_MILLISECONDS = 6, 3000.0

# A lower precision that is slower than this share of float32's speed is not worth its rounding.
_SLOWER = 1.1


@dataclass(frozen=True)
class Precision:
    """A numeric precision on this machine.

    Attributes:
      name: as in runtime.precision.
      milliseconds: of a training step of a small model, the median of some; None where it does not run.
      problem: why it does not run, None where it does.
    """

    name: str
    milliseconds: float | None
    problem: str | None = None


@dataclass(frozen=True)
class Machine:
    """What TensorFlow sees.

    Attributes:
      versions: of Python and the packages that matter.
      devices: one line each.
      strategy: what runtime.devices=auto means here.
      cluster: the tasks that TF_CONFIG names.
      precisions: measured on the first GPU, otherwise on the CPU.
      threads: processors that this process may use, and TensorFlow's settings (0: as many as processors).
      onednn: whether oneDNN is on, and why.
      faults: what is likely to be wrong, in words.
    """

    versions: dict[str, str]
    devices: list[str]
    strategy: str
    cluster: list[Member]
    precisions: list[Precision]
    threads: dict[str, float]
    onednn: str
    faults: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check_machine(timeout: float = 3.0) -> Machine:
    """Looks at everything; takes a few seconds for the measured steps.

    Args:
      timeout: seconds to wait for an address of the cluster.

    Raises:
      UsageError: TF_CONFIG describes no cluster.
    """
    value = os.environ.get("TF_CONFIG")
    cluster = check_cluster(value, timeout) if value else []
    gpus = tf.config.list_physical_devices("GPU")
    tpu = bool(os.environ.get("COLAB_TPU_ADDR") or os.environ.get("TPU_NAME"))
    chosen = "multiworker" if value else "tpu" if tpu else "mirrored" if len(gpus) > 1 else "gpu" if gpus else "cpu"
    precisions = [_measure(name, "/gpu:0" if gpus else "/cpu:0") for name in PRECISIONS]
    threads = {
        "processors": float(len(os.sched_getaffinity(0))),
        "quota": _quota() or 0.0,
        "intra_op": float(tf.config.threading.get_intra_op_parallelism_threads()),
        "inter_op": float(tf.config.threading.get_inter_op_parallelism_threads()),
    }
    onednn, hint = _onednn()
    faults = [member.fault for member in cluster if member.fault is not None]
    faults += [*_device_faults(len(gpus)), *_precision_faults(precisions), *_thread_faults(threads)]
    devices = [_describe(device) for device in tf.config.list_physical_devices()]
    return Machine(_versions(), devices, chosen, cluster, precisions, threads, onednn, faults + hint)


def render(machine: Machine) -> str:
    """The findings as a few lines of text."""
    lines = ["versions: " + ", ".join(f"{name} {version}" for name, version in machine.versions.items())]
    lines += [f"device: {device}" for device in machine.devices]
    lines.append(f"runtime.devices=auto means: {machine.strategy}")
    lines += [f"cluster: {member.task} at {member.address}: {member.state}" for member in machine.cluster]
    base = machine.precisions[0].milliseconds
    for precision in machine.precisions:
        if precision.milliseconds is None:
            lines.append(f"precision: {precision.name} does not run: {precision.problem}")
        else:
            ratio = f", {base / precision.milliseconds:.2f} x the speed of float32" if base else ""
            lines.append(f"precision: {precision.name}, {precision.milliseconds:.1f} ms a step{ratio}")
    threads = machine.threads
    quota = f", a quota of {threads['quota']:g}" if threads["quota"] else ""
    settings = (
        f"TensorFlow's threads: {threads['intra_op']:g} within an operation, {threads['inter_op']:g} between them"
    )
    lines.append(f"processors: {threads['processors']:g}{quota}; {settings} (0: as many as processors)")
    lines.append(f"oneDNN: {machine.onednn}")
    lines += [f"likely fault: {fault}" for fault in machine.faults] or ["no fault seen"]
    return "\n".join(lines)


def _versions() -> dict[str, str]:
    found = package_versions() | {"numpy": np.__version__}
    packages = {name: version or "not installed under this name" for name, version in found.items()}
    return {"python": platform.python_version()} | packages


def _describe(device: Any) -> str:
    details = tf.config.experimental.get_device_details(device) if device.device_type == "GPU" else {}
    name = details.get("device_name", "")
    capability = ".".join(map(str, details.get("compute_capability", ())))
    return " ".join(word for word in (device.name, name, capability and f"(compute capability {capability})") if word)


def _measure(name: str, device: str) -> Precision:
    """Training steps of a small classifier, forward, backward and update."""
    try:
        with numeric_policy(name), tf.device(device):
            width, batch, length = _ON_GPU if "gpu" in device else _ON_CPU
            config = EncoderConfig(
                1000, width, num_layers=2, num_heads=2, intermediate_size=4 * width, max_positions=length
            )
            model = PredicateClassifier(config, 10)
            model.compile(optimizer=AdamWeightDecay(1e-4))
            ids = np.arange(batch * length, dtype=np.int32).reshape(batch, length) % 1000
            inputs = {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
            labels = np.eye(batch, 10, dtype=np.int32)
            times: list[float] = []
            # The first one builds the graph.
            while len(times) < 2 or (len(times) < _STEPS and sum(times[1:]) < _MOST_MILLISECONDS):
                begin = time.perf_counter()
                loss = model.train_on_batch(inputs, labels, return_dict=True)["loss"]
                times.append(1000 * (time.perf_counter() - begin))
        if not math.isfinite(loss):
            return Precision(name, None, f"the loss of a small model is {loss}")
        return Precision(name, statistics.median(times[1:]))
    except (tf.errors.OpError, ValueError, TypeError, RuntimeError) as error:
        return Precision(name, None, first_line(error))


def _quota() -> float | None:
    """Processors that the control group grants; None without a limit."""
    try:
        granted, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return None if granted == "max" else int(granted) / int(period)
    except (OSError, ValueError):
        return None


def _onednn() -> tuple[str, list[str]]:
    """Whether oneDNN is on, and an advice where it could be."""
    setting = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    if setting is not None:
        on = setting.lower() in ("1", "true")
        return f"{'on' if on else 'off'}, by TF_ENABLE_ONEDNN_OPTS={setting}", []
    if platform.machine() not in ("x86_64", "AMD64"):
        return "as TensorFlow chooses for this processor", []
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return "as TensorFlow chooses for this processor", []
    if found := sorted(flags & _ONEDNN_FLAGS):
        return f"on, as the processor has {', '.join(found)}", []
    return "off, as the processor lacks the instructions for which TensorFlow turns it on by itself", [
        "oneDNN is off; TF_ENABLE_ONEDNN_OPTS=1 may be faster on a CPU, and rounds differently"
    ]


def _device_faults(gpus: int) -> list[str]:
    if gpus or not (Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/version").exists()):
        return []
    if not tf.sysconfig.get_build_info().get("is_cuda_build"):
        return ["there is an NVIDIA GPU, but this TensorFlow is built without CUDA: install tensorflow[and-cuda]"]
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ["there is an NVIDIA GPU, but CUDA_VISIBLE_DEVICES hides it"]
    return [
        "there is an NVIDIA GPU, but TensorFlow cannot open it: "
        "its CUDA libraries are missing or do not fit the driver; pip install tensorflow[and-cuda] brings them"
    ]


def _precision_faults(precisions: list[Precision]) -> list[str]:
    base = precisions[0].milliseconds
    faults = [f"{p.name} does not run here: {p.problem}" for p in precisions if p.problem is not None]
    return faults + [
        f"{p.name} is {p.milliseconds / base:.1f} times as slow as float32 here: leave runtime.precision at float32"
        for p in precisions[1:]
        if base and p.milliseconds is not None and p.milliseconds > _SLOWER * base
    ]


def _thread_faults(threads: dict[str, float]) -> list[str]:
    faults = []
    if 0 < threads["quota"] < threads["processors"]:
        faults.append(
            f"the container may use {threads['quota']:g} processors and sees {threads['processors']:g}: "
            f"TensorFlow starts too many threads; set TF_NUM_INTRAOP_THREADS={max(1, int(threads['quota']))}"
        )
    if threads["intra_op"] > threads["processors"]:
        faults.append("TensorFlow is told to use more threads than there are processors")
    return faults
