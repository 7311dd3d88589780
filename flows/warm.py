"""Loaded by the fork server before it forks: TensorFlow and Keras, without running an operation."""

from thaw.devices import prepare_tensorflow
from thaw.processes import die_with_parent

die_with_parent()
prepare_tensorflow()

import keras  # noqa: E402, F401
import tensorflow  # noqa: E402, F401
