"""The names of all files and folders in a run directory. No other module contains such a name."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gansearch.errors import UserError, unknown
from gansearch.program import command

DEFAULT_RUNS_DIR = Path("runs")

# A checkpoint is a folder below its trial's, named by the images shown: `checkpoint_000057600`.
CHECKPOINT_PREFIX = "checkpoint_"
LAST, BEST, ABOUT = "last.pt", "best.safetensors", "checkpoint.json"

# The artifacts of a trial, below the root of its checkpoints.
CURVES, SAMPLES, ATTENTION, GIF = "curves", "samples", "attention", "samples.gif"

# What `export` writes.
GENERATOR, CONFIG, GRID, SCORES = "generator.safetensors", "config.json", "samples.png", "scores.json"
REAL = "real.png"  # of the run itself too
CARD = "README.md"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def checkpoint_name(images: int) -> str:
    """Returns the name of the checkpoint after `images` real images."""
    return f"{CHECKPOINT_PREFIX}{images:09d}"


def checkpoint_images(name: str) -> int | None:
    """Returns the images shown up to the checkpoint of this name, which has nine digits or more; None for others."""
    digits = name.removeprefix(CHECKPOINT_PREFIX)
    return int(digits) if digits != name and digits.isdecimal() else None


def curves_file(images: int) -> str:
    """Returns the name of the TensorBoard file of one evaluation, relative to the trial's root."""
    return f"{CURVES}/events.out.tfevents.{images:09d}"


def samples_file(images: int) -> str:
    return f"{SAMPLES}/{images:09d}.png"


def attention_file(images: int, network: str) -> str:
    """Returns the name of the attention maps of `network`, `G` or `D`, at one evaluation."""
    return f"{ATTENTION}/{images:09d}_{network}.png"


@dataclass(frozen=True)
class RunDir:
    """The paths of one run. Nothing on the disk is read or written."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.absolute().name  # of `.` too

    @property
    def search_json(self) -> Path:
        return self.path / "search.json"

    @property
    def results(self) -> Path:
        return self.path / "results.jsonl"

    @property
    def finals(self) -> Path:
        return self.path / "finals.json"

    @property
    def real(self) -> Path:
        """A grid of real images, laid out as the samples of the trials."""
        return self.path / REAL

    @property
    def study_journal(self) -> Path:
        return self.path / "study.journal"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    def trial(self, trial_id: str) -> Path:
        return self.trials / trial_id

    def trial_config(self, trial_id: str) -> Path:
        return self.trial(trial_id) / CONFIG

    def trial_error(self, trial_id: str) -> Path:
        return self.trial(trial_id) / "error.txt"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    @property
    def report(self) -> Path:
        return self.path / "report" / "index.html"

    @property
    def ray(self) -> Path:
        """The folder of Ray Tune's own files, which are never read again."""
        return self.path / "ray"


def new_run(name: str, runs_dir: Path) -> RunDir:
    """Returns the directory for a new run; raises UserError where the name is in use or is no plain file name."""
    if not _NAME.fullmatch(name):
        raise UserError(f"run name {name!r}: use letters, digits, '.', '_' and '-' only")
    run = RunDir(runs_dir / name)
    if run.path.exists():
        raise taken(run)
    return run


def dated(source: str) -> str:
    """Returns a name for a run of the space, recipe or file `source`: its name and the time.

    The name of `MODULE:NAME` is NAME, or the module's where that says no more than SPACE. Characters that a run's name
    can't have become dashes.
    """
    label = Path(source).stem
    if ":" in source and "/" not in source and not source.endswith(".py"):
        module, _, name = source.rpartition(":")
        label = module.rpartition(".")[2] if name == "SPACE" else name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("._-")
    return f"{plain or 'search'}-{datetime.now():%Y%m%d-%H%M%S}"


def taken(run: RunDir) -> UserError:
    """Returns the error for a run whose name is in use."""
    again = command("resume", run.path)
    return UserError(f"run {run.path} exists already: choose another --name, or continue it: {again}")


def find_run(run: str, runs_dir: Path = DEFAULT_RUNS_DIR) -> RunDir:
    """Returns the run at a path, or of that name under `runs_dir`; raises UserError where there is none."""
    for path in (Path(run), runs_dir / run):
        if RunDir(path).search_json.is_file():
            return RunDir(path)
    if Path(run).is_dir():
        raise UserError(f"{run} is no run: it has no search.json; name a directory that a search has written")
    names = [path.parent.name for path in runs_dir.glob("*/search.json")]
    raise unknown(f"run (under {runs_dir}/)", run, names)


def join(root: str, *parts: str) -> str:
    """Appends path components to a path or URI; the query of a URI (for example an endpoint) stays at the end."""
    base, mark, query = root.partition("?")
    if "://" not in base:
        return str(Path(root, *parts))
    return "/".join([base.removesuffix("/"), *parts]) + mark + query
