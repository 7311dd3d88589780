"""Augmented views of pictures: made by a policy, laid out in shards, read without decoding."""

from thaw.augmentation.policy import make_view, picture_key, symmetries
from thaw.augmentation.views import FreshViews, StoredViews, open_views

__all__ = ["FreshViews", "StoredViews", "make_view", "open_views", "picture_key", "symmetries"]
