"""Parameters of `report`."""

from pydantic import Field

from thaw.params.base import Section


class ReportParams(Section):
    """What the report shows: `reports/result.html`, with the run's part `reports/index.html`, and `reports/model_card.md`."""

    pictures: int = Field(8, ge=0, le=60)
    """Of each kind (surest mistakes, least sure, surest right answers); `evaluate.explained_images` of them have a heat map."""
    intended_use: str = ""
    """What the model is for, and what not, in your words, for the model card; empty: the card says that nobody has said."""
    data_licence: str = "auto"
    """The images' licence and whom to name, for the model card; auto: a demo's own, of other images that it is not known."""
