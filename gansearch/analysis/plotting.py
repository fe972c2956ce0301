"""Draws the plots of a run, and writes them as PNG files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gansearch import registry
from gansearch.analysis.plots.base import Plot
from gansearch.errors import UserError
from gansearch.run import Run


def plot(run: Run, out: Path | None = None, more: Iterable[str] = ()) -> list[Path]:
    """Writes every plot of a run into the folder `out` (default: `plots/` of the run) and returns the files' paths.

    `more` are names `MODULE:CLASS` of plots from outside the package.

    Raises:
        UserError: No trial has an evaluation yet, or the files cannot be written.
    """
    out = out or run.dir.plots
    drawn = list(figures(run, more))
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_save(figure, out / f"{name}.png") for name, figure in drawn]
    except OSError as error:
        raise UserError(f"cannot write plots to {out} ({error.strerror}): choose another folder with --out") from None


def figures(run: Run, more: Iterable[str] = ()) -> Iterator[tuple[str, Figure]]:
    """Yields the figures of a run, each with its name. Raises UserError where no trial has an evaluation yet."""
    if not any(trial.evals for trial in run.ledger.values()):
        raise UserError(f"{run.dir.path} has no evaluation to plot yet: wait for its first FID")
    for cls in (*registry.classes("plot").values(), *(registry.find("plot", name) for name in more)):
        drawn: Plot = cls()
        yield from drawn.figures(run)


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
    return path
