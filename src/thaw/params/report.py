"""Parameters of `report`."""

from pydantic import Field

from thaw.params.base import Section


class ReportParams(Section):
    """What the report shows: `reports/result.html`, and with the run's part `reports/index.html`."""

    pictures: int = Field(8, ge=0, le=60)
    """Of each kind (surest mistakes, least sure, surest right answers); `evaluate.explained_images` of them have a heat map."""
