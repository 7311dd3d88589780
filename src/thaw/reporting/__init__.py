"""The report of a run as one HTML page: what came out, on which images, and what to do next. No network, no script."""

from thaw.reporting.result import Crossing, Curve, Measure, OutOfFold, Phase, Plot, Result, Slice

__all__ = ["Crossing", "Curve", "Measure", "OutOfFold", "Phase", "Plot", "Result", "Slice"]
