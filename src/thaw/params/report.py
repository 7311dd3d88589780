"""Parameters of `report`."""

from pydantic import Field

from thaw.params.base import Section


class ReportParams(Section):
    """What the page `reports/index.html` shows."""

    pictures: int = Field(12, ge=0, le=60)
    """In each row of pictures: surest mistakes, least sure, surest right answers."""
