"""How well a model does on images it has not seen: numbers with intervals, pictures. No TensorFlow."""

from thaw.evaluation.predictions import Predictions
from thaw.evaluation.report import headline, report_metrics

__all__ = ["Predictions", "headline", "report_metrics"]
