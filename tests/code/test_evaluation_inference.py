import numpy as np
import pytest
from PIL import Image

from thaw import images
from thaw.evaluation import inference
from thaw.evaluation.inference import predict_files


def brightness(pixels):
    """A network of one logit: how bright a picture is, around the middle."""
    assert pixels.dtype == np.uint8
    return (pixels.reshape(len(pixels), -1).mean(axis=1, keepdims=True) - 127.5) / 50


@pytest.fixture
def files(tmp_path):
    paths = []
    for i in range(25):
        path = tmp_path / f"bild {i} ü.png"
        Image.new("L", (20, 30), i * 10).save(path)
        paths.append(path)
    return paths


def test_rows_stand_in_the_order_of_the_files(files, monkeypatch):
    monkeypatch.setattr(inference, "_BATCH_BYTES", 4 * 8 * 8)
    sizes = []

    def run(pixels):
        sizes.append(len(pixels))
        return brightness(pixels)

    probabilities, failures = predict_files(run, files, (8, 8, 1), "stretch", batch_size=4)
    assert sizes == [4, 4, 4, 4, 4, 4, 1]
    assert not failures
    expected = 1 / (1 + np.exp(-(np.arange(25) * 10 - 127.5) / 50))
    assert probabilities[:, 1] == pytest.approx(expected)
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_unreadable_files_are_rows_too(files):
    files[3].write_bytes(b"")
    files[7].unlink()
    probabilities, failures = predict_files(brightness, files, (8, 8, 3), "stretch", batch_size=2)
    assert sorted(failures) == [3, 7]
    assert "bild 3" in failures[3].reason
    assert "no such file" in failures[7].reason
    assert np.isnan(probabilities[[3, 7]]).all()
    assert not np.isnan(np.delete(probabilities, [3, 7], axis=0)).any()


def test_no_readable_file_gives_failures_alone(tmp_path):
    probabilities, failures = predict_files(brightness, [tmp_path / "x.png"], (8, 8, 1), "stretch", 4)
    assert len(probabilities) == len(failures) == 1
    assert predict_files(brightness, [], (8, 8, 1), "stretch", 4)[0].shape == (0, 0)


def test_pictures_are_resized_as_for_training(tmp_path):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    seen = {}
    for resize in ("stretch", "crop", "pad"):
        predict_files(lambda pixels, r=resize: seen.setdefault(r, brightness(pixels)), [tmp_path / "wide.png"],
                    (10, 10, 1), resize, 1)  # fmt: skip
        expected = images.load(tmp_path / "wide.png", 10, 10, 1, resize).mean()
        assert seen[resize][0, 0] == pytest.approx((expected - 127.5) / 50)


def test_a_chunk_is_the_most_batches_that_64_mebibytes_hold(monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr(images, "load", lambda file, *shape: np.zeros(shape[:3], np.uint8))

    def run(pixels):
        taken.append(len(pixels))
        return np.zeros((len(pixels), 1))

    side = 2048  # 12 MiB: five pictures fit, so two batches of two
    predict_files(run, [tmp_path] * 7, (side, side, 3), "stretch", batch_size=2)
    assert taken == [4, 3]
    taken.clear()
    predict_files(run, [tmp_path] * 7, (side, side, 3), "stretch", batch_size=6)  # one batch at least
    assert taken == [6, 1]
