"""How well a model does on images it has not seen: numbers with intervals, pictures. No TensorFlow."""

from thaw.evaluation.judgement import Judgement
from thaw.evaluation.report import report_metrics

__all__ = ["Judgement", "report_metrics"]
