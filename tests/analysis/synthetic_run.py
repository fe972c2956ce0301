"""A run directory as a search writes it, with invented but plausible FIDs. The same seed gives the same run."""

import json
import math
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.config import TrainConfig, TrialConfig
from gansearch.run.manifest import Options, Plan
from gansearch.run.paths import ABOUT, BEST, RunDir, checkpoint_name
from gansearch.run.protocol import Floor, Protocol
from gansearch.run.rows import Decision, End, Eval, Row, Start, Verdict, Writer
from gansearch.run.space import Space, When

KIMG = [round(6.4 * step, 1) for step in range(1, 10)]
RUNGS = [6.4, 19.2, 57.6]
PROTOCOL = Protocol(
    extractor="digits-classifier",
    weights_sha256="a" * 64,
    data="b" * 64,
    split="train",
    num_real=1437,
    num_fake=1024,
    resolution=32,
    resize="bicubic-antialias",
    dtype="float32",
    seed=0,
    estimator="standard",
)
FLOOR = Floor(split="test", images=360, fid=0.29)
BASE = TrialConfig(train=TrainConfig(max_kimg=57.6, evaluations=9))
PARAMS: dict[str, Any] = {
    "optim.g_lr": FloatDistribution(1e-4, 4e-3, log=True),
    "optim.d_lr": FloatDistribution(1e-4, 4e-3, log=True),
    "optim.beta1": FloatDistribution(0.0, 0.9),
    "optim.d_steps": IntDistribution(1, 3),
    "model.leaky_slope": FloatDistribution(0.0, 0.3),
    "model.attention_at": CategoricalDistribution(["none", 8, 16]),
    "model.spectral_norm": CategoricalDistribution([False, True]),
    "loss.name": CategoricalDistribution(["bce", "hinge", "wgan", "wgan-gp"]),
    "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1, log=True)),
    "loss.penalty_weight": When("loss.name", "wgan-gp", FloatDistribution(1.0, 30.0, log=True)),
    "replay.every": IntDistribution(0, 8),
}
SPACE = Space(base=BASE, params=PARAMS)


def start(number: int, params: dict[str, Any] | None = None, origin: str = "sampled", **changes: Any) -> Start:
    fields = {"trial_id": f"{number:04d}", "number": number, "params": params or {}, "origin": origin, "seed": number}
    return Start(**fields | changes)


def evaluation(number: int, kimg: float, fid: float, protocol: str = PROTOCOL.hash) -> Eval:
    return Eval(
        trial_id=f"{number:04d}",
        number=number,
        kimg=kimg,
        fid=fid,
        protocol=protocol,
        train_seconds=2.5,
        eval_seconds=0.4,
        d_loss_real=0.6,
        d_loss_fake=0.7,
        g_loss=1.1,
        images_per_second=2560.0,
    )


def decision(
    number: int, kimg: float, verdict: Verdict, fid: float | None = None, cut: float | None = None, compared: int = 0
) -> Decision:
    return Decision(
        trial_id=f"{number:04d}", number=number, kimg=kimg, verdict=verdict, fid=fid, cut=cut, compared=compared
    )


def promoting_rows() -> list[Row]:
    """The rows of a search that is going on: trial 0 is complete, 1 was promoted and trains, 2 to 4 wait, 5 began.

    The FIDs of trials 0 to 4 at 6.4 kimg are 50, 60, 70, 80 and 55, in this order.
    """
    rows: list[Row] = [start(number) for number in range(5)]
    rows += [evaluation(0, 6.4, 50.0), decision(0, 6.4, "goes on", 50.0, 50.0, 1)]
    rows += [evaluation(1, 6.4, 60.0), decision(1, 6.4, "waits", 60.0, 50.0, 2)]
    rows += [evaluation(2, 6.4, 70.0), decision(2, 6.4, "waits", 70.0, 50.0, 3)]
    rows += [evaluation(3, 6.4, 80.0), decision(3, 6.4, "waits", 80.0, 50.0, 4)]
    rows += [evaluation(0, kimg, 60.0 - kimg / 2) for kimg in KIMG[1:3]]
    rows += [decision(0, 19.2, "goes on", 50.4, 50.4, 1)]
    rows += [evaluation(0, kimg, 60.0 - kimg / 2) for kimg in KIMG[3:]]
    best = {"best_fid": 31.2, "best_kimg": 57.6, "kimg": 57.6}
    rows += [End(trial_id="0000", number=0, status="completed", reason=None, **best)]
    rows += [decision(1, 6.4, "goes on", 60.0, 60.0, 4), evaluation(1, 12.8, 58.0)]
    return [*rows, evaluation(4, 6.4, 55.0), decision(4, 6.4, "waits", 55.0, 50.0, 5), start(5)]


def make_run(
    path: Path, rows: Sequence[Row], params: dict[str, Any] | None = None, floor: Floor | None = None, **options: Any
) -> RunDir:
    """Writes `search.json` and `results.jsonl`; `options` are those of the search."""
    run = RunDir(path)
    run.path.mkdir(parents=True)
    space = SPACE if params is None else SPACE.replaced(params=params)
    Plan(run, space, Options(**{"trials": 16, **options})).manifest(PROTOCOL, floor, num_train=1437).save(run)
    with closing(Writer(run.results)) as writer:
        for row in rows:
            writer.append(row)
    return run


def damage(run: RunDir, **changes: Any) -> None:
    """Replaces fields of `search.json`, without a look at what is valid."""
    run.search_json.write_text(json.dumps(json.loads(run.search_json.read_text()) | changes))


def make_checkpoint(path: Path) -> None:
    """Makes what a ranking looks for; nothing can be loaded from it."""
    path.mkdir(parents=True)
    for name in (BEST, ABOUT):
        (path / name).touch()


def make_search(path: Path, trials: int = 16, seed: int = 0, **search: Any) -> RunDir:
    """A search in which a baseline came first, the third trial diverged unevaluated, and the last one still runs."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for number in range(trials):
        origin = "baseline:dcgan" if number == 0 else "sampled"
        rows += _trial(number, origin, rng, running=number == trials - 1)
    run = make_run(path, rows, **search)
    for row in rows:
        if isinstance(row, Eval):
            make_checkpoint(run.trial(row.trial_id) / checkpoint_name(row.images))
    return run


def _trial(number: int, origin: str, rng: random.Random, running: bool) -> list[Row]:
    params = _sample(rng)
    begin = start(number, params, origin)
    own: dict[str, Any] = {"trial_id": begin.trial_id, "number": number}
    if number == 2:
        reason = "the generator's loss is not finite"
        return [begin, End(**own, status="diverged", best_fid=None, best_kimg=None, kimg=3.2, reason=reason)]
    floor = 38 * math.exp(0.5 * math.log(params["optim.g_lr"] / 1.2e-3) ** 2) + 30 * params["optim.beta1"]
    floor *= {"bce": 1.0, "hinge": 0.9, "wgan": 1.9, "wgan-gp": 1.2}[params["loss.name"]]
    fids = [(floor + 2200 * math.exp(-kimg / 5)) * rng.lognormvariate(0, 0.06) for kimg in KIMG]
    length = 5 if running else 9 if floor < 75 or number == 0 else 3 if floor < 130 else 1
    evals = [evaluation(number, kimg, fid) for kimg, fid in zip(KIMG[:length], fids, strict=False)]
    if running:
        return [begin, *evals]
    best = min(evals, key=lambda row: row.fid)
    stopped = length < 9
    end = End(
        **own,
        status="stopped" if stopped else "completed",
        best_fid=best.fid,
        best_kimg=best.kimg,
        kimg=evals[-1].kimg,
        reason=f"FID not among the best at {evals[-1].kimg:g} kimg" if stopped else None,
    )
    return [begin, *evals, end]


def _sample(rng: random.Random) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for path in SPACE.ordered:
        if not SPACE.applies(path, params):
            continue
        domain = SPACE.params[path].domain
        if domain.is_categorical:
            params[path] = rng.choice(domain.choices)
        elif domain.name == "IntDistribution":
            params[path] = rng.randint(int(domain.range.low), int(domain.range.high))
        elif domain.range.log:
            params[path] = math.exp(rng.uniform(math.log(domain.range.low), math.log(domain.range.high)))
        else:
            params[path] = rng.uniform(domain.range.low, domain.range.high)
    return params
