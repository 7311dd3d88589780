"""Colours of other spaces against the formulas of their standards, with profiles made from numbers (`tests.data.profiles`)."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.data import profiles
from thaw import images
from thaw.gate.scan.image import Bounds, inspect
from thaw.pixels import color

BOUNDS = Bounds(images.FORMATS, 10**6, 10**7)
COLORS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def encoded(image, name="PNG", **options):
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def trained_on(tmp_path, data, channels=3):
    (tmp_path / "picture").write_bytes(data)
    return np.asarray(images.decode(tmp_path / "picture", channels)).astype(int)


@pytest.mark.parametrize("space", [name for name in profiles.PRIMARIES if name != "sRGB"])
def test_wide_colors_are_brought_to_srgb(tmp_path, space):
    expected = profiles.in_srgb(COLORS.astype(float), space)
    for name, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        data = encoded(Image.fromarray(COLORS), name, icc_profile=profiles.rgb_profile(space), **options)
        assert np.abs(trained_on(tmp_path, data) - expected).max() <= 3, name
        assert inspect(data, BOUNDS)["colors"] == f"colours brought to sRGB from {space}"


@pytest.mark.parametrize("name", ["JPEG", "AVIF"])
def test_lossy_formats_are_converted_after_they_are_decoded(tmp_path, name):
    plain = encoded(Image.fromarray(COLORS), name, quality=95)
    wide = encoded(Image.fromarray(COLORS), name, quality=95, icc_profile=profiles.rgb_profile("Adobe RGB"))
    decoded = np.asarray(Image.open(io.BytesIO(plain)).convert("RGB")).astype(float)
    assert np.abs(trained_on(tmp_path, wide) - profiles.in_srgb(decoded, "Adobe RGB")).max() <= 3


@pytest.mark.parametrize("profile", [
    profiles.rgb_profile("sRGB"), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
])  # fmt: skip
def test_srgb_by_any_profile_is_left_alone(tmp_path, profile):
    data = encoded(Image.fromarray(COLORS), icc_profile=profile)
    assert np.array_equal(trained_on(tmp_path, data), COLORS)
    assert inspect(data, BOUNDS)["colors"] == ""


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
def test_grey_profiles_and_grey_by_a_profile_of_colors(tmp_path, gamma):
    grey = COLORS[:, :, 0]
    data = encoded(Image.fromarray(grey), icc_profile=profiles.grey_profile(gamma))
    expected = profiles.in_srgb(grey.astype(float), f"grey {gamma}")
    bound = 3 if gamma > 1 else 13  # the first step of a linear 8-bit picture is 13 levels of sRGB
    assert np.abs(trained_on(tmp_path, data, 1) - expected).max() <= bound
    data = encoded(Image.fromarray(grey), icc_profile=profiles.rgb_profile("Adobe RGB"))
    expected = profiles.in_srgb(np.repeat(grey[:, :, None], 3, 2).astype(float), "Adobe RGB")[:, :, 1]
    assert np.abs(trained_on(tmp_path, data, 1) - expected).max() <= 3


def test_a_printers_profile_says_what_its_inks_look_like(tmp_path):
    corners = np.random.default_rng(1).uniform((0, -30, -30), (100, 30, 30), (2, 2, 2, 2, 3))
    corners[0, 0, 0, 0], corners[1, 1, 1, 1] = (100, 0, 0), (0, 0, 0)
    corners = np.rint(corners * (2.55, 1, 1)) / (2.55, 1, 1)  # as the profile holds them
    inks = np.stack(np.meshgrid(*[[0, 255]] * 4, indexing="ij"), axis=-1).reshape(4, 4, 4).astype(np.uint8)
    inks = inks.repeat(8, axis=0).repeat(8, axis=1)
    expected = profiles.lab_in_srgb(corners).reshape(4, 4, 3).repeat(8, axis=0).repeat(8, axis=1)
    profile = profiles.ink_profile(corners)
    for name, options in (("TIFF", {}), ("JPEG", {"quality": 100, "subsampling": 0})):
        data = encoded(Image.fromarray(inks, "CMYK"), name, icc_profile=profile, **options)
        assert np.abs(trained_on(tmp_path, data) - expected).max() <= (2 if name == "TIFF" else 6), name
        assert inspect(data, BOUNDS)["colors"] == "colours brought to sRGB from four inks"


@pytest.mark.parametrize("profile", [
    b"no profile", bytes(1_300_000), profiles.rgb_profile("Display P3")[:300], profiles.rgb_profile("ProPhoto")[:128],
    b"\xff" * 4000, profiles.rgb_profile("Adobe RGB").replace(b"rXYZ", b"rXYY"),
])  # fmt: skip
def test_a_damaged_profile_is_not_used_and_told(tmp_path, profile):
    data = encoded(Image.fromarray(COLORS), icc_profile=profile)
    assert np.array_equal(trained_on(tmp_path, data), COLORS)
    facts = inspect(data, BOUNDS)
    assert facts["problem"] == ""
    assert facts["colors"] == "its colour profile is damaged, and was not used"


def test_a_profile_of_another_kind_of_picture_is_not_used(tmp_path):
    data = encoded(Image.fromarray(COLORS), icc_profile=profiles.grey_profile(1.8))
    assert np.array_equal(trained_on(tmp_path, data), COLORS)
    assert inspect(data, BOUNDS)["colors"] == "its colour profile is for GRAY, and was not used"


def with_chunk(data, kind, body):
    """A PNG with a chunk behind its header."""
    chunk = len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize("gamma", [0.25, 1.0, 1 / 1.8])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_gamma_of_a_png_counts(tmp_path, gamma, dtype):
    largest = np.iinfo(dtype).max
    levels = np.random.default_rng(2).integers(0, largest, (24, 32), dtype, endpoint=True)
    levels[0, 0] = largest
    given = round(gamma * 100_000).to_bytes(4, "big")
    data = with_chunk(encoded(Image.fromarray(levels)), b"gAMA", given)
    expected = 255 * (levels / largest) ** (1 / (2.2 * gamma))  # PNG specification, 13.13, to a display of 2.2
    assert np.abs(trained_on(tmp_path, data, 1) - expected).max() <= 0.51
    assert inspect(data, BOUNDS)["colors"] == f"levels brought to sRGB from a gamma of {int.from_bytes(given) / 1e5:g}"


def test_srgb_and_profiles_go_before_gamma_and_a_small_difference_is_none(tmp_path):
    plain = encoded(Image.fromarray(COLORS))
    linear = with_chunk(plain, b"gAMA", (100_000).to_bytes(4, "big"))
    profile = b"x\0\0" + zlib.compress(profiles.rgb_profile("sRGB"))
    for data in (
        with_chunk(linear, b"sRGB", b"\0"), with_chunk(linear, b"iCCP", profile),
        with_chunk(plain, b"gAMA", (45455).to_bytes(4, "big")), with_chunk(plain, b"gAMA", bytes(4)),
    ):  # fmt: skip
        assert np.array_equal(trained_on(tmp_path, data), COLORS)
        assert inspect(data, BOUNDS)["colors"] == ""


def test_a_grey_draft_of_a_wide_jpeg_is_taken_from_its_colors(tmp_path):
    """libjpeg's own grey would be that of the other space's numbers."""
    wide = Image.new("RGB", (640, 480), (30, 200, 60))
    (tmp_path / "x.jpg").write_bytes(encoded(wide, "JPEG", quality=95, icc_profile=profiles.rgb_profile("ProPhoto")))
    red, green, blue = profiles.in_srgb(np.array([30.0, 200, 60]), "ProPhoto")
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(images.load(tmp_path / "x.jpg", 64, 64, 1).astype(int) - expected).max() <= 4


def test_conversions_are_built_once(tmp_path):
    data = encoded(Image.fromarray(COLORS), icc_profile=profiles.rgb_profile("Rec. 2020"))
    color._by_profile.cache_clear()
    for _ in range(3):
        trained_on(tmp_path, data)
    assert color._by_profile.cache_info().misses == 1
