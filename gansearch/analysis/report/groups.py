"""The sections of a report with charts and images."""

from typing import NamedTuple

from gansearch.analysis.info.trials import leaders
from gansearch.analysis.report.charts import Chart
from gansearch.analysis.report.gallery import animation, attention, generated, side_by_side
from gansearch.analysis.report.images import Picture
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run

_LEADERS = 5


class Group(NamedTuple):
    """A section of the page.

    Args:
        id: The anchor.
        title: The heading.
        notes: Paragraphs below the heading.
        charts: Charts.
        pictures: Images side by side, each row of them below a heading, which may be empty.
        animation: An image that moves.
        still: What stands for the animation where nothing may move, and on paper.
        text: A text in a fixed width.
    """

    id: str
    title: str
    notes: list[str] = []
    charts: list[Chart] = []
    pictures: list[tuple[str, list[Picture]]] = []
    animation: Picture | None = None
    still: Picture | None = None
    text: str | None = None


def groups(run: Run) -> list[Group]:
    """Returns the sections with charts and images, in their order; none where no trial has an FID."""
    winner = run.winner
    if winner is None:
        return []
    return [_images(run), _figures(run, winner)]


def _images(run: Run) -> Group:
    shown = generated(run, leaders(run, _LEADERS))
    return Group(
        id="images",
        title="Generated images",
        notes=[
            "The same latents for every trial: an image at one place differs by the generator alone.",
            *shown.missing,
        ],
        pictures=[("", shown.pictures)],
    )


def _figures(run: Run, winner: TrialState) -> Group:
    """Returns the figures that a report of one model shows."""
    pair, (moving, still) = side_by_side(run, winner), animation(run, winner)
    return Group(
        id="figures",
        title="The winner in figures",
        notes=pair.missing,
        pictures=[
            ("The winner beside the best baseline, after as much training", pair.pictures),
            ("Attention maps", attention(run, winner)),
        ],
        animation=moving,
        still=still,
    )
