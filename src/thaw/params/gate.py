"""Parameters of `validate`."""

from thaw.params.base import Section


class ValidateParams(Section):
    """What the data gate checks, and how hard."""
