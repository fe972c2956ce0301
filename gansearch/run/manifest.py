"""The content of `search.json`, as one schema, and the plan of a search, from which the content is made."""

import dataclasses
import hashlib
import json
import platform
import secrets
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    ValidationError,
    computed_field,
    model_validator,
)
from pydantic.dataclasses import dataclass

from gansearch.cache import save_text
from gansearch.config import MOST_SEED, Component, TrainConfig, describe, first_fault
from gansearch.errors import UserError, unknown
from gansearch.run.paths import RunDir, join
from gansearch.run.protocol import Floor, Protocol
from gansearch.run.rows import with_zone
from gansearch.run.space import MOST_TRIALS, Space
from gansearch.text import kimg_text, without_nul

SCHEMA_VERSION = 4
_DECIDING = ("torch", "ray")
_TEN_YEARS = 10 * 365 * 86400
_LEAST_SHARE = 0.01  # of a core or of a GPU
_PACKAGES = ("gansearch", "ray", "torch", "torchvision", "optuna", "torch-fidelity", "numpy")
_FIRST_RUNG = 1 / 27  # of the full length
_LAST_RUNG = 1 / 2


def _is_a_share(gpus: float) -> float:
    if 0 < gpus < _LEAST_SHARE:
        raise ValueError(f"a trial has no GPU, 0, or at least {_LEAST_SHARE} of one")
    if gpus > 1:
        raise ValueError("a trial trains on one card: give at most 1, other cards are for trials at the same time")
    return gpus


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class Options:
    """How a search runs. Times are in seconds. None means no limit, or a value that fits the machine.

    Without an `address`, or with `local`, the search starts a Ray of its own. Without a `scheduler` every trial goes
    on. A logger has the options of its class, as the other two have. Without a number of `trials` a budget ends the
    search: there is one then.
    """

    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None
    seed: Annotated[int, Field(ge=0, lt=MOST_SEED)] = 0
    sampler: Component = Component(name="tpe")
    scheduler: Component | None = Component(name="asha")
    loggers: Annotated[tuple[Component, ...], Field(strict=False)] = ()
    eta: Annotated[int, Field(ge=2, le=1000)] = 3
    first_rung: Annotated[int, Field(ge=1, le=10**4, description="in evaluations; None: a 27th of all")] | None = None
    time_budget: Annotated[float, Field(gt=0, le=_TEN_YEARS)] | None = None
    gpu_hours: Annotated[float, Field(gt=0, le=10**8)] | None = None
    trial_timeout: Annotated[float, Field(gt=0, le=_TEN_YEARS)] | None = None
    max_concurrent: Annotated[int, Field(ge=1, le=10**5)] | None = None
    cpus_per_trial: Annotated[float, Field(ge=_LEAST_SHARE, le=10**4)] = 1
    gpus_per_trial: Annotated[float, Field(ge=0), AfterValidator(_is_a_share)] | None = None
    address: Annotated[
        str | None,
        BeforeValidator(lambda address: None if address == "local" else address),
        AfterValidator(without_nul),
    ] = None
    storage: Annotated[str | None, AfterValidator(without_nul)] = None


RESOURCES = (
    "time_budget",
    "gpu_hours",
    "trial_timeout",
    "max_concurrent",
    "cpus_per_trial",
    "gpus_per_trial",
    "address",
)
"""The fields of `Options` that say where and how long a driver works, and nothing of what is searched."""


def rungs(train: TrainConfig, eta: int, first: int | None = None) -> list[int]:
    """Returns the images at which ASHA decides, the full length last.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2, but without a rung in the
    second half: a trial that is stopped there has already cost the most of its length.

    Args:
        train: The length of a trial and its evaluations.
        eta: One trial in `eta` passes a rung, and each rung lies `eta` times as far as the one before.
        first: The evaluations before the first rung; None means a 27th of all.
    """
    steps = [first or max(1, round(_FIRST_RUNG * train.evaluations))]
    while steps[-1] * eta <= _LAST_RUNG * train.evaluations:
        steps.append(steps[-1] * eta)
    decisions = [step * train.eval_images for step in steps if step < train.evaluations]
    return [*decisions, train.max_images]


def _rungs(space: Space, options: Options) -> list[int]:
    train = space.base.train
    return rungs(train, options.eta, options.first_rung) if options.scheduler else [train.max_images]


def _hashed(record: Any) -> Protocol:
    """Returns the protocol of a record; raises ValueError where the record has the hash of another protocol."""
    if isinstance(record, Protocol):
        return record
    if not isinstance(record, Mapping):
        raise ValueError("a protocol is an object")
    protocol = Protocol.from_record(record)
    if record.get("hash") != protocol.hash:
        raise ValueError(f"the hash {record.get('hash')} is not that of the protocol, {protocol.hash}")
    return protocol


ProtocolRecord = Annotated[
    Protocol,
    BeforeValidator(_hashed),
    PlainSerializer(lambda protocol: protocol.to_record(), return_type=dict[str, Any]),
]
"""A protocol as the fields of a file: its parts and its hash."""


class Manifest(BaseModel):
    """The content of `search.json`.

    Args:
        name: The name of the run.
        space: What is searched.
        options: How the search runs.
        protocol: How the FIDs of the run are measured.
        floor: The FID of real images, None where the data set has one split only.
        num_train: The number of training images: an epoch shows each of them once.
        gpus_per_trial: The share of a GPU that a trial was given at the start.
        checkpoints: A path or URI where checkpoints lie outside the run's folder, else None.
        storage_token: What the start has written beside them, so that a search goes on only where it began: else a
            file from a stranger could say where to write. None where they lie in the run's folder.
        versions: Versions of Python and of the packages that decide what a trial computes.
        git_commit: The commit of the source tree that ran, None for an installed package.
        created: When the search was started, in ISO 8601.
        extended: When the search was extended, each time.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int
    name: str
    space: Space
    options: Options
    protocol: ProtocolRecord
    floor: Floor | None = None
    num_train: int | None = Field(None, ge=1)
    gpus_per_trial: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    checkpoints: str | None = None
    storage_token: str | None = None
    versions: dict[str, str] = Field(default_factory=lambda: _versions())
    git_commit: str | None = Field(default_factory=lambda: _git_commit())
    created: Annotated[str, AfterValidator(with_zone)] = Field(default_factory=lambda: _now())
    extended: tuple[Annotated[str, AfterValidator(with_zone)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _is_usable(cls, content: Any) -> Any:
        if isinstance(content, Mapping) and content.get("schema_version") != SCHEMA_VERSION:
            versions = content.get("versions")
            writer = versions.get("gansearch") if isinstance(versions, Mapping) else None
            raise ValueError(
                f"schema version {content.get('schema_version')}, this gansearch reads {SCHEMA_VERSION}: "
                f"use the gansearch that wrote the run, {writer or 'whose version it does not say'}"
            )
        return without_nul(content)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def seed(self) -> int:
        return self.options.seed

    @computed_field  # type: ignore[prop-decorator]
    @property
    def budget(self) -> dict[str, Any]:
        """The size of the search in numbers, for readers of the file who do not have this package."""
        train, options = self.space.base.train, self.options
        return {
            "trials": options.trials,
            "max_kimg": train.max_kimg,
            "evaluations": train.evaluations,
            "rungs": self.rungs_kimg,
            "time_budget": options.time_budget,
            "gpu_hours": options.gpu_hours,
        }

    @computed_field  # type: ignore[prop-decorator]
    @property
    def fingerprint(self) -> str:
        """Twelve hex digits, equal for searches of equal space, seed and protocol."""
        decided = {
            "space": self.space.model_dump(mode="json"),
            "seed": self.options.seed,
            "protocol": self.protocol.to_dict(),
        }
        return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def max_kimg(self) -> float:
        """The full length of a trial."""
        return self.space.base.train.max_kimg

    @property
    def rungs_kimg(self) -> list[float]:
        """The kimg at which the scheduler compares trials, the full length last; empty for a trial alone."""
        return [images / 1000 for images in _rungs(self.space, self.options)] if self.options.trials != 1 else []

    @property
    def other_versions(self) -> str | None:
        """Says which packages that decide an FID have other versions here than at the start; None where none has."""
        now = {name: version for name, version in _versions().items() if name in _DECIDING}
        before = {name: self.versions.get(name, "of an unknown version") for name in now}
        other = [name for name in now if now[name] != before[name]]
        if not other:
            return None
        then, here = (", ".join(f"{name} {versions[name]}" for name in other) for versions in (before, now))
        return f"the run was started with {then}, this is {here}: FIDs may differ slightly"

    def epochs(self, kimg: float) -> float | None:
        """Returns a training length in epochs, None where the number of training images is not known."""
        return None if self.num_train is None else kimg * 1000 / self.num_train

    def save(self, run: RunDir) -> None:
        """Writes `search.json`, whole or not at all. Raises UserError where the file can't be written."""
        save_text(run.search_json, self.model_dump_json(indent=2))

    @classmethod
    def load(cls, run: RunDir) -> Self:
        """Reads `search.json`.

        Raises:
            UserError: The file cannot be read, is of another schema version or is damaged, or the folder of a run whose
                checkpoints lie elsewhere was renamed.
        """
        try:
            manifest = cls.model_validate_json(run.search_json.read_bytes())
        except ValidationError as error:
            fault = first_fault(error)
            raise UserError(f"{run.search_json} is broken ({fault}): restore the file, or search again") from None
        except OSError as error:
            raise UserError(f"{run.search_json} cannot be read ({error.strerror}): check its permissions") from None
        checkpoints = Plan(run, manifest.space, manifest.options).checkpoints
        if manifest.checkpoints not in {None, checkpoints}:
            raise UserError(
                f"{run.path} has another name than when it started: its checkpoints are {manifest.checkpoints}; "
                "give the directory back its old name"
            )
        return manifest


@dataclasses.dataclass(frozen=True)
class Plan:
    """The plan of a search: the run, the space and the options."""

    run: RunDir
    space: Space
    options: Options

    @property
    def checkpoints(self) -> str:
        """The root below which every trial has its checkpoints: a path that every node sees, or a URI."""
        if self.options.storage is None:
            return str(self.run.trials.absolute())
        return join(self.options.storage, self.run.name)

    @property
    def component_names(self) -> set[str]:
        """The names of all components that some trial, or the search itself, may use."""
        options = self.options
        own = [options.sampler, *options.loggers, *([options.scheduler] if options.scheduler else [])]
        return self.space.component_names | {component.name for component in own}

    @property
    def code_flag(self) -> list[str]:
        """The argument that a command of this run needs where the run uses code from outside the package."""
        return ["--allow-code"] if any(":" in name for name in self.component_names) else []

    @property
    def search_flags(self) -> list[str]:
        """The arguments that a command needs which trains trials of this run: `code_flag`, and its cluster."""
        return [*self.code_flag, *(["--address", self.options.address] if self.options.address else [])]

    @property
    def resources(self) -> dict[str, Any]:
        """The options of `RESOURCES`."""
        return {name: getattr(self.options, name) for name in RESOURCES}

    @property
    def rungs(self) -> list[int]:
        """The images at which the scheduler compares trials, the full length last."""
        return _rungs(self.space, self.options)

    def manifest(
        self, protocol: Protocol, floor: Floor | None, gpus_per_trial: float = 0.0, num_train: int | None = None
    ) -> Manifest:
        """Returns what `search.json` holds at the start of this search."""
        return Manifest(
            schema_version=SCHEMA_VERSION,
            name=self.run.name,
            space=self.space,
            options=self.options,
            protocol=protocol,
            floor=floor,
            num_train=num_train,
            gpus_per_trial=gpus_per_trial,
            checkpoints=None if self.options.storage is None else self.checkpoints,
            storage_token=None if self.options.storage is None else secrets.token_hex(8),
        )

    def amended(self, manifest: Manifest) -> Manifest:
        """Returns `manifest` with the space and the options of this plan, and with the time of the extension."""
        extended = (*manifest.extended, _now())
        return manifest.model_copy(update={"space": self.space, "options": self.options, "extended": extended})

    def extended(self, more_trials: int, max_kimg: float | None) -> "Plan":
        """Returns this plan with more trials and the length nearest to `max_kimg`. Rungs stay, and more may follow.

        Raises:
            UserError: The arguments change nothing, take trials away, make trials shorter, or add some to a run without
                parameters.
        """
        base, options = self.space.base, self.options
        if more_trials < 0:
            raise UserError(f"{more_trials} more trials: those of a search stay; give a number above 0")
        if not more_trials and max_kimg is None:
            raise UserError("nothing to extend: give --trials +N, --max-kimg K or both")
        if more_trials and self.options.trials is None:
            raise UserError(f"--trials +{more_trials}: a budget ends this search, not a number; resume it with another")
        if more_trials and not self.space.params:
            raise UserError(
                f"--trials +{more_trials}: the run searches nothing, all would be the same; give --max-kimg"
            )
        if max_kimg is not None and max_kimg <= base.train.max_kimg:
            length = kimg_text(base.train.max_kimg)
            raise UserError(f"--max-kimg {kimg_text(max_kimg)}: trials have {length} kimg already; give more")
        if max_kimg is not None:
            options = dataclasses.replace(options, first_rung=self.rungs[0] // base.train.eval_images)
            next_one = base.train.max_kimg + base.train.eval_images / 1000
            base = base.lengthened(max(max_kimg, next_one))
        changes = {} if options.trials is None else {"trials": options.trials + more_trials}
        return Plan(self.run, self.space.replaced(base=base), _replaced(options, changes))

    def with_resources(self, changes: Mapping[str, Any]) -> "Plan":
        """Returns this plan with other resources or budgets, which each driver of a run may have of its own.

        A cluster is joined only where `changes` has its address: it gets code and a token of the user's, and its nodes
        answer with code, so a file of a run that others wrote must not choose it.

        Raises:
            UserError: A name is none of `RESOURCES`, a value is wrong, or the address of a run's cluster is not given.
        """
        if self.options.address is not None and "address" not in changes:
            raise UserError(
                f"{self.run.path} was searched on the cluster at {self.options.address}: give --address "
                f"{self.options.address} to go on there, or --address local"
            )
        if others := sorted(set(changes) - set(RESOURCES)):
            fixed = [field.name for field in dataclasses.fields(Options) if field.name not in RESOURCES]
            if others[0] in fixed:
                raise UserError(f"{others[0]} belongs to the run and can't be changed: start a new one")
            raise unknown("resource", others[0], RESOURCES)
        return Plan(self.run, self.space, _replaced(self.options, changes))


def _replaced(options: Options, changes: Mapping[str, Any]) -> Options:
    """Returns options with some changed; raises UserError for a wrong value."""
    try:
        return dataclasses.replace(options, **changes)
    except ValidationError as error:
        raise UserError(describe(error)) from None


def _versions() -> dict[str, str]:
    from importlib.metadata import version  # slow to import, and used at the start of a search only

    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_commit() -> str | None:
    """Returns the commit of the source tree that runs, None where it is an installed package."""
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
