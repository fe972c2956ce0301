"""Runs a side in a process of its own, as its user would, and reads what it has written."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
import torch
from torch import Tensor

from benchmarks.search_against_vanilla import vanilla
from benchmarks.search_against_vanilla.measure import SPACE, fid_anew, protocol
from benchmarks.search_against_vanilla.outcome import Outcome, Reading, Side, improvements
from benchmarks.search_against_vanilla.tuned import checkpoints_of
from gansearch.config import from_dict
from gansearch.errors import UserError
from gansearch.run import find_run, load
from gansearch.search.find_space import find_space
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.generator import LoadedGenerator

ROOT = Path(__file__).parents[2]
# All sides train on the CPU, one trial a core.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "RAY_USAGE_STATS_ENABLED": "0"}

Generate = Callable[[int, int], Tensor]
"""Returns images, float (N, C, H, W) in [-1, 1], from their number and a seed."""


@dataclass(frozen=True)
class Written:
    """What a search has left behind; times of `readings` are seconds since 1970."""

    readings: Sequence[Reading]
    begun: int
    full: int
    winner: Callable[[str], Generate]


def run_side(side: Side, seed: int, seconds: float, arguments: Sequence[str], folder: Path) -> Outcome:
    """Runs a side whole and measures its winner anew.

    Args:
        arguments: Further arguments of `gansearch start`; the other sides take none.
        folder: An empty folder, for all that the side writes.

    Raises:
        UserError: The command failed, or no trial has an FID.
    """
    if side == "ours":
        command = ["gansearch", "start", SPACE, "--time-budget", f"{seconds:g}s", "--seed", str(seed)]
        command += ["--runs-dir", str(folder), "--name", "search", *arguments]
    else:
        cores = joblib.cpu_count()  # as many as `gansearch start` takes
        command = [f"{__package__}.{side}", f"{seconds:g}", str(seed), str(cores), str(folder / "search")]
    began, wall = _run(command, folder / "log.txt")
    written = read_rows(folder / "search") if side == "ours" else read_tune(side, folder / "search")
    course = improvements(written.readings)
    if not course:
        raise UserError(f"{side}, seed {seed}: no trial has an FID after {wall:.0f} s; give more --seconds")
    try:
        anew = fid_anew(written.winner(course[-1].trial))
    except (UserError, FileNotFoundError):
        anew = None
    return Outcome(
        side=side,
        seed=seed,
        budget=seconds,
        arguments=tuple(arguments),
        wall=wall,
        begun=written.begun,
        full=written.full,
        course=tuple(
            Reading(seconds=reading.seconds - began, fid=reading.fid, trial=reading.trial) for reading in course
        ),
        anew=anew,
    )


def _run(command: Sequence[str], log: Path) -> tuple[float, float]:
    """Runs a module of Python; returns when it began, in seconds since 1970, and how many seconds it took."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(paths)}
    with log.open("w") as output:
        began, start = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            code = process.wait()
        except BaseException:  # Ctrl-C reaches the command as well, which then saves and ends its Ray
            process.terminate()
            process.wait()
            raise
    if code:
        last = log.read_text().strip().splitlines()[-1:]
        raise UserError(f"python -m {' '.join(command)}: exit code {code}: {' '.join(last)}")
    return began, time.perf_counter() - start


def read_rows(folder: Path) -> Written:
    """Reads a run of gansearch. Raises UserError where its FIDs have another protocol than those of the others."""
    run = load(find_run(str(folder)))
    own = protocol()
    run.manifest.protocol.require(own, "ours measures FID otherwise than the others", "leave data and metrics alone")
    full = run.manifest.space.base.train.max_images
    readings = [
        Reading(seconds=datetime.fromisoformat(row.time).timestamp(), fid=row.fid, trial=trial.trial_id)
        for trial in run.ledger.values()
        for row in trial.evals
    ]
    return Written(
        readings,
        begun=len(run.ledger),
        full=sum(trial.images >= full for trial in run.ledger.values()),
        winner=lambda trial: _of_gansearch(run.dir.trial(trial)),
    )


def read_tune(side: Side, folder: Path) -> Written:
    """Reads an experiment of Ray Tune. A time there is a whole second, rounded down."""
    results: dict[str, list[Mapping[str, Any]]] = {}
    for file in folder.glob("*/result.json"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        results[file.parent.name] = [line for line in lines if math.isfinite(line.get("fid", math.nan))]
    full = vanilla.EVALUATIONS if side == "vanilla" else find_space(SPACE).base.train.evaluations

    def winner(trial: str) -> Generate:
        best = min(results[trial], key=lambda line: line["fid"])
        if side == "vanilla":
            return _of_vanilla(folder / trial / best["checkpoint_dir_name"] / "generator.pt")
        return _of_gansearch(checkpoints_of(folder, best["trial_id"]))

    return Written(
        [
            Reading(seconds=line["timestamp"], fid=line["fid"], trial=trial)
            for trial, lines in results.items()
            for line in lines
        ],
        begun=len(results),
        full=sum(len(lines) >= full for lines in results.values()),
        winner=winner,
    )


def _of_gansearch(checkpoints: Path) -> Generate:
    """Loads the best generator of a trial that gansearch's trainer has saved; UserError where it has not."""
    weights, about = CheckpointDir(checkpoints).best()
    return LoadedGenerator.build(from_dict(about.config), weights, about.channels, about.classes, "cpu").sample


def _of_vanilla(weights: Path) -> Generate:
    """Loads a generator that `vanilla.py` has saved; FileNotFoundError where it has not."""
    G = vanilla.generator().eval()
    G.load_state_dict(torch.load(weights, weights_only=True))

    def generate(count: int, seed: int) -> Tensor:
        z = torch.randn(count, vanilla.Z, 1, 1, generator=torch.Generator().manual_seed(seed))
        return G(z)

    return generate
