"""Initial weights drawn by NumPy, against Keras on TensorFlow."""

import keras
import numpy as np
import pytest

from thaw.models.initial import glorot_uniform


@pytest.mark.parametrize("shape", [(1280, 1), (7, 5), (3, 3, 16, 32), (5, 5, 8, 1)])
@pytest.mark.parametrize("seed", [1, 987_654_321])
def test_weights_are_drawn_as_tensorflow_draws_them(shape, seed):
    drawn = glorot_uniform(shape, seed)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, keras.initializers.GlorotUniform(seed)(shape))
