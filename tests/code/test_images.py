import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from thaw import images
from thaw.errors import ThawError
from thaw.pixels import ORIENTATION_TAG


@pytest.fixture
def gradient():
    """A colour picture without symmetry, 60 high and 90 wide."""
    rows, columns = np.mgrid[0:60, 0:90]
    return np.stack([rows * 4, columns * 2, (rows + columns) // 2], axis=2).astype(np.uint8)


def save(pixels, path, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_pixels_come_back_as_they_are(tmp_path, gradient):
    path = save(gradient, tmp_path / "Bild mit Ümlaut 猫.png")
    loaded = images.load(path, 60, 90, 3)
    assert loaded.dtype == np.uint8
    assert np.array_equal(loaded, gradient)


def test_grey_has_one_channel(tmp_path, gradient):
    path = save(gradient[:, :, 0], tmp_path / "grey.png")
    assert np.array_equal(images.load(path, 60, 90, 1)[:, :, 0], gradient[:, :, 0])
    assert np.array_equal(images.load(path, 60, 90, 3)[:, :, 2], gradient[:, :, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_orientation_is_applied(tmp_path, gradient, orientation, suffix):
    turned = {
        1: gradient, 2: gradient[:, ::-1], 3: gradient[::-1, ::-1], 4: gradient[::-1],
        5: gradient.transpose(1, 0, 2), 6: np.rot90(gradient, -1),
        7: np.rot90(gradient, 2).transpose(1, 0, 2),
        8: np.rot90(gradient),
    }  # fmt: skip
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    path = save(gradient, tmp_path / f"x.{suffix}", exif=exif, **options)
    height, width = turned[orientation].shape[:2]
    loaded = images.load(path, height, width, 3).astype(int)
    assert np.abs(loaded - turned[orientation]).max() <= (8 if suffix == "jpg" else 0)


def test_cmyk_and_bilevel_are_read(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    Image.new("1", (8, 8), 1).save(tmp_path / "bilevel.png")
    red = images.load(tmp_path / "cmyk.jpg", 8, 8, 3)[4, 4]
    assert red[0] > 240
    assert red[1:].max() < 15
    assert (images.load(tmp_path / "bilevel.png", 8, 8, 1) == 255).all()


def test_resizing_is_antialiased(tmp_path):
    stripes = np.tile(np.array([[0, 255]], np.uint8), (64, 32))
    path = save(stripes, tmp_path / "stripes.png")
    assert np.abs(images.load(path, 8, 8, 1).astype(int) - 127).max() <= 1


def test_crop_keeps_the_middle_and_pad_adds_black(tmp_path):
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 200
    path = save(wide, tmp_path / "wide.png")
    assert (images.load(path, 20, 20, 1, "crop") == 200).all()
    padded = images.load(path, 60, 60, 1, "pad")[:, :, 0]
    assert (padded[:20] == 0).all()
    assert (padded[20:40, 25:35] == 200).all()
    assert (padded[40:] == 0).all()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_draft_looks_like_the_whole_decode(tmp_path, resize, orientation):
    rows, columns = np.mgrid[0:800, 0:1200]
    waves = 127 + 60 * np.sin(rows / 40) + 60 * np.cos(columns / 30)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = save(waves.astype(np.uint8), tmp_path / "x.jpg", quality=95, exif=exif)
    drafted = images.load(path, 100, 100, 1, resize).astype(int)
    save(np.asarray(ImageOps.exif_transpose(Image.open(path))), tmp_path / "x.png")
    assert images.decode(path, 1, (100, 100), resize).width < images.decode(path, 1).width
    assert np.abs(drafted - images.load(tmp_path / "x.png", 100, 100, 1, resize)).mean() < 1


def png_of(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_500, 20_000])
def test_a_bomb_is_refused_by_its_header(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(side, side))
    with pytest.raises(ThawError, match=r"bomb\.png"):
        images.load(path, 8, 8, 1)


def test_an_mpo_is_read_as_its_first_picture(tmp_path, gradient):
    other = Image.fromarray(255 - gradient)
    Image.fromarray(gradient).save(
        tmp_path / "x.jpg", "MPO", save_all=True, append_images=[other], quality=100
    )
    loaded = images.load(tmp_path / "x.jpg", 60, 90, 3).astype(int)
    assert np.abs(loaded - gradient).mean() < 3


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(ThawError, match=r"odd\.png: cannot be read") as caught:
        images.load(path, 8, 8, 3)
    assert caught.value.cure


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif", "gif"])
def test_a_truncated_file_is_an_error(tmp_path, suffix, gradient):
    buffer = io.BytesIO()
    Image.fromarray(gradient).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(ThawError, match="cut"):
        images.load(path, 60, 90, 3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ThawError, match="no such file"):
        images.load(tmp_path / "absent.png", 8, 8, 3)


def test_formats_that_run_programs_are_not_opened(tmp_path):
    path = tmp_path / "x.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(ThawError, match="cannot be read"):
        images.load(path, 8, 8, 3)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../b.png", ""])
def test_no_path_leads_out_of_the_root(tmp_path, path):
    with pytest.raises(ThawError, match="does not name a file below"):
        images.inside(tmp_path, path)


def test_a_path_below_the_root_is_joined(tmp_path):
    assert images.inside(tmp_path, "a/ö.png") == tmp_path / "a" / "ö.png"


def test_the_import_is_light():
    heavy = ("pandas", "cv2", "matplotlib", "tensorflow")
    code = f"import sys, thaw.images; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
