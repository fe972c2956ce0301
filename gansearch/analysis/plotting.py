"""Draws the plots of a run, and writes them as PNG files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gansearch import registry
from gansearch.analysis.draw.comparison import comparison_figure
from gansearch.analysis.draw.style import literal
from gansearch.analysis.info.comparison import comparison_info
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.plots.base import Plot
from gansearch.cache import atomic_write
from gansearch.errors import UserError, kind_and_message, one_line
from gansearch.program import command
from gansearch.run import Run
from gansearch.run.links import require_no_links


def plot(run: Run, out: Path | None = None, more: Iterable[str] = ()) -> list[Path]:
    """Writes every plot of a run into the folder `out` (default: `plots/` of the run) and returns the files' paths.

    `more` are names `MODULE:CLASS` of plots from outside the package.

    Raises:
        UserError: No trial has an evaluation yet, or the files cannot be written.
    """
    _require_evaluation(run)
    return _write(run, figures(run, more), out)


def compare(run: Run, trials: tuple[str, str], out: Path | None = None) -> Path:
    """Writes one picture of two trials, `compare_0002_0006.png`, into the folder `out` and returns its path.

    Raises:
        UserError: There is no such trial, one has no evaluation, both are one, or the file cannot be written.
    """
    return _write(run, [comparison(run, trials)], out)[0]


def comparison(run: Run, trials: tuple[str, str]) -> tuple[str, Figure]:
    """Returns a figure of two trials, and its name.

    Raises:
        UserError: There is no such trial, one has no evaluation, or both are one.
    """
    one, other = map(run.ledger.find, trials)
    figure = comparison_figure(run.manifest.name, comparison_info(run, one, other), state_text(run))
    return f"compare_{one.trial_id}_{other.trial_id}", literal(figure)


def figures(run: Run, more: Iterable[str] = ()) -> Iterator[tuple[str, Figure]]:
    """Yields the figures of a run, each with its name.

    Raises:
        UserError: No trial has an evaluation yet, or a plot of `more` fails.
    """
    _require_evaluation(run)
    for cls in registry.classes("plot").values():
        own: Plot = cls()
        yield from ((name, literal(figure)) for name, figure in own.figures(run))
    for name in more:
        plot: Plot = registry.find("plot", name)()
        try:
            drawn = [(file, literal(figure)) for file, figure in plot.figures(run)]
        except Exception as error:  # it is the user's code: whatever is wrong in it is the user's to fix
            raise UserError(f"plot {name}: {kind_and_message(error)}") from error
        yield from drawn


def _require_evaluation(run: Run) -> None:
    if not any(trial.evals for trial in run.ledger.values()):
        raise UserError(f"{run.dir.path} has no evaluation to plot yet: wait for its first FID")


def _write(run: Run, drawn: Iterable[tuple[str, Figure]], out: Path | None) -> list[Path]:
    if out is None:
        require_no_links(run.dir)
    return [_save(figure, (out or run.dir.plots) / f"{name}.png", run.dir.path) for name, figure in drawn]


def _save(figure: Figure, path: Path, run: Path) -> Path:
    FigureCanvasAgg(figure)
    try:
        atomic_write(path, lambda file: figure.savefig(file, format="png", dpi=150, pil_kwargs={"compress_level": 4}))
    except OSError as error:
        # A command that writes plots into the run writes the report there too.
        others = f"`{command('plot', run)}` and `{command('report', run)}` write elsewhere with --out"
        raise UserError(f"cannot write plots to {path.parent} ({one_line(error)}): {others}") from None
    return path
