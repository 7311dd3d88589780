"""The data gate: scan an image folder, find what is wrong with it, report it, and clean it."""
