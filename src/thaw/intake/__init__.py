"""Image folders as people have them: how one is laid out, and the same images as `data/raw` holds them."""
