"""Parameters of `audit`."""

from pydantic import Field

from thaw.params.base import Section


class AuditParams(Section):
    """Heads that are each trained on a part of the images, and judged on the rest: how sure the accuracy is."""

    folds: int = Field(5, ge=0)
    """Parts that the images of training and validation are divided into; 0: no audit."""
