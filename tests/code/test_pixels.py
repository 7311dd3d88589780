"""The rules of `thaw.pixels` against numbers worked out by hand and other decoders; the gate sees what training sees."""

import io
import zlib
from fractions import Fraction
from itertools import product

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from thaw import images, pixels
from thaw.augmentation.contact_sheet import tell_rules
from thaw.errors import ThawError
from thaw.gate.inspection import inspect_folder
from thaw.gate.scan.image import Bounds, inspect
from thaw.params import ValidateParams

BOUNDS = Bounds(images.FORMATS, 10**6, 10**6)
HEIGHT, WIDTH = 9, 14
TURNED = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90,
}  # fmt: skip


def noise(channels, largest=255, dtype=np.uint8, seed=0):
    shape = (HEIGHT, WIDTH, channels) if channels > 1 else (HEIGHT, WIDTH)
    levels = np.random.default_rng(seed).integers(0, largest, shape, np.uint32, endpoint=True)
    levels[0, 0] = largest
    return levels.astype(dtype)


def tiff(levels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, levels, **options)
    return file.getvalue()


def encoded(image, name, **options):
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def png(levels):
    """Of uint16, RGB or RGBA or grey, by OpenCV."""
    if levels.ndim == 3:
        levels = levels[:, :, [2, 1, 0, 3][: levels.shape[2]]]
    return cv2.imencode(".png", levels)[1].tobytes()


def trained_on(tmp_path, data, channels=3):
    """What training, evaluation and prediction get of a file."""
    path = tmp_path / "picture"
    path.write_bytes(data)
    return np.asarray(images.decode(path, channels))


def assert_gate_sees(data, trained):
    """The gate's histogram of grey levels and its grid of colours are those of `trained`, RGB."""
    facts = inspect(data, BOUNDS)
    assert facts["problem"] == "", facts
    grey = cv2.cvtColor(trained, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(facts["sample"].histogram, np.bincount(grey.ravel(), minlength=256))
    if facts["sample"].colors:
        small = Image.fromarray(trained).resize((64, 64), Image.Resampling.NEAREST)
        assert np.dstack(facts["sample"].colors).tobytes() == small.tobytes()
    else:
        assert (trained == trained[:, :, :1]).all()
    return facts


def test_other_decoders_agree_on_eight_bits_in_every_format_and_orientation(tmp_path):
    """OpenCV reads all of these, turns them by the same tag, and has decoders of its own for PNG, TIFF and JPEG."""
    grey, color = Image.fromarray(noise(1)), Image.fromarray(noise(3))
    cases = product(("PNG", "TIFF", "BMP", "WEBP", "PPM", "JPEG2000", "JPEG"), (grey, color), range(1, 9))
    for name, image, turn in cases:
        exif = Image.Exif()
        exif[pixels.ORIENTATION_TAG] = turn
        if name in ("BMP", "PPM", "JPEG2000") and turn > 1:
            continue  # these have no such tag
        options = {"lossless": True} if name == "WEBP" else {"subsampling": 0} if name == "JPEG" else {}
        data = encoded(image, name, **options, **({"exif": exif} if turn > 1 else {}))
        trained = trained_on(tmp_path, data)
        if name == "JPEG":  # OpenCV's own decoder rounds as libjpeg does, to a level or two
            other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
            assert np.abs(trained.astype(int) - other).max() <= 3, (name, image.mode, turn)
        else:
            expected = TURNED[turn](np.asarray(image.convert("RGB")))
            assert np.array_equal(trained, expected), (name, image.mode, turn)
        facts = assert_gate_sees(data, trained)
        assert (facts["orientation"], facts["bits"], facts["white"]) == (turn, 8, 255)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32])
@pytest.mark.parametrize("largest", [3, 255, 256, 1023, 4095, 16383, 16384, 65535, 229_500])
def test_whole_numbers_fill_the_fewest_even_bits_that_hold_them(tmp_path, dtype, largest):
    if largest > np.iinfo(dtype).max:
        return
    levels = noise(1, largest, dtype)
    white = next(2**bits - 1 for bits in range(8, 34, 2) if largest < 2**bits)
    exact = [[round(Fraction(255 * int(level), white)) for level in row] for row in levels]
    files = [tiff(levels)]
    if dtype != np.uint32:  # which Pillow does not open in that order
        files.append(tiff(levels, byteorder=">"))
    if dtype == np.uint16:
        files += [png(levels), encoded(Image.fromarray(levels), "JPEG2000")]
    for data in files:
        trained = trained_on(tmp_path, data, 1)
        assert np.array_equal(trained, exact)
        facts = assert_gate_sees(data, np.repeat(trained[:, :, None], 3, axis=2))
        assert (facts["black"], facts["white"]) == (0, white)
        assert facts["bits"] == (16 if dtype == np.uint16 else 32)


def test_a_sixteen_bit_file_of_small_numbers_is_the_eight_bit_file(tmp_path):
    levels = noise(1, 255)
    deep, plain = tiff(levels.astype(np.uint16)), tiff(levels)
    assert np.array_equal(trained_on(tmp_path, deep), trained_on(tmp_path, plain))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("largest", [255, 4095, 65535])
def test_sixteen_bit_color_is_scaled_by_the_same_rule(tmp_path, channels, largest):
    """Pillow alone keeps the high byte: 12 bits in 16 would train on 16 levels."""
    levels = noise(channels, largest, np.uint16)
    if channels == 4:
        levels[:, :, 3] = 65535
    expected = np.rint(levels[:, :, :3] * (255 / {255: 255, 4095: 4095, 65535: 65535}[largest]))
    options = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    for data in (png(levels), tiff(levels, photometric="rgb", **options)):
        trained = trained_on(tmp_path, data)
        assert np.array_equal(trained, expected)
        assert assert_gate_sees(data, trained)["white"] == largest


def test_deep_pictures_are_turned_too(tmp_path):
    grey, color = noise(1, 4095, np.uint16), noise(3, 4095, np.uint16)
    for levels, turn in product((grey, color), range(1, 9)):
        tag = [(pixels.ORIENTATION_TAG, "H", 1, turn, True)]
        data = tiff(levels, extratags=tag, photometric="rgb" if levels.ndim == 3 else "minisblack")
        trained = trained_on(tmp_path, data, 3 if levels.ndim == 3 else 1)
        assert np.array_equal(trained, np.rint(TURNED[turn](levels) * (255 / 4095))), turn
        trained = trained_on(tmp_path, tagged_png(png(levels), turn), 3 if levels.ndim == 3 else 1)
        assert np.array_equal(trained, np.rint(TURNED[turn](levels) * (255 / 4095))), turn


def tagged_png(data, turn):
    """`data` with an eXIf chunk behind the pixels."""
    body = b"eXIfII*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([turn]) + bytes(7)
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return data[:-12] + chunk + data[-12:]


def test_fractions_and_signed_numbers(tmp_path):
    share = np.random.default_rng(1).random((HEIGHT, WIDTH), np.float32)
    signed = noise(1, 4000, np.int16) - np.int16(1024)  # Hounsfield units of a CT
    height = share * 2900 - 40
    holes = share.copy()
    holes[0, :3] = np.nan, np.inf, -np.inf
    for levels, black, white in (
        (share * 0.7, 0, 1), (height, height.min(), height.max()), (signed, signed.min(), signed.max()),
        (signed.astype(np.int32), signed.min(), signed.max()),
    ):  # fmt: skip
        expected = np.rint((levels.astype(np.float64) - black) * 255 / (float(white) - black))
        data = tiff(levels)
        trained = trained_on(tmp_path, data, 1)
        assert np.array_equal(trained, expected)
        facts = assert_gate_sees(data, np.repeat(trained[:, :, None], 3, axis=2))
        assert (facts["black"], facts["white"]) == (black, white)
    assert trained_on(tmp_path, tiff(holes), 1)[0, :3].tolist() == [0, 255, 0]
    assert (trained_on(tmp_path, tiff(np.full((9, 9), np.nan, np.float32)), 1) == 0).all()
    assert (trained_on(tmp_path, tiff(np.full((9, 9), -3.5, np.float32)), 1) == 0).all()


def test_zero_is_white_where_a_tiff_says_so(tmp_path):
    for dtype, largest in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        levels = noise(1, largest, dtype)
        trained = trained_on(tmp_path, tiff(levels, photometric="miniswhite"), 1)
        assert np.array_equal(trained, 255 - np.rint(levels.astype(np.float64) * (255 / largest)))


def test_sixteen_bit_color_in_planes_is_refused_by_both(tmp_path):
    """Pillow and OpenCV both make noise of it."""
    data = tiff(noise(3, 4095, np.uint16).transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate")
    with pytest.raises(ThawError, match="plane"):
        trained_on(tmp_path, data)
    assert inspect(data, BOUNDS)["problem"] == "unsupported_format"
    eight = noise(3)
    data = tiff(eight.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate")
    assert np.array_equal(trained_on(tmp_path, data), eight)


def drawing(ink, paper_alpha=0):
    """A ring on a transparent ground whose hidden colour is the ink's."""
    mask = Image.new("L", (64, 64), paper_alpha)
    ImageDraw.Draw(mask).ellipse((8, 8, 56, 56), outline=255, width=6)
    image = Image.new("RGB", (64, 64), ink)
    image.putalpha(mask)
    return image


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((0, 0, 0), 255), ((200, 0, 0), 255), ((150, 150, 150), 255), ((255, 255, 255), 0), ((235, 240, 250), 0)],
)
def test_paper_is_white_unless_white_would_hide_the_drawing(tmp_path, ink, paper):
    image = drawing(ink)
    alpha = np.asarray(image)[:, :, 3:].astype(float) / 255
    expected = np.asarray(ink) * alpha + paper * (1 - alpha)
    files = [encoded(image, name, **options) for name, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}))]
    if len(set(ink)) == 1:
        files.append(encoded(image.convert("LA"), "PNG"))
    for data in files:
        trained = trained_on(tmp_path, data)
        assert np.abs(trained - expected).max() <= 1
        facts = assert_gate_sees(data, trained)
        assert facts["alpha"]
        assert facts["paper"] == ("white" if paper else "black")
        assert np.flatnonzero(facts["sample"].histogram).size > 1, "the drawing is seen"


def test_one_transparent_color_is_paper_in_every_mode(tmp_path):
    """PNG's tRNS chunk and GIF's transparent index, which leave the mode as it is."""
    left = np.zeros((8, 8), bool)
    left[:, :4] = True
    palette = Image.fromarray(left.astype(np.uint8))
    palette = Image.frombytes("P", (8, 8), palette.tobytes())
    palette.putpalette([200, 0, 0, 0, 200, 0])
    grey, color = Image.fromarray(np.where(left, 90, 40).astype(np.uint8)), palette.convert("RGB")
    deep = Image.fromarray(np.where(left, 900, 4095).astype(np.uint16))
    for image, name, clear, ink in (
        (palette, "PNG", 1, (200, 0, 0)), (palette, "GIF", 1, (200, 0, 0)), (grey, "PNG", 90, (40, 40, 40)),
        (color, "PNG", (0, 200, 0), (200, 0, 0)), (Image.fromarray(~left), "PNG", 0, (255, 255, 255)),
    ):  # fmt: skip
        data = encoded(image, name, transparency=clear)
        trained = trained_on(tmp_path, data)
        paper = 255 if ink != (255, 255, 255) else 0
        assert (trained[:, :4] == paper).all(), (image.mode, name)
        assert_gate_sees(data, trained)
    data = encoded(deep, "PNG", transparency=900)
    assert (trained_on(tmp_path, data, 1)[:, :4] == 0).all()
    assert (trained_on(tmp_path, data, 1)[:, 4:] == 255).all()


def test_alpha_that_hides_nothing_changes_nothing(tmp_path):
    color = noise(3)
    opaque = Image.fromarray(np.dstack([color, np.full((HEIGHT, WIDTH), 255, np.uint8)]))
    assert np.array_equal(trained_on(tmp_path, encoded(opaque, "PNG")), color)
    assert inspect(encoded(opaque, "PNG"), BOUNDS)["paper"] == ""


def test_premultiplied_and_deep_alpha(tmp_path):
    color, alpha = noise(3, 65535, np.uint16), noise(1, 65535, np.uint16, seed=3)
    share = alpha[:, :, None] / 65535
    expected = color / 257 * share + 255 * (1 - share)
    straight = np.dstack([color, alpha])
    multiplied = np.dstack([np.rint(color * share).astype(np.uint16), alpha])
    for data in (
        png(straight),
        tiff(straight, photometric="rgb", extrasamples=["unassalpha"]),
        tiff(multiplied, photometric="rgb", extrasamples=["assocalpha"]),
    ):
        trained = trained_on(tmp_path, data)
        assert np.abs(trained - expected).max() <= 2
        assert_gate_sees(data, trained)


@pytest.mark.parametrize(
    "tag",
    [b"Exif\0\0", b"Exif\0\0no TIFF at all", b"Exif\0\0II*\0\xff\xff\xff\x7f",
     b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\x006\0\0\0\0\0\0\0",       # text
     b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0"],     # 99
)  # fmt: skip
def test_a_broken_tag_turns_nothing_and_stops_nothing(tmp_path, tag):
    plain = encoded(Image.fromarray(noise(3)).resize((300, 200)), "JPEG")
    data = plain[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + plain[2:]
    assert np.array_equal(trained_on(tmp_path, data), trained_on(tmp_path, plain))
    (tmp_path / "tagged.jpg").write_bytes(data)
    assert images.load(tmp_path / "tagged.jpg", 50, 50, 3).shape == (50, 50, 3)  # a draft asks for it as well
    assert inspect(data, BOUNDS)["orientation"] == 1


def test_xmp_turns_pictures_as_exif_does(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    color = noise(3)
    for name, options in (("JPEG", {"subsampling": 0}), ("WEBP", {"lossless": True})):
        plain = trained_on(tmp_path, encoded(Image.fromarray(color), name, **options))
        data = encoded(Image.fromarray(color), name, xmp=xmp, **options)
        trained = trained_on(tmp_path, data)
        assert np.array_equal(trained, np.rot90(plain, -1)), name
        assert assert_gate_sees(data, trained)["orientation"] == 6


def test_the_first_picture_of_several_is_read(tmp_path):
    first, second = (Image.fromarray(noise(3, seed=seed)) for seed in (1, 2))
    for name in ("TIFF", "PNG", "GIF", "MPO"):
        options = {"quality": 100, "subsampling": 0} if name == "MPO" else {}
        data = encoded(first, name, save_all=True, append_images=[second], **options)
        alone = trained_on(tmp_path, encoded(first, name.replace("MPO", "JPEG"), **options))
        trained = trained_on(tmp_path, data)
        assert np.array_equal(trained, alone), name
        assert_gate_sees(data, trained)


def test_print_colors_and_palettes(tmp_path):
    ink = noise(4)
    share = 1 - ink.astype(np.float64) / 255
    expected = 255 * share[:, :, :3] * share[:, :, 3:]  # each ink takes its share of the light
    for data in (encoded(Image.fromarray(ink, "CMYK"), "TIFF"), tiff(ink, photometric="separated")):
        trained = trained_on(tmp_path, data)
        assert np.abs(trained - expected).max() <= 2
        assert_gate_sees(data, trained)
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colors = noise(3)[0, 0:1].repeat(256, axis=0) ^ np.arange(256, dtype=np.uint8)[:, None]
    data = tiff(levels, photometric="palette", colormap=colors.T.astype(np.uint16) * 257)
    trained = trained_on(tmp_path, data)
    assert np.array_equal(trained, colors[levels])
    assert_gate_sees(data, trained)


def test_the_gate_and_the_contact_sheet_tell_what_was_done(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "raw" / label).mkdir(parents=True)
    for number, largest in enumerate((4000, 3000, 65535)):
        levels = noise(1, largest, np.uint16, number).repeat(4, axis=0).repeat(4, axis=1)
        (tmp_path / "raw" / "cat" / f"{number}.png").write_bytes(png(levels))
    drawing((255, 255, 255)).save(tmp_path / "raw" / "dog" / "white.png")
    exif = Image.Exif()
    exif[pixels.ORIENTATION_TAG] = 3
    drawing((0, 0, 0)).save(tmp_path / "raw" / "dog" / "black.png", exif=exif)
    inspection = inspect_folder(ValidateParams(), tmp_path / "raw", tmp_path / "scratch")
    told = {(row.check, row.path): row.reason for row in inspection.found}
    usual, other = told["sixteen_bit", "cat/0.png"], told["sixteen_bit", "cat/2.png"]
    assert usual == "16 bits a channel; level 0 is read as black, 4095 as white"
    assert other == "16 bits a channel; level 0 is read as black, 65535 as white, where 0 and 4095 are usual"
    assert "black paper" in told["alpha", "dog/white.png"]
    assert "white paper" in told["alpha", "dog/black.png"]
    rules = {path: tell_rules(images.open_picture(tmp_path / "raw" / path)) for path in inspection.rows.paths}
    assert rules == {
        "cat/0.png": ["16 bits, 0 is black and 4095 white"],
        "cat/1.png": ["16 bits, 0 is black and 4095 white"],
        "cat/2.png": ["16 bits, 0 is black and 65535 white"],
        "dog/black.png": ["transparent, on white", "turned upright"],
        "dog/white.png": ["transparent, on black"],
    }
