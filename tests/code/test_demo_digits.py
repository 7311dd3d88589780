"""The digits are laid out whole, the same each time, and never among other data. No TensorFlow."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from thaw.demo import lay_out
from thaw.errors import ThawError


def test_every_digit_is_there(tmp_path):
    assert lay_out("digits", tmp_path / "raw") == 1797
    assert sorted(folder.name for folder in (tmp_path / "raw").iterdir()) == [
        str(digit) for digit in range(10)
    ]
    digits = load_digits()
    picture = np.asarray(Image.open(tmp_path / "raw" / str(digits.target[1234]) / "1234.png"))
    np.testing.assert_array_equal(np.rint(picture / (255 / 16)), digits.images[1234])


def test_a_half_filled_folder_is_completed_with_the_same_bytes(tmp_path):
    lay_out("digits", tmp_path / "raw")
    path = tmp_path / "raw/7/0007.png"
    content = path.read_bytes()
    path.unlink()
    assert lay_out("digits", tmp_path / "raw") == 1
    assert path.read_bytes() == content
    assert lay_out("digits", tmp_path / "raw") == 0


def test_other_data_is_left_alone(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/mine.jpg").write_text("mine")
    with pytest.raises(ThawError, match=r"mine\.jpg"):
        lay_out("digits", tmp_path / "raw")
    assert [path.name for path in tmp_path.rglob("*")] == ["raw", "mine.jpg"]
