"""Heads on the frozen network's features, many trained as one: one matrix product a step for all of them.

In NumPy, and not in Keras: a head is one or two layers whose gradient is known, a step of many takes less time than Keras
takes to start it, and what audits or searches imports nothing heavy. Tests hold every head equal to Keras's own training.
"""

from thaw.cross_validation.heads.batched import train_heads
from thaw.cross_validation.heads.head import Head, TrainedHead, predict_logits

__all__ = ["Head", "TrainedHead", "predict_logits", "train_heads"]
