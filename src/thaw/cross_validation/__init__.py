"""Heads that each see a part of the images and are judged on the rest: what the stage `audit` and commands share.

The modules are imported by name. None needs TensorFlow: the frozen network's features are in a file.
"""
