"""Colour profiles made from numbers (ICC.1:2022), and what they mean in sRGB by formula."""

import struct

import numpy as np

WHITE_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
PRIMARIES = {  # x, y of red, green, blue and white: IEC 61966-2-1, Adobe RGB (1998), SMPTE EG 432-1, ROMM, Rec. 2020
    "sRGB": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290)),
    "Adobe RGB": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.3290)),
    "Display P3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.3290)),
    "ProPhoto": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585)),
    "Rec. 2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
    "Apple RGB": ((0.625, 0.34), (0.28, 0.595), (0.155, 0.07), (0.3127, 0.3290)),
}
GAMMAS = {"Adobe RGB": 563 / 256, "Display P3": 2.2, "ProPhoto": 1.8, "Rec. 2020": 2.4, "Apple RGB": 1.8}


def to_d50(name: str) -> np.ndarray:
    """From linear RGB to XYZ under D50, Bradford-adapted; columns are the primaries'."""
    *corners, white = [np.array([x / y, 1, (1 - x - y) / y]) for x, y in PRIMARIES[name]]
    basis = np.stack(corners, axis=1)
    scaled = basis * np.linalg.solve(basis, white)
    cones = np.diag((_BRADFORD @ WHITE_D50) / (_BRADFORD @ white))
    return np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ scaled


def srgb_curve(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def in_srgb(levels: np.ndarray, name: str) -> np.ndarray:
    """Levels 0 to 255 of the space `name`, as sRGB has them; `grey GAMMA` names a grey space."""
    if name.startswith("grey"):
        return 255 * srgb_curve((levels / 255) ** float(name.split()[1]))
    linear = (levels / 255) ** GAMMAS[name]
    return 255 * srgb_curve(linear @ to_d50(name).T @ np.linalg.inv(to_d50("sRGB")).T)


def rgb_profile(name: str) -> bytes:
    if name == "sRGB":
        points = np.arange(1024) / 1023
        linear = np.where(points <= 0.04045, points / 12.92, ((points + 0.055) / 1.055) ** 2.4)
        curve = b"curv\0\0\0\0" + struct.pack(">I", 1024) + np.rint(linear * 65535).astype(">u2").tobytes()
    else:
        curve = _gamma(GAMMAS[name])
    columns = zip(("rXYZ", "gXYZ", "bXYZ"), to_d50(name).T, strict=True)
    tags = {tag: _xyz(column) for tag, column in columns}
    return _profile(b"RGB ", b"XYZ ", name, tags | dict.fromkeys(("rTRC", "gTRC", "bTRC"), curve))


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", b"XYZ ", f"grey {gamma}", {"kTRC": _gamma(gamma)})


def ink_profile(corners: np.ndarray) -> bytes:
    """A printer's, that is linear between its 16 solid inks; `corners` are their Lab, `(2, 2, 2, 2, 3)`."""
    lab = np.stack([corners[..., 0] * 255 / 100, corners[..., 1] + 128, corners[..., 2] + 128], axis=-1)
    line = np.arange(256, dtype=np.uint8).tobytes()
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0])
    table += np.array([65536, 0, 0, 0, 65536, 0, 0, 0, 65536], ">i4").tobytes()
    table += line * 4 + np.rint(lab).clip(0, 255).astype(np.uint8).tobytes() + line * 3
    return _profile(b"CMYK", b"Lab ", "four inks", {"A2B0": table}, b"prtr")


def lab_in_srgb(lab: np.ndarray) -> np.ndarray:
    """CIE Lab under D50 as sRGB, 0 to 255 (ISO/CIE 11664-4)."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * WHITE_D50
    return 255 * srgb_curve(xyz @ np.linalg.inv(to_d50("sRGB")).T)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + np.rint(values * 65536).astype(">i4").tobytes()


def _profile(space: bytes, connection: bytes, name: str, tags: dict[str, bytes], kind: bytes = b"mntr") -> bytes:
    text = name.encode() + b"\0"
    tags = tags | {
        "desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(79),
        "cprt": b"text\0\0\0\0none\0",
        "wtpt": _xyz(WHITE_D50),
    }
    bodies, entries, at = b"", b"", 132 + 12 * len(tags)
    for tag, body in tags.items():
        entries += tag.encode() + struct.pack(">II", at + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(bodies), b"none", 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(WHITE_D50)[8:] + bytes(48)
    return head + struct.pack(">I", len(tags)) + entries + bodies
