"""The base of every section: frozen, and no unknown key and no number that is none gets in."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of `params.yaml`. The defaults stand in `params.yaml` too; a test holds the two equal."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )
