"""Loaded by the fork server before it forks: TensorFlow and Keras, without running an operation."""

import os

from thaw.processes import die_with_parent

die_with_parent()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402, F401
import tensorflow  # noqa: E402, F401
