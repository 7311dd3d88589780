"""thaw: transfer learning for image classification, with every step kept."""

__version__ = "0.1.0"
