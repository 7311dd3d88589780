"""From the folder to a row an image: the tree, the decoders, the statistics, and what is kept of them."""
