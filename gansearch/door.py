"""The Python door: a search from a script or a notebook. `import gansearch as gs` has all that is public here.

import gansearch as gs
run = gs.search("digits", trials=4)
run.trials()                                       # a pandas frame, the lowest FID first
images = gs.load_generator(run.export()).sample(64)
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from gansearch import foreign
from gansearch.analysis.rank import Ranked, rank
from gansearch.cli.progress import Progress
from gansearch.config import reference
from gansearch.errors import UserError
from gansearch.logs import shown_on_stderr
from gansearch.run import Plan, RunDir, Space, find_run, new_run
from gansearch.run import Run as Loaded
from gansearch.run import load as load_run
from gansearch.run.finals import Finalist
from gansearch.run.paths import DEFAULT_RUNS_DIR, dated
from gansearch.run.rows import Row
from gansearch.text import fid_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gansearch.search.search import Search

OnRow = Callable[[Row], None]
"""Called with each new row of a search: the start, an evaluation or the end of a trial (`gansearch.run.rows`)."""


class Run:
    """A run. Its files are read anew at each call, so it may be one that is still going."""

    def __init__(self, directory: RunDir) -> None:
        """Reads nothing yet; `gansearch.load` is the way to a run that exists."""
        self._dir = directory

    def __repr__(self) -> str:
        run = self._load()
        winner = f", best FID {fid_text(run.best_fid)} (trial {run.winner.trial_id})" if run.winner else ""
        return f"Run({str(self.path)!r}, {len(run.ledger)} trials{winner})"

    def _repr_html_(self) -> str:
        return self.trials().to_html()

    @property
    def path(self) -> Path:
        return self._dir.path

    @property
    def best(self) -> Ranked | None:
        """The winner: by the finals or, without finals, by the lowest FID. None where no trial has one."""
        run = self._load()
        winner = run.winner
        return None if winner is None else next(row for row in rank(run) if row.trial_id == winner.trial_id)

    @property
    def finalists(self) -> tuple[Finalist, ...]:
        """What the finals have decided, the winner first; empty where there are none, or the search has gone on since.

        `gansearch finals RUN` trains them.
        """
        return self._load().finalists

    def rank(self) -> list[Ranked]:
        """Returns all trials, the lowest FID first."""
        return rank(self._load())

    def trials(self) -> "pd.DataFrame":
        """Returns one row for each trial, the lowest FID first. A parameter that does not apply is missing."""
        from gansearch.analysis.frames import trials_frame

        return trials_frame(self._load())

    def evaluations(self) -> "pd.DataFrame":
        """Returns one row for each evaluation, by trial and kimg."""
        from gansearch.analysis.frames import evaluations_frame

        return evaluations_frame(self._load())

    def plot(
        self, more: str | type | Iterable[str | type] = (), *, trials: tuple[str | int, str | int] | None = None
    ) -> "dict[str, Figure]":
        """Returns the figures of the run by name. Writes no file.

        Args:
            more: Plots of your own.
            trials: Two trials; then there is one figure, of these two.

        Raises:
            UserError: No trial has an evaluation yet, or there are no two such trials.
        """
        from gansearch.analysis.plotting import comparison, figures

        if trials is not None:
            if not isinstance(trials, tuple | list) or len(trials) != 2:
                raise UserError(f"trials={trials!r}: name two trials, as in trials=(2, 6)")
            return dict([comparison(self._load(), (str(trials[0]), str(trials[1])))])
        names = [reference(plot) for plot in ([more] if isinstance(more, str | type) else more)]
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise UserError(f"plot: {wrong[0]!r} is neither a name nor a class")
        foreign.permit(names)
        return dict(figures(self._load(), names))

    def report(self, out: str | Path | None = None) -> Path:
        """Writes the report, one page that stands alone, and returns its path.

        Args:
            out: The file to write; None takes the run's `report/index.html`.

        Raises:
            UserError: The file can't be written.
        """
        from gansearch.cli.report import report

        return report(self._load(), None if out is None else Path(out))

    def export(self, trial: str | int | None = None, out: str | Path | None = None, *, lowest: bool = False) -> Path:
        """Writes the best generator of a trial as files that stand alone, and returns their folder.

        Args:
            trial: Which trial; None takes the winner's final nearest to their mean or, without finals, the winner.
            out: The folder to write; None takes the run's `best`.
            lowest: Takes the trial with the lowest FID of all, finals included; no `trial` may be named then.

        Raises:
            UserError: There is no such trial, it has no checkpoint, or the folder can't be written.
        """
        from gansearch.export import export

        loaded = self._load()
        chosen = None if trial is None else str(trial)
        return export(loaded, chosen, None if out is None else Path(out), lowest=lowest)

    def resume(self, *, retry_failed: bool = False, on_row: OnRow | None = None, **resources: Any) -> "Run":
        """Continues a search that was interrupted or killed. `resources` are those of `search`, which may be others."""
        plan = self._load().plan.with_resources(resources)
        return _run(plan, lambda search: search.resume(retry_failed=retry_failed), on_row)

    def extend(
        self, *, trials: int = 0, max_kimg: float | None = None, on_row: OnRow | None = None, **resources: Any
    ) -> "Run":
        """Adds trials to a search, or trains its best trials further, and new ones as far."""
        plan = self._load().plan.with_resources(resources).extended(trials, max_kimg)
        return _run(plan, lambda search: search.extend(), on_row)

    def _load(self) -> Loaded:
        return load_run(self._dir)


def load(run: str | Path, runs_dir: str | Path = DEFAULT_RUNS_DIR, *, allow_code: foreign.Allowed = False) -> Run:
    """Returns a run by its path, or by its name under `runs_dir`.

    Args:
        run: The run.
        runs_dir: The folder of runs.
        allow_code: What may run of the code from outside the package that the files of the run name: all of it (True),
            certain classes or names, or none. To export or resume needs it, to read does not.

    Raises:
        UserError: There is no such run, or its files are damaged.
    """
    directory = find_run(str(run), Path(runs_dir))
    foreign.allow(allow_code, load_run(directory).plan.component_names)
    return Run(directory)


def search(
    space: str | Path | Space,
    *,
    name: str | None = None,
    or_resume: bool = False,
    trials: int | None = None,
    max_kimg: float | None = None,
    data: str | type | Path | None = None,
    options: Mapping[str, Any] | None = None,
    on_row: OnRow | None = None,
    runs_dir: str | Path = DEFAULT_RUNS_DIR,
    **search_options: Any,
) -> Run:
    """Runs a search and returns it. The progress is shown while it runs: in a terminal and in Jupyter as a table.

    It may be called from any thread. In the main thread Ctrl-C ends the search with everything saved, and raises
    KeyboardInterrupt; `load(name).resume()` continues it.

    Args:
        space: A `Space`, the name of one (`gansearch spaces` lists them), or a file that defines SPACE.
        name: The name of the run; by default that of the space and the time.
        or_resume: Continues the run of that name where it was started before, and returns it where it is complete.
        trials: How many trials; by default as many as fit into a budget that is given, else as many as the space says.
        max_kimg: The full length of a trial in thousands of real images; by default that of the space.
        data: The name of a data set, a data set class of your own (also one of torch), or a folder of images.
        options: Options of a trial by dotted path (`gansearch options` lists them). A class of your own may be a value:
            `{"loss.name": MyLoss}`.
        on_row: Called with each new row.
        runs_dir: The folder of runs.
        **search_options: Fields of `gansearch.run.Options`: `seed`, `sampler`, `scheduler`, `loggers`, `eta`,
            `first_rung`, `time_budget` (seconds), `gpu_hours`, `trial_timeout` (seconds), `max_concurrent`,
            `cpus_per_trial`, `gpus_per_trial`, `address`, `storage`.

    Raises:
        UserError: Something is wrong or missing; nothing was started.
        KeyboardInterrupt: The search was interrupted.
    """
    _check_types(space=space, name=name, trials=trials, max_kimg=max_kimg, options=options, runs_dir=runs_dir)
    from gansearch.search.find_space import find_space, permit_named, permitted
    from gansearch.search.planning import plan_search
    from gansearch.search.requeue import earlier_start, is_complete

    if or_resume and name is None:
        raise UserError("or_resume=True needs a name: a run that has none yet can't be found again")
    found = permitted("space", space) if isinstance(space, Space) else find_space(str(space))
    label = "search" if isinstance(space, Space) else str(space)
    run = new_run(name or dated(label), Path(runs_dir), or_started=or_resume)
    changes = {str(path): reference(value) for path, value in {**_data_options(data), **(options or {})}.items()}
    permit_named(changes)
    search_options |= {} if trials is None else {"trials": trials}
    plan = plan_search(found, run, changes, max_kimg, **search_options)
    started = earlier_start(plan) if or_resume else None
    if started is None:
        return _run(plan, lambda search: search.start(), on_row)
    if is_complete(started):
        return Run(run)
    return Run(run).resume(on_row=on_row, **plan.resources)


def _check_types(**arguments: Any) -> None:
    """Raises UserError for an argument of `search` that is of another type than `search` declares."""
    hints = get_type_hints(search)
    for name, value in arguments.items():
        try:
            TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError:
            wanted = inspect.formatannotation(hints[name])
            raise UserError(f"{name}={value!r} is of a wrong type: give {wanted}") from None


def _data_options(data: str | type | Path | None) -> dict[str, Any]:
    if data is None:
        return {}
    if isinstance(data, type):
        return {"data.name": reference(data)}
    if not isinstance(data, str | Path):
        raise UserError(f"data: {data!r} is no name, folder or class of a data set")
    if isinstance(data, Path) or Path(data).is_dir():
        return {"data.name": "image_folder", "data.dir": str(Path(data).absolute())}
    return {"data.name": data}


def _run(plan: Plan, work: "Callable[[Search], None]", on_row: OnRow | None) -> Run:
    from gansearch.search.search import Search

    progress = Progress(
        lambda ledger: ledger.total(plan.options.trials), plan.space.base.train.max_kimg, lambda: driver.time_left()
    )

    def listen(row: Row, ledger: Any) -> None:
        progress.listen(row, ledger)
        if on_row is not None:
            on_row(row)

    driver = Search(plan, listen)
    with shown_on_stderr(), progress.shown():
        work(driver)
    if driver.shutdown.signal is not None:
        raise KeyboardInterrupt(f"the search is saved: gansearch.load({str(plan.run.path)!r}).resume() continues it")
    return Run(plan.run)
