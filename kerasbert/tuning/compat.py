"""keras-tuner on Keras 2: the one place that knows how keras-tuner chooses its Keras.

keras-tuner (1.4.7 and 1.4.8) builds on the package `keras`, which is Keras 3, and refuses models of tf_keras
(https://github.com/keras-team/keras-tuner/issues/1039), although its own code for `tf.keras` is still there. It asks
for its Keras through one module, at the time of use; that module is given the names of tf_keras here. Nothing outside
keras-tuner changes, and it does not matter who imported what first.
"""

from __future__ import annotations

import importlib
from typing import Any

from kerasbert.errors import UsageError
from kerasbert.keras import keras

_TESTED = ("1.4.",)
_INSTALL = 'pip install "kerasbert[tune]"'


def import_keras_tuner() -> Any:
    """The package keras_tuner, working with models of Keras 2.

    Raises:
      UsageError: keras-tuner is not installed, or is a version of which nobody knows how it chooses its Keras.
    """
    try:
        import keras_tuner
        from keras_tuner.src.backend import config
        from keras_tuner.src.backend import keras as chosen
        from keras_tuner.src.engine import tuner_utils
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "keras_tuner":
            raise
        raise UsageError("searches need keras-tuner", hint=_INSTALL) from error
    if not keras_tuner.__version__.startswith(_TESTED):
        raise UsageError(
            f"keras-tuner {keras_tuner.__version__} is installed; searches are tested with 1.4.7 and 1.4.8",
            hint=_INSTALL,
        )
    if chosen.Model is not keras.Model:
        config._MULTI_BACKEND = False
        vars(chosen).update({name: value for name, value in vars(keras).items() if not name.startswith("_")})
        # Its callbacks are classes on a base of the other Keras.
        importlib.reload(tuner_utils)
    return keras_tuner


keras_tuner = import_keras_tuner()
