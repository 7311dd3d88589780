"""Divide the images of a manifest into train, validation and test, label them, and read what was divided."""
