"""A module a format, each with the same names.

- `write(served, folder, examples)`: writes the model into an empty folder; `examples`, uint8 `(n, height, width, channels)`,
  are what whole numbers (int8) are calibrated on, None leaves float32.
- `REQUIREMENTS`: the distributions that the format's reader needs, beside NumPy and Pillow.
- `NEEDS`: what writing needs beyond what thaw always has; `NEEDS_INT8`, as well for whole numbers.
- `IN_FLOAT`: what stays in float32 among whole numbers.
"""
