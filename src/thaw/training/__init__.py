"""One `fit` for every phase: exact to resume, the same bytes for the same seed.

The modules are imported by name (`thaw.training.fit`): most of them need no TensorFlow.
"""
