"""What is laid beside an exported model: `predict.py`, and `runtime.py`, which is the module here by the format's name.

Nothing here imports thaw. The same `open_model` runs the model when it is held against Keras, so that what is judged is what is
shipped.
"""
