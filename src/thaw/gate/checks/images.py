"""Checks of each image by itself: file, format, size and look."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from thaw.gate.findings import Findings, Scalar
from thaw.gate.rows import Rows
from thaw.layout import is_image_name, promised_format
from thaw.params.gate import LimitParams


def check_files(rows: Rows, findings: Findings) -> None:
    """Report what the scan could not read or decode."""
    problems, reasons, cures = rows.words("problem"), rows.words("reason"), rows.words("cure")
    for index in np.flatnonzero(problems != "").tolist():
        findings.add(problems[index], rows.paths[index], reasons[index], is_image=True, cure=cures[index])


def check_formats(rows: Rows, limits: LimitParams, findings: Findings) -> None:
    """Report formats, colour modes and sizes that a training loop stumbles over."""
    formats, modes = rows.words("format"), rows.words("mode")
    promised = rows.of_suffixes(lambda suffix: promised_format(f"picture{suffix}"))
    known = (formats != "") & ~np.isin(
        rows.words("problem"), ["unsupported_format", "pointer_file", "not_a_picture"]
    )
    width, height = rows.numbers("width"), rows.numbers("height")
    papers = rows.words("paper")
    frames, bits, turn = rows.numbers("frames"), rows.numbers("bits"), rows.numbers("orientation")
    short, aspect = np.fmin(width, height), np.fmax(width, height) / np.fmax(np.fmin(width, height), 1)

    report = _reporter(rows, findings)
    report(
        "wrong_suffix",
        known & (promised != formats),
        lambda i: (_tell_name(rows.paths[i], formats[i]), formats[i], promised[i]),
    )
    report("animated", frames > 1, lambda i: (f"{frames[i]:.0f} pictures in one file", int(frames[i]), 1))
    report("cmyk", modes == "CMYK", lambda i: ("CMYK colours", "CMYK", None))
    colors = rows.words("colors")
    report("color_profile", colors != "", lambda i: (colors[i], None, None))
    report("sixteen_bit", bits > 8, _tell_depth(rows, bits))
    report("palette", np.isin(modes, ["P", "PA"]), lambda i: ("palette colours", modes[i], None))
    report(
        "alpha",
        rows.numbers("alpha") == 1,
        lambda i: (_TRANSPARENCY[papers[i]], modes[i], None),
    )
    report("exif_orientation", turn > 1, lambda i: (f"EXIF orientation {turn[i]:.0f}", int(turn[i]), 1))
    report(
        "too_small",
        short < limits.min_side_pixels,
        lambda i: (f"{width[i]:.0f} x {height[i]:.0f} pixels", int(short[i]), limits.min_side_pixels),
    )
    report(
        "odd_aspect",
        aspect > limits.max_aspect,
        lambda i: (f"{width[i]:.0f} x {height[i]:.0f} pixels", round(float(aspect[i]), 2), limits.max_aspect),
    )
    _check_size(rows, np.sqrt(width * height), limits, report)


def _tell_name(path: str, image_format: str) -> str:
    if is_image_name(path):
        return f"{image_format} inside, named {path.rsplit('.', 1)[-1]}"
    name = path.rsplit("/", 1)[-1]
    return f"{image_format} inside, and {name} is no picture's name: it trains, other loaders pass it over"


_TRANSPARENCY = {
    "": "has a channel for transparency, and no transparent pixel",
    "white": "has transparent pixels, read as on white paper",
    "black": "has transparent pixels, read as on black paper: white would hide the drawing",
}


def _tell_depth(rows: Rows, bits: np.ndarray) -> "Tell":
    """Which levels became black and white, and whether that is so in most deep pictures of the set."""
    black, white = rows.numbers("black"), rows.numbers("white")
    ranges = Counter(zip(black[bits > 8].tolist(), white[bits > 8].tolist(), strict=True))
    usual = max(ranges, key=lambda each: (ranges[each], each), default=(0.0, 0.0))

    def tell(i: int) -> tuple[str, Scalar, Scalar]:
        reason = f"{bits[i]:.0f} bits a channel; level {black[i]:g} is read as black, {white[i]:g} as white"
        if (black[i], white[i]) != usual:
            reason += f", where {usual[0]:g} and {usual[1]:g} are usual"
        return reason, int(bits[i]), 8

    return tell


def _check_size(rows: Rows, side: np.ndarray, limits: LimitParams, report: "Report") -> None:
    seen = np.isfinite(side)
    if not seen.any():
        return
    median = float(np.median(side[seen]))
    ratio = np.fmax(side, median) / np.fmax(np.fmin(side, median), 1)
    report(
        "odd_size",
        ratio > limits.odd_size_factor,
        lambda i: (
            f"sides of about {side[i]:.0f} pixels where {median:.0f} are usual",
            round(float(ratio[i]), 2),
            limits.odd_size_factor,
        ),
    )


def check_looks(rows: Rows, limits: LimitParams, findings: Findings) -> None:
    """Report pictures that show little: dark, bright, flat, blurred, or grey in a set of colour."""
    low, high = rows.numbers("low_level"), rows.numbers("high_level")
    entropy, sharpness, chroma = rows.numbers("entropy"), rows.numbers("sharpness"), rows.numbers("chroma")
    constant = rows.numbers("constant") == 1
    shows = ~constant

    report = _reporter(rows, findings)
    report("constant", constant, lambda i: ("every pixel has the same grey level", low[i], None))
    report(
        "dark",
        shows & (high < limits.dark_level),
        lambda i: (f"99 of 100 pixels are at {high[i]:.0f} of 255 or below", int(high[i]), limits.dark_level),
    )
    report(
        "bright",
        shows & (low > limits.bright_level),
        lambda i: (f"95 of 100 pixels are at {low[i]:.0f} of 255 or above", int(low[i]), limits.bright_level),
    )
    report(
        "low_information",
        shows & (entropy < limits.min_entropy_bits),
        lambda i: (f"its grey levels hold {entropy[i]:.2f} bits", float(entropy[i]), limits.min_entropy_bits),
    )
    report(
        "blurred",
        shows & (sharpness < limits.min_sharpness),
        lambda i: (f"sharpness {sharpness[i]:.4f}", float(sharpness[i]), limits.min_sharpness),
    )
    grey, seen = chroma <= 0.5, np.isfinite(chroma)
    if seen.any() and (share := float(grey.sum() / seen.sum())) < limits.grey_share:
        report(
            "grey_among_color",
            grey,
            lambda i: (f"grey where {1 - share:.0%} of the set is in colour", float(chroma[i]), None),
        )


Tell = Callable[[int], tuple[str, Scalar, Scalar]]
"""From an image's index to the reason, the value and the threshold of a finding."""
Report = Callable[[str, np.ndarray, Tell], None]


def _reporter(rows: Rows, findings: Findings) -> Report:
    """A function that reports `check` for each image of a mask; `tell` gives an index its reason, value, threshold."""

    def report(check: str, mask: np.ndarray, tell: Tell) -> None:
        for index in np.flatnonzero(mask).tolist():
            reason, value, threshold = tell(index)
            findings.add(check, rows.paths[index], reason, value, threshold, is_image=True)

    return report
