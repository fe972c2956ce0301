"""Draws the plots of a run, and writes them as PNG files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gansearch import registry
from gansearch.analysis.plots.base import Plot
from gansearch.errors import UserError, kind_and_message
from gansearch.run import Run


def plot(run: Run, out: Path | None = None, more: Iterable[str] = ()) -> list[Path]:
    """Writes every plot of a run into the folder `out` (default: `plots/` of the run) and returns the files' paths.

    `more` are names `MODULE:CLASS` of plots from outside the package.

    Raises:
        UserError: No trial has an evaluation yet, or the files cannot be written.
    """
    out = out or run.dir.plots
    _require_evaluation(run)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_save(figure, out / f"{name}.png") for name, figure in figures(run, more)]
    except OSError as error:
        raise UserError(f"cannot write plots to {out} ({error.strerror}): choose another folder with --out") from None


def figures(run: Run, more: Iterable[str] = ()) -> Iterator[tuple[str, Figure]]:
    """Yields the figures of a run, each with its name.

    Raises:
        UserError: No trial has an evaluation yet, or a plot of `more` fails.
    """
    _require_evaluation(run)
    for cls in registry.classes("plot").values():
        own: Plot = cls()
        yield from own.figures(run)
    for name in more:
        plot: Plot = registry.find("plot", name)()
        try:
            drawn = list(plot.figures(run))
        except Exception as error:  # it is the user's code: whatever is wrong in it is the user's to fix
            raise UserError(f"plot {name}: {kind_and_message(error)}") from error
        yield from drawn


def _require_evaluation(run: Run) -> None:
    if not any(trial.evals for trial in run.ledger.values()):
        raise UserError(f"{run.dir.path} has no evaluation to plot yet: wait for its first FID")


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150, pil_kwargs={"compress_level": 4})
    return path
