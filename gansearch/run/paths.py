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

PROBE = "probe"  # below the root of all checkpoints: a folder with a file of that name
TOKEN = ".token"  # below the root of all checkpoints: a node that can read it sees the same storage as the driver
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST_NAME = 150  # characters: most file systems take 255 bytes, and Ray and temporary files append to the name


def token_file(name: str) -> str:
    """Returns the name of the file by which the storage of the run `name` is known, beside its checkpoints."""
    return f"{name}.token"


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


def new_run(name: str, runs_dir: Path, *, or_started: bool = False) -> RunDir:
    """Returns the directory for a new run; with `or_started` one that has a run already will do.

    Raises:
        UserError: The name is in use, or is no plain file name.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"run name {name!r}: use letters, digits, '.', '_' and '-' only, a letter or digit first")
    if len(name) > _LONGEST_NAME:
        raise UserError(f"run name {name[:20]}... has {len(name)} characters: {_LONGEST_NAME} are the most")
    run = RunDir(runs_dir / name)
    if not is_free(run) and not (or_started and run.search_json.exists()):
        raise taken(run)
    return run


def is_free(run: RunDir) -> bool:
    """Returns whether a new run can lie there: nothing does, or what a start has left that was killed too early.

    Such a start had not yet written `search.json`. Anything else that lies there is somebody's, and stays.
    """
    if not run.path.is_dir():
        return not run.path.exists()
    if run.results.exists() and run.results.stat().st_size:
        return False
    own = {run.results, run.real, run.trials, run.trials / TOKEN}
    own |= {run.trials / PROBE, run.trials / PROBE / PROBE}
    # Of `cache.atomic_write`, and what is written and removed to see whether that is possible.
    staged = tuple(f".{name}." for name in (run.real.name, run.search_json.name, PROBE))
    return all(found in own or found.name.startswith(staged) for found in run.path.rglob("*"))


def dated(source: str) -> str:
    """Returns a name for a run of the space, recipe or file `source`: its name and the time.

    The name of `MODULE:NAME` is NAME, or the module's where that says no more than SPACE. Characters that a run's name
    can't have become dashes.
    """
    label = Path(source).stem
    if ":" in source and "/" not in source and not source.endswith(".py"):
        module, _, name = source.rpartition(":")
        label = module.rpartition(".")[2] if name == "SPACE" else name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("._-")[:100]
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
