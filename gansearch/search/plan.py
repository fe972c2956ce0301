"""A search as decided before it starts: what `search.json` holds and `resume` reads back."""

import hashlib
import json
import platform
import subprocess
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gansearch.cache import atomic_write
from gansearch.errors import UserError, one_line
from gansearch.run.paths import RunDir, join
from gansearch.run.protocol import Floor, Protocol
from gansearch.search.rungs import rungs
from gansearch.search.space import Space

_PACKAGES = ("gansearch", "ray", "torch", "torchvision", "optuna", "torch-fidelity", "numpy")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a search runs. Times in seconds; None: not limited, or chosen by what the machine has."""

    trials: int
    seed: int = 0
    eta: int = 3
    first_rung: int | None = None  # evaluations; None: a tenth of all
    time_budget: float | None = None
    gpu_hours: float | None = None
    max_concurrent: int | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float | None = None
    address: str | None = None
    storage: str | None = None


@dataclass(frozen=True)
class Plan:
    """A run, its space and its options."""

    run: RunDir
    space: Space
    options: Options

    @property
    def checkpoints(self) -> str:
        """The root below which every trial keeps its checkpoints: a path every node sees, or a URI."""
        if self.options.storage is None:
            return str(self.run.trials.absolute())
        return join(self.options.storage, self.run.name)

    @property
    def rungs(self) -> list[int]:
        """Images at which ASHA decides, the full length last."""
        return rungs(self.space.base.train, self.options.eta, self.options.first_rung)

    def extended(self, more_trials: int, max_kimg: float | None) -> "Plan":
        """This plan with more trials, and of the length nearest `max_kimg`; its rungs stay, more may follow.

        UserError where that changes nothing, makes trials shorter, or gives more of the same.
        """
        base, options = self.space.base, self.options
        if not more_trials and max_kimg is None:
            raise UserError("nothing to extend: give --trials +N, --max-kimg K or both")
        if more_trials and not self.space.params:
            raise UserError(f"--trials +{more_trials}: the run searches nothing, so they would all be the same")
        if max_kimg is not None and max_kimg <= base.train.max_kimg:
            raise UserError(f"--max-kimg {max_kimg:g}: trials have {base.train.max_kimg:g} kimg already; give more")
        if max_kimg is not None:
            options = replace(options, first_rung=self.rungs[0] // base.train.eval_images)
            next_one = base.train.max_kimg + base.train.eval_images / 1000
            base = base.lengthened(max(max_kimg, next_one))
        return Plan(self.run, replace(self.space, base=base), replace(options, trials=options.trials + more_trials))

    def save(self, protocol: Protocol, floor: Floor | None) -> None:
        """Writes `search.json`, by which a directory becomes a run; `floor` None: there is none."""
        self._write(
            {
                "name": self.run.name,
                **self._decided(protocol),
                "floor": None if floor is None else asdict(floor),
                "checkpoints": None if self.options.storage is None else self.checkpoints,
                "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
                "git_commit": _git_commit(),
                "created": _now(),
            }
        )

    def amend(self) -> None:
        """Writes what `extended` changed into the run's `search.json`."""
        content = json.loads(self.run.search_json.read_text())
        protocol = Protocol.from_record(content["protocol"])
        self._write({**content, **self._decided(protocol), "extended": [*content.get("extended", []), _now()]})

    def _decided(self, protocol: Protocol) -> dict[str, Any]:
        train, options = self.space.base.train, self.options
        space = self.space.to_dict()
        decided = {"space": space, "seed": options.seed, "protocol": protocol.to_dict()}
        return {
            "space": space,
            "seed": options.seed,
            "protocol": protocol.to_record(),
            "options": asdict(options),
            "budget": {
                "trials": options.trials,
                "max_kimg": train.max_kimg,
                "evaluations": train.evaluations,
                # A trial alone has nobody to be stopped for.
                "rungs": [images / 1000 for images in self.rungs] if options.trials > 1 else [],
                "time_budget": options.time_budget,
                "gpu_hours": options.gpu_hours,
            },
            "fingerprint": hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12],
        }

    def _write(self, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=2, allow_nan=False)
        try:
            atomic_write(self.run.search_json, lambda staging: staging.write_text(text))
        except OSError as error:
            raise UserError(f"can't write {self.run.search_json} ({one_line(error)}): mend that first") from None


def load_plan(run: RunDir) -> tuple[Plan, Protocol]:
    """The plan of a run and the protocol of its FIDs; UserError where `search.json` is not what `save` wrote."""
    try:
        content = json.loads(run.search_json.read_text())
        plan = Plan(run, Space.from_dict(content["space"]), Options(**content["options"]))
        protocol, checkpoints = Protocol.from_record(content["protocol"]), content["checkpoints"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run.search_json} is not what a search writes ({error!r}): restore it") from None
    if checkpoints not in {None, plan.checkpoints}:
        raise UserError(f"{run.path} has another name than when it started: its checkpoints are {checkpoints}")
    return plan, protocol


def with_gpus(plan: Plan, gpus_per_trial: float) -> Plan:
    """The plan with the share of a GPU that a trial gets filled in."""
    return replace(plan, options=replace(plan.options, gpus_per_trial=gpus_per_trial))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_commit() -> str | None:
    """The commit of the source tree that runs, None where it is an installed package."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None


def describe(plan: Plan) -> dict[str, Any]:
    """What `--dry-run` prints."""
    train = plan.space.base.train
    return {
        "run": str(plan.run.path),
        "options": asdict(plan.options),
        "max_kimg": train.max_kimg,
        "rungs_kimg": [images / 1000 for images in plan.rungs],
        "space": plan.space.to_dict(),
    }
