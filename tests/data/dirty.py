"""Builds image folders, clean ones and ones with every defect that the gate knows, each planted by name."""

import io
import os
import random
import shutil
import socket
import struct
import unicodedata
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.profiles import rgb_profile

SIDE = 96


def picture(seed: int, side: int = SIDE, color: bool = True) -> Image.Image:
    """A picture with structure at every scale, unlike that of another seed."""
    rng = np.random.default_rng(seed)
    channels = 3 if color else 1
    levels = np.zeros((side, side, channels))
    for cells in (3, 6, 12, 24, side):
        noise = rng.uniform(-1, 1, (cells, cells, channels))
        for channel in range(channels):
            layer = Image.fromarray(noise[:, :, channel].astype(np.float32), mode="F")
            levels[:, :, channel] += (
                np.asarray(layer.resize((side, side), Image.Resampling.BICUBIC)) / cells**0.5
            )
    levels = (levels - levels.min()) / np.ptp(levels) * 215 + 20
    pixels = levels.astype(np.uint8)
    return Image.fromarray(pixels if color else pixels[:, :, 0])


def clean_folder(root: Path, images: int = 14, splits: tuple[str, ...] = ("train", "test")) -> Path:
    """`images` pictures for each of cat and dog in each split ("" for none)."""
    seed = 0
    for split in splits:
        for label in ("cat", "dog"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(images):
                seed += 1
                picture(seed).save(folder / f"{split}{number:03d}.png")
    return root


class Planter:
    """Plants defects in a clean folder and remembers where: `expected` holds (check, path)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.expected: set[tuple[str, str]] = set()
        self.seed = 1_000_000

    def picture(self) -> Image.Image:
        self.seed += 1
        return picture(self.seed)

    def expect(self, check: str, path: str) -> None:
        self.expected.add((check, path))

    def path(self, path: str, *checks: str) -> Path:
        for check in checks:
            self.expect(check, path)
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        return full

    def plant_all(self) -> None:
        self.plant_junk()
        self.plant_structure()
        self.plant_links()
        self.plant_files()
        self.plant_looks()
        self.plant_duplicates()
        self.plant_metadata()

    def plant_junk(self) -> None:
        image = self.picture()
        for path in ("train/cat/.hidden.png", "train/cat/._a.jpg", "train/cat/.DS_Store"):
            image.save(self.path(path, "hidden"), "PNG")
        for path in (".git/b.png", "train/.cache/deep/er/c.png", "train/cat/.ipynb_checkpoints/a.png"):
            image.save(self.path(path, "unfit"), "PNG")
        for folder in ("train/cat/.ipynb_checkpoints/", ".git/", "train/.cache/"):
            self.expect("hidden", folder)
        for name in ("Thumbs.db", "desktop.ini", "train001.png~", "b.jpg.part", "c.png.crdownload", "~$d.png"):
            image.save(self.path(f"train/dog/{name}", "junk"), "PNG")
        for path in ("__MACOSX/train/x.png", "train/dog/@eaDir/thumb.jpg"):
            image.save(self.path(path, "unfit"), "PNG")
        for folder in ("__MACOSX/", "train/dog/@eaDir/"):
            self.expect("junk", folder)
        picture(2_000_001).save(self.path("train/dog/lone.png~", "wrong_suffix"), "PNG")
        picture(2_000_002).save(self.path("train/dog/nameless", "wrong_suffix"), "JPEG", quality=95)
        self.path("train/dog/notes.txt", "foreign_file").write_text("hello")
        (self.root / "train" / "dog" / "nothing").mkdir()
        self.expect("empty_folder", "train/dog/nothing/")

    def plant_structure(self) -> None:
        self.picture().save(self.path("stray.png", "image_outside_class"))
        self.picture().save(self.path("train/stray.png", "image_outside_class"))
        self.picture().save(self.path("train/cat/more/x.png"))
        self.expect("nested_folder", "train/cat/more/")
        for split in ("train", "test"):
            (self.root / split / "empty").mkdir()
            self.expect("empty_class", f"{split}/empty/")
            for number, label in enumerate(("Café", unicodedata.normalize("NFD", "café"))):
                self.picture().save(self.path(f"{split}/{label}/{number}.png"))
                self.expect("class_name_collision", f"{split}/{label}/")
                self.expect("tiny_class", f"{split}/{unicodedata.normalize('NFC', label)}/")
        self.picture().save(self.path("train/only_here/x.png"))
        self.expect("class_sets_differ", "test/")
        self.expect("tiny_class", "train/only_here/")
        self.picture().save(self.path("extra/x.png"))
        self.expect("mixed_layout", "extra/")
        raw = os.fsencode(self.root / "train" / "cat") + b"/\xff\xfe.png"
        with open(raw, "wb") as file:  # noqa: PTH123 - no UTF-8
            self.picture().save(file, "PNG")
        self.expect("name_not_utf8", r"train/cat/\xff\xfe.png")

    def plant_links(self) -> None:
        outside = self.root.parent / "outside.png"
        self.picture().save(outside)
        for name, target, check in (
            ("out.png", outside, "link_leaves_root"),
            ("gone.png", "nowhere.png", "link_dangling"),
            ("up", "..", "link_loop"),
            ("self.png", "self.png", "link_loop"),
            ("again", "../dog", "link_folder"),
        ):
            self.path(f"train/cat/{name}", check).symlink_to(target)
        os.mkfifo(self.path("train/cat/pipe.png", "special_file"))
        server = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(self.root / "train" / "cat")  # a socket's path may have about 100 bytes
        server.bind("socket.png")
        os.chdir(here)
        server.close()
        self.expect("special_file", "train/cat/socket.png")

    def plant_files(self) -> None:
        self.path("train/cat/empty.png", "empty_file").write_bytes(b"")
        for suffix, name in (
            ("png", "PNG"),
            ("jpg", "JPEG"),
            ("gif", "GIF"),
            ("bmp", "BMP"),
            ("webp", "WEBP"),
        ):
            data = encoded(self.picture(), name)
            self.path(f"train/cat/cut.{suffix}").write_bytes(data[: len(data) * 2 // 3])
            self.expect("truncated" if name != "WEBP" else "unfit", f"train/cat/cut.{suffix}")
            self.path(f"train/cat/text.{suffix}", "not_a_picture").write_bytes(b"This is no image. " * 100)
        data = bytearray(encoded(self.picture(), "PNG"))
        data[len(data) // 2] ^= 0xFF
        self.path("train/cat/flipped.png", "corrupt").write_bytes(bytes(data))
        self.path("train/cat/bomb.png", "decompression_bomb").write_bytes(bomb())
        self.path("train/cat/jpeg.png", "wrong_suffix").write_bytes(encoded(self.picture(), "JPEG"))
        frames = [self.picture() for _ in range(3)]
        frames[0].save(
            self.path("train/cat/moves.gif", "animated", "palette"), save_all=True, append_images=frames[1:]
        )
        frames[1].save(self.path("train/cat/pages.tiff", "animated"), save_all=True, append_images=frames[2:])
        self.picture().convert("CMYK").save(self.path("train/cat/print.jpg", "cmyk"))
        deep = np.asarray(picture(77, color=False), np.uint16) * 257
        Image.fromarray(deep).save(self.path("train/cat/deep.png", "sixteen_bit"))
        self.picture().convert("P").save(self.path("train/cat/palette.png", "palette"))
        self.picture().convert("RGBA").save(self.path("train/cat/clear.png", "alpha"))
        exif = Image.Exif()
        exif[0x0112] = 6
        self.picture().save(self.path("train/cat/turned.jpg", "exif_orientation"), exif=exif)
        self.picture().resize((9, 9)).save(self.path("train/cat/small.png", "too_small", "odd_size"))
        self.picture().resize((900, 90)).save(self.path("train/cat/long.png", "odd_aspect"))
        self.picture().resize((700, 700)).save(self.path("train/cat/huge.png", "odd_size"))
        self.picture().save(self.path("train/cat/drawing.ico", "unsupported_format"), "ICO")
        self.path("train/cat/lfs.jpg", "pointer_file").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        self.picture().save(self.path("train/cat/wide.png", "color_profile"), icc_profile=rgb_profile("Display P3"))

    def plant_looks(self) -> None:
        pixels = np.asarray(self.picture(), np.float64)
        for name, levels, checks in (
            ("dark.png", pixels / 12, ("dark",)),
            ("bright.png", 235 + pixels / 14, ("bright",)),
            (
                "flat.png",
                60 + (pixels > 128).all(axis=2, keepdims=True) * 90 + 0 * pixels,
                ("low_information",),
            ),
            ("same.png", np.full_like(pixels, 90), ("constant", "grey_among_color")),
        ):
            Image.fromarray(levels.astype(np.uint8)).save(self.path(f"train/dog/{name}", *checks))
        soft = (
            self.picture().resize((6, 6), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        )
        soft.save(self.path("train/dog/blurred.png", "blurred"))
        picture(78, color=False).save(self.path("train/dog/grey.png", "grey_among_color"))

    def plant_duplicates(self) -> None:
        first = self.picture()
        first.save(self.path("train/dog/one.png"))
        shutil.copy(self.root / "train/dog/one.png", self.path("train/dog/two.png", "duplicate"))
        first.save(self.path("train/dog/pixels.bmp", "duplicate"))
        label = self.picture()
        for path in ("train/dog/label.png", "train/cat/label.png"):
            label.save(self.path(path, "duplicate_across_classes"))
        leak = self.picture()
        for path in ("train/dog/leak.png", "test/dog/leak.png"):
            leak.save(self.path(path, "duplicate_across_splits"))
        near = self.picture()
        near.save(self.path("train/dog/near.png", "near_duplicate_across_splits"))
        near.save(self.path("test/dog/near.jpg", "near_duplicate_across_splits"), quality=60)
        near = self.picture()
        near.save(self.path("train/dog/sized.png", "near_duplicate_across_classes"))
        near.resize((70, 70)).save(self.path("train/cat/sized.png", "near_duplicate_across_classes"))
        near = self.picture()
        near.save(self.path("train/dog/whole.png"))
        near.crop((2, 3, 94, 95)).save(self.path("train/dog/whole_crop.png", "near_duplicate"))

    def plant_metadata(self) -> None:
        lines = ["path,group,probability"]
        for split in ("train", "test"):
            lines += [
                f"{split}/{label}/{split}{number:03d}.png,{split}{label}{number},0.5"
                for label in ("cat", "dog")
                for number in range(14)
            ]
        lines[1] = "train/cat/train000.png,shared,0.5"
        lines[20] = "train/dog/train005.png,shared,0.5"
        lines[29] = "test/cat/test000.png,shared,0.5"
        for path in ("train/cat/train000.png", "test/cat/test000.png"):
            self.expect("group_across_splits", path)
        lines[2] = "train/cat/train001.png,a,1.5"
        self.expect("metadata_invalid", "train/cat/train001.png")
        lines.append("train/cat/train002.png,again,0.5")
        self.expect("metadata_duplicate_row", "train/cat/train002.png")
        lines.append("train/cat/not_there.png,b,0.5")
        self.expect("metadata_extra_row", "train/cat/not_there.png")
        self.expect("metadata_missing_row", "train/dog/one.png")
        self.expect("metadata_unmatched", "metadata.csv")
        (self.root / "test" / "Metadata.tsv").write_text("path\tgroup\n")
        self.expect("metadata_not_read", "test/Metadata.tsv")
        self.expect("probability_unclear", ".")  # there are more than two classes
        (self.root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    """The bytes of `image` in a format, as Pillow names it."""
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def bomb() -> bytes:
    """A small PNG whose header promises 900 million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def mutate(data: bytes, rng: random.Random, headers: list[bytes]) -> bytes:
    """Break a file: flip bits, cut it, swap its header for another's, or several of these."""
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.randrange(5)
        if kind == 0:
            for _ in range(rng.choice((1, 4, 64))):
                broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del broken[rng.randrange(1, len(broken)) :]
        elif kind == 2:
            header = rng.choice(headers)
            broken[: len(header)] = header
        elif kind == 3:  # sizes and offsets stand near the beginning
            for _ in range(8):
                broken[rng.randrange(min(64, len(broken)))] = rng.randrange(256)
        else:
            at = rng.randrange(len(broken))
            broken[at:at] = rng.randbytes(rng.randrange(1, 64))
        if not broken:
            broken = bytearray(b"\0")
    return bytes(broken)
