"""What stands beside a picture never costs it, and what is missing of it is found: every cut, many tails, every chunk."""

import io
import random
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.data.dirty import picture
from tests.data.profiles import rgb_profile
from thaw import images
from thaw.errors import ThawError
from thaw.gate.scan.image import Bounds, inspect
from thaw.pixels import containers

BOUNDS = Bounds(images.FORMATS, 10**6, 10**8)
PHOTO = picture(1, 96)


def encoded(image, name, **options):
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def trained_on(tmp_path, data):
    (tmp_path / "picture").write_bytes(data)
    return np.asarray(images.decode(tmp_path / "picture", 3))


EXIF = Image.Exif()
EXIF[0x0112] = 6
PLAIN = encoded(PHOTO, "JPEG", quality=90)
SMALL = PLAIN[: len(PLAIN) // 2]
WITH_THUMBNAIL = PLAIN[:2] + b"\xff\xe1" + (len(SMALL) + 8).to_bytes(2) + b"Exif\0\0" + SMALL + PLAIN[2:]
JPEGS = {
    "plain": PLAIN,
    "progressive": encoded(PHOTO, "JPEG", progressive=True),
    "restarts": encoded(PHOTO, "JPEG", restart_marker_rows=1),
    "grey": encoded(PHOTO.convert("L"), "JPEG"),
    "profile": encoded(PHOTO, "JPEG", icc_profile=rgb_profile("Display P3"), exif=EXIF, comment="x" * 999),
    "thumbnail": WITH_THUMBNAIL,
    "several": encoded(PHOTO, "MPO", save_all=True, append_images=[picture(2, 96)]),
}
VIDEO = b"\0\0\0\x18ftypmp42" + random.Random(0).randbytes(200_000)
TAILS = {
    "video": VIDEO, "no end marker in the video": VIDEO.replace(b"\xff\xd9", b"\0\0"), "zeros": bytes(200_000),
    "erased flash": b"\xff" * 70_000, "trailer": b"SEFH" + bytes(60) + b"SEFT", "line end": b"\r\n",
    "text": b"--boundary--\r\n" * 9, "another JPEG, cut": PLAIN[: len(PLAIN) // 2], "two": bytes(99) + VIDEO,
}  # fmt: skip


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("kind", JPEGS)
def test_what_stands_behind_a_jpeg_is_none_of_its_business(tmp_path, kind, tail):
    data = JPEGS[kind]
    longer = data + TAILS[tail]
    assert inspect(longer, BOUNDS)["problem"] == ""
    assert np.array_equal(trained_on(tmp_path, longer), trained_on(tmp_path, data))


@pytest.mark.parametrize("padding", [b"", bytes(3000), b"\xff" * 3000, b"\0" * 511 + b"\n"])
@pytest.mark.parametrize("kind", [name for name in JPEGS if name != "several"])
def test_a_cut_jpeg_is_found_wherever_it_is_cut(tmp_path, kind, padding):
    """A copy that broke off leaves zeros, of which libjpeg makes a grey smear without a word."""
    data = JPEGS[kind]
    ends = range(len(data) - 40, len(data))
    for cut in [*range(3, len(data) - 40, 61), *ends]:
        assert inspect(data[:cut] + padding, BOUNDS)["problem"] in ("truncated", "corrupt"), cut
    for cut in (len(data) // 2, len(data) - 1):
        with pytest.raises(ThawError):
            trained_on(tmp_path, data[:cut] + padding)


def chunk(kind, body, mend=0):
    return len(body).to_bytes(4) + kind + body + (zlib.crc32(kind + body) ^ mend).to_bytes(4)


def with_chunks(data, *chunks):
    """A PNG with `chunks` behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


PALETTE = encoded(PHOTO.convert("P"), "PNG")
LONG = zlib.compress(b"x" * 1_300_000)
HUGE = zlib.compress(b"x" * 20_000_000)
BESIDE = {
    "long zTXt": [chunk(b"zTXt", b"workflow\0\0" + LONG)],
    "long tEXt": [chunk(b"tEXt", b"parameters\0" + b"y" * 3_000_000)],
    "long iTXt": [chunk(b"iTXt", b"prompt\0\1\0en\0\0" + LONG)],
    "long XMP": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG)],
    "huge XMP": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + HUGE)],
    "many texts": [chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 900_000))] * 90,
    "long profile": [chunk(b"iCCP", b"icc\0\0" + LONG)],
    "huge profile": [chunk(b"iCCP", b"icc\0\0" + HUGE)],
    "profile that is none": [chunk(b"iCCP", b"icc\0\0not compressed")],
    "text of an unknown method": [chunk(b"zTXt", b"a\0\7" + LONG[:50])],
    "text without an end": [chunk(b"tEXt", b"a" * 100), chunk(b"iTXt", b"b"), chunk(b"zTXt", b"")],
    "short gAMA": [chunk(b"gAMA", b"\0")], "empty sRGB": [chunk(b"sRGB", b"")], "short pHYs": [chunk(b"pHYs", b"ab")],
    "short cHRM": [chunk(b"cHRM", b"\0\0\0\1")], "short acTL": [chunk(b"acTL", b"\0")],
    "private": [chunk(b"vpAg", b"\0" * 9), chunk(b"cpIp", b"?" * 500)],
    "time, EXIF": [chunk(b"tIME", bytes(7)), chunk(b"eXIf", b"no TIFF")],
    **{f"wrong sum of {kind.decode()}": [chunk(kind, body, 1)] for kind, body in (
        (b"tEXt", b"Comment\0hello"), (b"zTXt", b"a\0\0" + LONG[:99]), (b"iTXt", b"a\0\0\0\0\0b"), (b"pHYs", bytes(9)),
        (b"gAMA", (100_000).to_bytes(4)), (b"iCCP", b"x\0\0" + zlib.compress(rgb_profile("ProPhoto"))), (b"tIME", bytes(7)),
        (b"eXIf", b"MM\0*"), (b"bKGD", b"\0"), (b"iDOT", bytes(28)),
    )},
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("data", [encoded(PHOTO, "PNG"), PALETTE], ids=["color", "palette"])
def test_what_stands_beside_a_png_never_costs_it(tmp_path, name, data):
    crowded = with_chunks(data, *BESIDE[name])
    facts = inspect(crowded, BOUNDS)
    assert facts["problem"] == "", facts["reason"]
    assert np.array_equal(trained_on(tmp_path, crowded), trained_on(tmp_path, data))
    if name != "short acTL":  # OpenCV believes it that the picture is animated
        assert cv2.imdecode(np.frombuffer(crowded, np.uint8), cv2.IMREAD_COLOR) is not None, "OpenCV reads it, too"


def test_an_orientation_is_read_from_a_text_that_stays(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>' + b" " * 1_200_000
    data = with_chunks(encoded(PHOTO, "PNG"), chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)))
    assert np.array_equal(trained_on(tmp_path, data), np.rot90(np.asarray(PHOTO), -1))


def test_a_file_without_anything_to_leave_out_is_not_copied():
    info = PngInfo()
    info.add_text("Software", "camera")
    for data in (*JPEGS.values(), PALETTE, encoded(PHOTO, "TIFF")):
        assert containers.sound(data) is data
    assert containers.sound(encoded(PHOTO, "PNG", pnginfo=info)) == encoded(PHOTO, "PNG")


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND"])
def test_a_wrong_sum_of_a_chunk_that_makes_the_picture_is_damage(kind):
    """libpng stops there, and with it OpenCV and TensorFlow; Pillow looks at some of them alone."""
    broken, at = bytearray(PALETTE), PALETTE.index(kind)
    broken[at + 4 + int.from_bytes(PALETTE[at - 4 : at])] ^= 1
    facts = inspect(bytes(broken), BOUNDS)
    assert (facts["problem"], facts["reason"]) == ("corrupt", f"the checksum of chunk {kind.decode()!r} is wrong")


def test_a_cut_png_is_found_wherever_it_is_cut():
    for cut in range(9, len(PALETTE), 37):
        assert inspect(PALETTE[:cut], BOUNDS)["problem"] == "truncated"
    for tail in (b"", bytes(5000), VIDEO, PALETTE):
        assert inspect(PALETTE + tail, BOUNDS)["problem"] == ""
