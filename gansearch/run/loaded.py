"""A run read from its directory: the plan of the search and the results. Every command reads a run through `load`."""

import gc
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gansearch.errors import UserError
from gansearch.logs import warn_once
from gansearch.run.finals import Finalist, Finals
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Manifest, Plan
from gansearch.run.paths import ABOUT, BEST, RunDir, checkpoint_images, join
from gansearch.run.rows import read

_MOST_LOST = 1000  # trials without a row before one that has rows
_YEARS = "1970", "9998"  # that have a time in every zone


@dataclass(frozen=True)
class Run:
    """A run in memory. All FIDs in `ledger` were measured under the protocol of `manifest`.

    `saved_finals` are those of `finals.json`, also where the search has gone on since, so that they are void.
    `left_out` says what of the run was damaged and is not used, each in one sentence.
    """

    dir: RunDir
    manifest: Manifest
    ledger: Ledger
    saved_finals: Finals | None = None
    left_out: tuple[str, ...] = ()

    @property
    def finals(self) -> Finals | None:
        """The finals, which decide; None where there are none, or they are void."""
        return self.saved_finals if self.why_void is None else None

    @property
    def finalists(self) -> tuple[Finalist, ...]:
        """The finalists, the winner first; none where finals decide nothing."""
        return self.finals.finalists if self.finals else ()

    @property
    def why_void(self) -> str | None:
        """Why the saved finals decide nothing; None where they do, or there are none."""
        saved = self.saved_finals
        if saved is None:
            return None
        if not saved.winner.fids:
            return "no final gave an FID"
        if any(id not in self.ledger for one in saved.finalists for id in (one.trial_id, *one.trials)):
            return "rows of trials in them are lost"
        now = (self.manifest.protocol.hash, self.manifest.max_kimg, self.ledger.num_searched)
        if now != (saved.protocol, saved.max_kimg, saved.num_searched):
            return "the search has gone on since"
        return None

    @property
    def winner(self) -> TrialState | None:
        """The trial of the search whose configuration is the best: by the finals, or else by its lowest FID."""
        return self.ledger.best if self.finals is None else self.ledger[self.finals.winner.trial_id]

    @property
    def best_fid(self) -> float | None:
        """The FID of the winner: the mean of its finals, or else its lowest. None where there is no winner."""
        if self.finals is not None:
            return self.finals.winner.mean
        return self.winner.best.fid if self.winner and self.winner.best else None

    @property
    def best_generator(self) -> TrialState | None:
        """The trial whose generator stands for the winner: the final nearest to its mean, or else the winner itself."""
        nearest = None if self.finals is None else self.finals.winner.nearest
        return self.winner if nearest is None else self.ledger[nearest]

    def finalist(self, trial: TrialState) -> Finalist | None:
        """Returns the finalist that has the parameters of a trial; None where there is none."""
        key = trial.params_key
        return next((one for one in self.finalists if self.ledger[one.trial_id].params_key == key), None)

    @property
    def plan(self) -> Plan:
        """The plan by which the search continues."""
        return Plan(self.dir, self.manifest.space, self.manifest.options)

    def require_its_space(self) -> None:
        """Raises UserError for a trial that the space of `search.json`, as it is by now, can't have proposed.

        Such a trial can be ranked, but nothing can be learnt from it, and it can't be trained further.
        """
        fault = next(_outside(self.manifest, self.ledger), None) or next(_missing(self.manifest, self.ledger), None)
        if fault is not None:
            raise UserError(f"{self.dir.results}: {fault}: undo what was changed there, or start a new search")

    @property
    def elsewhere(self) -> str | None:
        """The URI below which checkpoints and artifacts lie, where that is an object store and no folder."""
        root = self.manifest.checkpoints
        return root if root is not None and "://" in root else None

    def artifacts(self, trial_id: str) -> Path | None:
        """Returns the folder of a trial's artifacts; None where they lie in an object store."""
        if self.elsewhere is not None:
            return None
        root = self.manifest.checkpoints
        return self.dir.trial(trial_id) if root is None else Path(root, trial_id)

    def checkpoint(self, trial_id: str) -> str | None:
        """Returns the path or URI of a trial's newest checkpoint that has the best generator; None without any.

        The files are not read here: `export`, which reads them, takes the one before where they are damaged.
        """
        if self.manifest.checkpoints is not None:
            return join(self.manifest.checkpoints, trial_id) if self.ledger[trial_id].evals else None
        # Of many trials a `Path` of each would take longer than to look.
        try:
            with os.scandir(f"{self.dir.trials}{os.sep}{trial_id}") as entries:
                found = [
                    (images, entry.path)
                    for entry in entries
                    if (images := checkpoint_images(entry.name)) is not None
                    and all(Path(entry.path, name).is_file() for name in (BEST, ABOUT))
                ]
        except (FileNotFoundError, NotADirectoryError):
            return None
        return max(found)[1] if found else None


def load(run: RunDir) -> Run:
    """Reads a run, also one that is still going. The one policy for damage, whatever the command:

    - `search.json` that is damaged, or of another schema version, is refused.
    - A line of `results.jsonl` that is no valid row is left out, with a warning. The rows of a trial whose start row is
      lost are left out in the same way.
    - FIDs of another protocol than that of `search.json` are refused.
    - Parameters outside the space of `search.json` are warned of. They can be ranked, but `Run.require_its_space`
      refuses to go on from them.
    - `finals.json` that is damaged is refused: what was decided must not change because of that.

    Nothing else in the directory is needed to rank a run, and no other file is read here.

    Raises:
        UserError: The run is refused.
    """
    manifest = Manifest.load(run)
    left_out: list[str] = []

    def warn(fault: str) -> None:
        warn_once(fault)
        left_out.append(fault)

    with _uncollected():
        rows = read(run.results, warn) if run.results.exists() else []
        # Trials are numbered one after another, and written in our age.
        numbers = range(len(rows) + _MOST_LOST)
        first, last = _YEARS
        credible = [row for row in rows if row.number in numbers and first <= row.time[:4] <= last]
        ledger = Ledger(credible)
    if len(credible) < len(rows):
        warn(f"{run.results}: left out {len(rows) - len(credible)} rows with a number or a time that can't be")
    if ledger.without_start:
        ids = ", ".join(sorted(ledger.without_start))
        warn(f"{run.results}: left out the rows of trials whose start row is lost ({ids})")
    _require_one_protocol(run, manifest, ledger)
    for fault in itertools.islice(_outside(manifest, ledger), 1):
        warn(f"{run.results}: {fault}: plots and data frames leave it out, and the search can't be resumed")
    return Run(run, manifest, ledger, Finals.load(run), tuple(left_out))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Turns the collector of reference cycles off within the block.

    There are none among rows, of which a large run has a hundred thousand: the collector would go through all of them
    again and again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _require_one_protocol(run: RunDir, manifest: Manifest, ledger: Ledger) -> None:
    """Raises UserError for FIDs of other protocols than the manifest's, with the options in which protocols differ."""
    own = manifest.protocol.hash
    found = Counter(row.protocol for trial in ledger.values() for row in trial.evals)
    if set(found) <= {own}:
        return
    foreign = next(protocol for protocol, _ in found.most_common() if protocol != own)
    expected = _flat_measuring(manifest.space.base.model_dump())
    other = _measuring_options(run, ledger, foreign)
    differing = [
        f"{path} {expected.get(path)} / {value}" for path, value in other.items() if value != expected.get(path)
    ]
    counts = ", ".join(f"{protocol} ({count} evaluations)" for protocol, count in found.most_common())
    raise UserError(
        f"{run.path} has FIDs of other protocols than its own, {own}: {counts}; {foreign} differs in "
        f"{', '.join(differing) or 'no option that is known, so in the images or the weights'}: search.json and "
        "results.jsonl are of two runs; restore them, or search again under one protocol"
    )


def _measuring_options(run: RunDir, ledger: Ledger, protocol: str) -> dict[str, Any]:
    """Returns the data and metrics options of a trial under `protocol`, by dotted path; empty without a config.json."""
    trial_id = next(id for id, trial in ledger.items() if any(row.protocol == protocol for row in trial.evals))
    try:
        return _flat_measuring(json.loads(Path(run.trial_config(trial_id)).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _flat_measuring(config: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": value for name in ("data", "metrics") for key, value in config[name].items()}


def _outside(manifest: Manifest, ledger: Ledger) -> Iterator[str]:
    """Yields what is wrong with each value that lies outside the space."""
    domains = {path: parameter.domain for path, parameter in manifest.space.params.items()}
    for trial in ledger.values():
        for path, value in trial.start.params.items():
            if path not in domains or not domains[path].contains(value):
                yield f"trial {trial.trial_id} has {path}={value}, which is outside the space of search.json"


def _missing(manifest: Manifest, ledger: Ledger) -> Iterator[str]:
    """Yields what each trial lacks."""
    space = manifest.space
    for trial in ledger.values():
        params = trial.start.params
        for path in space.params:
            if path not in params and space.applies(path, params):
                yield f"trial {trial.trial_id} has no {path}, which is a parameter of the space of search.json"
