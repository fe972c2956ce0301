"""The sections of a report with charts and images."""

from typing import NamedTuple

from gansearch.analysis.report.charts import Chart
from gansearch.analysis.report.images import Picture
from gansearch.run.loaded import Run


class Group(NamedTuple):
    """A section of the page.

    Args:
        id: The anchor.
        title: The heading.
        notes: Paragraphs below the heading.
        charts: Charts.
        pictures: Images, side by side.
        animation: An image that moves.
        still: What stands for the animation where nothing may move, and on paper.
        text: A text in a fixed width.
    """

    id: str
    title: str
    notes: list[str] = []
    charts: list[Chart] = []
    pictures: list[Picture] = []
    animation: Picture | None = None
    still: Picture | None = None
    text: str | None = None


def groups(run: Run) -> list[Group]:
    """Returns the sections with charts and images, in their order."""
    return []
