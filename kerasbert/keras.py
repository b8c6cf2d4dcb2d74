"""The one import of Keras 2 (tf_keras); every other module takes Keras and TensorFlow from here.

tensorflow-text and tf-models-official decide which Keras they build on when they are imported, so the switch has to
be set first. Users may have imported tensorflow already: that is fine as long as `tf.keras` was not touched.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import threading
from collections.abc import Iterator

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
import tf_keras as keras

from kerasbert.errors import UsageError

if os.environ["TF_USE_LEGACY_KERAS"] not in ("1", "true", "True"):
    raise UsageError(
        f"TF_USE_LEGACY_KERAS is {os.environ['TF_USE_LEGACY_KERAS']!r}, so TensorFlow would hand out Keras 3",
        hint="set TF_USE_LEGACY_KERAS=1, or leave it unset, before Python starts",
    )

__all__ = [
    "PRECISIONS",
    "keras",
    "numeric_policy",
    "package_versions",
    "require_keras2",
    "require_precision",
    "tf",
]

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
"""What products can be computed in; weights are float32 all the same."""

_PACKAGES = ("kerasbert", "tensorflow", "tf_keras", "tensorflow-text", "tf-models-official")

# Keras has one policy for all threads.
_POLICY = threading.RLock()


def require_precision(precision: str) -> None:
    """Checks the name of a precision.

    Raises:
      UsageError: it is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"there is no precision {precision!r}", hint=f"one of {', '.join(PRECISIONS)}")


@contextlib.contextmanager
def numeric_policy(precision: str) -> Iterator[None]:
    """Has the models that are built meanwhile compute in one of `PRECISIONS`.

    Raises:
      UsageError: another name.
    """
    require_precision(precision)
    with _POLICY:
        before = keras.mixed_precision.global_policy()
        keras.mixed_precision.set_global_policy(precision)
        try:
            yield
        finally:
            keras.mixed_precision.set_global_policy(before)


def require_keras2(thing: object, what: str) -> None:
    """Refuses an object of Keras 3 where one of Keras 2 is needed.

    Raises:
      UsageError: the object's class comes from the `keras` package of Keras 3.
    """
    module = type(thing).__module__
    if module == "keras" or module.startswith("keras."):
        raise UsageError(
            f"{what} is a Keras 3 object ({module}.{type(thing).__name__}); kerasbert works with Keras 2",
            hint="build it with tf_keras, or take keras from kerasbert.keras",
        )


def package_versions() -> dict[str, str | None]:
    """The versions of what a model is made with."""
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    """The version of an installed distribution; None where a package has come under another name."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
