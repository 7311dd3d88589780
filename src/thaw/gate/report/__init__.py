"""What the gate says of a folder: the manifest, the page, and the short report."""
