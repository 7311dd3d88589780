"""Say what the model in this folder takes pictures for; needs what `requirements.txt` names, and nothing else.

    python predict.py photo.jpg other.png

A line a picture: path, class (or `unsure`, of a model that may leave a verdict unsaid), probability of each class. The picture
is made upright, grey or RGB, and brought to the model's size as the training pictures were. Of pictures with a colour profile,
transparency or 16 bits a channel `thaw predict` knows more: bring these to plain 8-bit sRGB first.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from runtime import open_model


def read_picture(path, input_shape, resize):
    """The picture as uint8 `(height, width, channels)`; `resize` is `stretch`, `crop` or `pad`."""
    height, width, channels = input_shape
    mode = "L" if channels == 1 else "RGB"
    with Image.open(path) as image:
        image.draft(mode, draft_size(image, height, width, resize))  # a JPEG may be decoded at a half of its size, and so on
        picture = ImageOps.exif_transpose(image).convert(mode)
    return np.asarray(fit(picture, height, width, resize)).reshape(height, width, channels)


def draft_size(image, height, width, resize):
    """The (width, height) from which a JPEG is scaled down further: twice what it is brought to."""
    if image.getexif().get(0x0112, 1) >= 5:  # lies on its side
        height, width = width, height
    scales = width / image.width, height / image.height
    if resize != "stretch":
        scales = ((max if resize == "crop" else min)(scales),) * 2
    return max(1, round(2 * scales[0] * image.width)), max(1, round(2 * scales[1] * image.height))


def fit(picture, height, width, resize):
    """Bring a picture to a size: without its aspect, or its middle, or all of it with black borders."""
    box, size = (0, 0, picture.width, picture.height), (width, height)
    if resize == "crop":
        scale = min(picture.width / width, picture.height / height)
        left, top = (picture.width - scale * width) / 2, (picture.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
    elif resize == "pad":
        scale = max(picture.width / width, picture.height / height)
        size = max(1, round(picture.width / scale)), max(1, round(picture.height / scale))
    if size != picture.size or box != (0, 0, *picture.size):
        picture = picture.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    if size == (width, height):
        return picture
    canvas = Image.new(picture.mode, (width, height))
    canvas.paste(picture, ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas


def decide(probabilities, threshold):
    """The class's number of each row: of two classes the second from `threshold` on, else the likeliest."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(int)
    return probabilities.argmax(axis=1)


def certainty(probabilities, threshold):
    """How sure each verdict is: of two classes 0 at the threshold and 1 at either end, else the largest probability."""
    if probabilities.shape[1] != 2:
        return probabilities.max(axis=1)
    positive = probabilities[:, 1]
    return np.where(positive >= threshold, (positive - threshold) / (1 - threshold), (threshold - positive) / threshold)


def main(paths):
    metadata, run = open_model(Path(__file__).parent)
    for path in paths:
        pixels = read_picture(path, metadata["input_shape"], metadata["resize"])
        _, probabilities = run(pixels[None])
        predicted = metadata["classes"][decide(probabilities, metadata["threshold"])[0]]
        if certainty(probabilities, metadata["threshold"])[0] < metadata["least_certainty"]:
            predicted = "unsure"
        shares = zip(metadata["classes"], probabilities[0], strict=True)
        print(path, predicted, *(f"{name}={share:.6f}" for name, share in shares), sep="\t")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
