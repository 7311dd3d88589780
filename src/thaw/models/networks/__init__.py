"""Networks trained from scratch: a module each, with a function of its name; `thaw.models.catalog` says more of each.

A function takes scaled pixels, a symbolic tensor `(batch, height, width, channels)`, and the number of outputs, and
returns the logits `(batch, outputs)`. Layers named `flatten`, `hidden...`, `dropout...` and `logits` are the
classifier, all others the feature extractor.
"""
