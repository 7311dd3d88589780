"""Measure what would suit the training on this machine and data: a learning rate, a batch size. No stage uses it."""
