"""Files that are named as pictures and are none: each is told by its first bytes, with a cure of its own."""

import io
import json
import random
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.data.dirty import clean_folder, encoded, picture
from thaw import images
from thaw.errors import ThawError
from thaw.gate.inspection import inspect_folder
from thaw.gate.report.markdown import markdown
from thaw.gate.scan.image import Bounds, inspect
from thaw.params import ValidateParams
from thaw.pixels import foreign

BOUNDS = Bounds(images.FORMATS, 10**6, 10**8)
NOISE = random.Random(0).randbytes(5000)


def box(brand, others=b"mif1"):
    return struct.pack(">I4s4sI", 20 + len(others), b"ftyp", brand, 0) + others + struct.pack(">I4s", 5008, b"mdat") + NOISE


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", b"x" * 99)
    return file.getvalue()


def tarred(mode):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return file.getvalue()


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 18231\n"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
UNSUPPORTED, POINTER, OTHER = "unsupported_format", "pointer_file", "not_a_picture"
FILES = [
    (box(b"heic"), UNSUPPORTED, "HEIC", "heif-convert"), (box(b"mif1", b"heic"), UNSUPPORTED, "HEIC", "heif-convert"),
    (box(b"heix"), UNSUPPORTED, "HEIC", "heif-convert"), (box(b"hevc"), UNSUPPORTED, "HEIC", "heif-convert"),
    (box(b"msf1", b"hevc"), UNSUPPORTED, "HEIC", "heif-convert"), (box(b"crx "), UNSUPPORTED, "CR3", "darktable-cli"),
    (b"\0\0\0\x0cJXL \r\n\x87\n" + NOISE, UNSUPPORTED, "JPEG XL", "djxl"),
    (b"\xff\x0a" + NOISE, UNSUPPORTED, "JPEG XL", "djxl"),
    (b"II\xbc\x01" + NOISE, UNSUPPORTED, "JPEG XR", "magick OLD.jxr NEW.png"),
    (encoded(picture(1), "ICO"), UNSUPPORTED, "ICO", "magick OLD.ico NEW.png"),
    (encoded(picture(1), "TGA"), UNSUPPORTED, "TGA", "magick OLD.tga NEW.png"),
    (encoded(picture(1), "TGA")[:-26], UNSUPPORTED, "TGA", "magick"),
    (encoded(picture(1), "TGA", compression="tga_rle")[:-26], UNSUPPORTED, "TGA", "magick"),
    (encoded(picture(1).convert("P"), "TGA"), UNSUPPORTED, "TGA", "magick"),
    (encoded(picture(1), "DDS"), UNSUPPORTED, "DDS", "magick"), (b"8BPS\0\1" + NOISE, UNSUPPORTED, "PSD", "magick"),
    (b"qoif" + NOISE, UNSUPPORTED, "QOI", "magick"), (encoded(picture(1), "EPS"), UNSUPPORTED, "EPS", "gs -o NEW.png"),
    (bytes(128) + b"DICM" + NOISE, UNSUPPORTED, "DICOM", "dcm2pnm"), (b"SIMPLE  =  T" + NOISE, UNSUPPORTED, "FITS", "magick"),
    (b"v/1\x01" + NOISE, UNSUPPORTED, "EXR", "magick"), (b"gimp xcf v011" + NOISE, UNSUPPORTED, "XCF", "magick"),
    (b"<svg/>", UNSUPPORTED, "SVG", "rsvg-convert"), (SVG.encode(), UNSUPPORTED, "SVG", "rsvg-convert"),
    (f"\ufeff<?xml version='1.0'?>\n<!-- drawn -->\n<!DOCTYPE svg PUBLIC 'x' 'y'>{SVG}".encode(),
     UNSUPPORTED, "SVG", "rsvg-convert"),
    (LFS.encode(), POINTER, "Git LFS", "`git lfs pull`"),
    (LFS.replace("git-lfs.github", "hawser.github").encode(), POINTER, "Git LFS", "git lfs pull"),
    (b"outs:\n- md5: 2f9c\n  size: 9\n  path: a.jpg\n", POINTER, "DVC", "`dvc pull`"),
    (b"md5: 2f9c\nouts:\n- path: a.jpg\n", POINTER, "DVC", "dvc pull"),
    (b"/annex/objects/SHA256E-s18231--abab.jpg\n", POINTER, "git-annex", "git annex get"),
    (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", OTHER, "web page", "Download the picture again."),
    (b"\n\n  <HTML lang=en>\xe9</HTML>", OTHER, "web page", "again"),
    (b"<!-- x -->\n<head><title>Sign in", OTHER, "web page", "again"),
    (("<!doctype html>" + "ü" * 5000).encode(), OTHER, "web page", "again"),
    ("<html>moved</html>".encode("utf-16"), OTHER, "web page", "again"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", OTHER, "message", "again"),
    (json.dumps({"error": "quota"}).encode(), OTHER, "message", "again"), (b"Too many requests\n", OTHER, "a text", "again"),
    (b"[ZoneTransfer]\nZoneId=3\n", OTHER, "a text", "move it out"), (b"path,label\na.jpg,cat\n", OTHER, "a text", "again"),
    (zipped(), OTHER, "an archive", "Unpack"), (b"PK\5\6" + bytes(18), OTHER, "an archive", "Unpack"),
    (tarred("w"), OTHER, "an archive", "Unpack"), (tarred("w:gz"), OTHER, "an archive", "Unpack"),
    (tarred("w:bz2"), OTHER, "an archive", "Unpack"), (tarred("w:xz"), OTHER, "an archive", "Unpack"),
    (b"7z\xbc\xaf\x27\x1c" + NOISE, OTHER, "an archive", "Unpack"), (b"Rar!\x1a\7\1\0" + NOISE, OTHER, "an archive", "Unpack"),
    (box(b"mp42"), OTHER, "a video", "ffmpeg"), (box(b"qt  "), OTHER, "a video", "ffmpeg"),
    (b"\x1aE\xdf\xa3" + NOISE, OTHER, "a video", "ffmpeg"),
    (b"RIFF\0\0\0\0AVI " + NOISE, OTHER, "a video", "ffmpeg"), (b"%PDF-1.7\n" + NOISE, OTHER, "PDF", "pdfimages"),
    (b"\x93NUMPY\1\0" + NOISE, OTHER, "NumPy", "PIL.Image.fromarray"),
    (b"\0\5\x16\7\0\2\0\0" + NOISE, OTHER, "AppleDouble", "Remove"),
    (b"bplist00" + NOISE, OTHER, "property list", "iCloud"),
    (bytes(70_000), "corrupt", "nothing but zero bytes", "again"), (box(b"avif", b"avif"), "corrupt", "AVIF", "again"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "check", "what", "cure"), FILES, ids=[file[2] for file in FILES])
def test_the_gate_and_prediction_say_what_it_is(tmp_path, data, check, what, cure):
    facts = inspect(data, BOUNDS)
    assert facts["problem"] == check
    assert facts["reason"].startswith("it is ")
    assert what in facts["reason"]
    assert cure in facts["cure"]
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(ThawError, match=r"x\.jpg: cannot be read as an image: it is ") as caught:
        images.load(tmp_path / "x.jpg", 8, 8, 3)
    assert what in caught.value.reason
    assert cure in caught.value.cure


def test_what_tells_nothing_is_called_damaged():
    for data in (NOISE, b"\xfe" * 50, NOISE[:3], bytes(5) + NOISE):
        assert foreign.identify(data) is None
        assert inspect(data, BOUNDS)["problem"] == "corrupt"
    assert foreign.identify(b"") is None


def test_a_folder_of_them_has_a_verdict_and_a_cure_each_and_names_are_only_warned_of(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    for name, data in {
        "a.jpg": box(b"heic"), "b.HEIC": box(b"heic"), "c.jxl": b"\xff\x0a" + NOISE, "d.jpg": LFS.encode(), "e.png": zipped(),
        "f.jpg": b"<html></html>", "g.heic": encoded(picture(901), "JPEG"), "h.tga": encoded(picture(1), "TGA"),
        "i.tga": encoded(picture(1), "TGA")[:-26],
    }.items():  # fmt: skip
        (root / "cat" / name).write_bytes(data)
    inspection = inspect_folder(ValidateParams(), root, tmp_path / "scratch")
    found = {row.path.removeprefix("cat/"): (row.check, row.severity, row.cure) for row in inspection.found}
    assert {name: found[name][:2] for name in found} == {
        "a.jpg": (UNSUPPORTED, "quarantine"), "b.HEIC": (UNSUPPORTED, "quarantine"), "c.jxl": (UNSUPPORTED, "quarantine"),
        "d.jpg": (POINTER, "block"), "e.png": (OTHER, "block"), "f.jpg": (OTHER, "block"), "g.heic": ("wrong_suffix", "warn"),
        "h.tga": (UNSUPPORTED, "quarantine"), "i.tga": (UNSUPPORTED, "quarantine"),
    }  # fmt: skip
    assert "cat/g.heic" not in inspection.findings.verdicts
    assert "git lfs pull" in found["d.jpg"][2]
    report = "\n".join(markdown(inspection.summary()))
    for word in ("heif-convert", "djxl", "git lfs pull", "Unpack it", "Download the picture again."):
        assert word in report


def tiff_pages(*pages):
    """A TIFF of (levels, NewSubfileType) pages; tifffile writes masks of one bit alone, so that 8 stands for 4."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for levels, kind in pages:
            writer.write(levels, subfiletype=kind, photometric="rgb", metadata=None)
    return file.getvalue().replace(struct.pack("<HHII", 254, 4, 1, 8), struct.pack("<HHII", 254, 4, 1, 4))


def levels(side, dtype=np.uint8, seed=0):
    found = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (side, side, 3), dtype, endpoint=True)
    found[0, 0] = np.iinfo(dtype).max
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_thumbnails_and_masks_of_a_tiff_are_no_further_pictures(tmp_path, dtype):
    whole, small, other = levels(64, dtype), levels(16, dtype, 1), levels(64, dtype, 2)
    expected = whole if dtype == np.uint8 else np.rint(whole / 257)
    for pages, count in (
        ([(whole, 0), (small, 1)], 1), ([(whole, 0), (small, 1), (levels(8, dtype), 1)], 1), ([(small, 1), (whole, 0)], 1),
        ([(whole, 0), (other, 8)], 1), ([(whole, 0), (other, 0)], 2), ([(whole, 2), (other, 2)], 2),
        ([(small, 1), (whole, 0), (other, 0)], 2),
        ([(whole, 0), (other, 0), (small, 1)], 2), ([(whole, 1)], 1),
    ):  # fmt: skip
        data = tiff_pages(*pages)
        facts = inspect(data, BOUNDS)
        assert (facts["problem"], facts["frames"], facts["width"]) == ("", count, 64), [kind for _, kind in pages]
        (tmp_path / "x.tif").write_bytes(data)
        assert np.array_equal(images.decode(tmp_path / "x.tif", 3), expected)


def test_a_page_behind_the_picture_that_cannot_be_read_costs_nothing(tmp_path):
    whole = Image.fromarray(levels(32))
    data = bytearray(encoded(whole, "TIFF", save_all=True, append_images=[whole]))
    first = int.from_bytes(data[4:8], "little")
    after = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    for target in (len(data) + 9, len(data) - 3, first, 2, 0xFFFFFFF0):
        data[after : after + 4] = target.to_bytes(4, "little")
        assert inspect(bytes(data), BOUNDS)["problem"] == "", target
        (tmp_path / "x.tif").write_bytes(data)
        assert np.array_equal(images.decode(tmp_path / "x.tif", 3), whole)
