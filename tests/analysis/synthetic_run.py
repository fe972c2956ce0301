"""A run directory as a search writes it, with invented but plausible FIDs. The same seed gives the same run."""

import json
import math
import random
from pathlib import Path
from typing import Any

from gansearch.run.paths import RunDir
from gansearch.run.rows import End, Eval, Row, Start, Writer

KIMG = [round(6.4 * step, 1) for step in range(1, 10)]
RUNGS = [6.4, 19.2, 57.6]
PROTOCOL = "0123abcd4567"
FLOOR = {"split": "test", "images": 360, "fid": 0.29}


def _number(kind: str, low: float, high: float, log: bool = False) -> dict[str, Any]:
    return {"name": f"{kind}Distribution", "attributes": {"step": None, "low": low, "high": high, "log": log}}


def _choice(*choices: Any) -> dict[str, Any]:
    return {"name": "CategoricalDistribution", "attributes": {"choices": list(choices)}}


PARAMS: dict[str, Any] = {
    "optim.g_lr": {"domain": _number("Float", 1e-4, 4e-3, log=True), "when": None},
    "optim.d_lr": {"domain": _number("Float", 1e-4, 4e-3, log=True), "when": None},
    "optim.beta1": {"domain": _number("Float", 0.0, 0.9), "when": None},
    "optim.d_steps": {"domain": _number("Int", 1, 3), "when": None},
    "model.leaky_slope": {"domain": _number("Float", 0.0, 0.3), "when": None},
    "model.attention_at": {"domain": _choice("none", 8, 16), "when": None},
    "model.spectral_norm": {"domain": _choice(False, True), "when": None},
    "loss.name": {"domain": _choice("bce", "hinge", "wgan", "wgan-gp"), "when": None},
    "loss.clip": {
        "domain": _number("Float", 0.005, 0.1, log=True),
        "when": {"path": "loss.name", "equals": "wgan"},
    },
    "loss.penalty_weight": {
        "domain": _number("Float", 1.0, 30.0, log=True),
        "when": {"path": "loss.name", "equals": "wgan-gp"},
    },
    "replay.every": {"domain": _number("Int", 0, 8), "when": None},
}


def start(trial_id: str, number: int, params: dict[str, Any] | None = None, origin: str = "sampled") -> Start:
    return Start(trial_id=trial_id, number=number, params=params or {}, origin=origin, seed=number)


def evaluation(trial_id: str, number: int, kimg: float, fid: float, protocol: str = PROTOCOL) -> Eval:
    return Eval(
        trial_id=trial_id,
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


def make_run(path: Path, rows: list[Row], params: dict[str, Any] | None = None, **search: Any) -> RunDir:
    """Writes `search.json` and `results.jsonl`; `search` replaces fields of the former."""
    run = RunDir(path)
    run.path.mkdir(parents=True)
    content = {
        "name": run.name,
        "space": {"base": {"loss": {"name": "bce"}}, "params": PARAMS if params is None else params, "baselines": []},
        "budget": {"trials": 16, "max_kimg": 57.6, "evaluations": 9, "rungs": RUNGS},
        "protocol": {"hash": PROTOCOL},
        "checkpoints": None,
    }
    run.search_json.write_text(json.dumps(content | search))
    writer = Writer(run.results)
    for row in rows:
        writer.append(row)
    writer.close()
    return run


def make_search(path: Path, trials: int = 16, seed: int = 0, **search: Any) -> RunDir:
    """A search in which a baseline came first, the third trial diverged unevaluated, and the last one still runs."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for number in range(trials):
        origin = "baseline:dcgan" if number == 0 else "sampled"
        rows += _trial(f"{seed:02x}f3_{number:05d}", number, origin, rng, running=number == trials - 1)
    run = make_run(path, rows, **search)
    for row in rows:
        if isinstance(row, Eval):
            name = f"checkpoint_{round(row.kimg * 1000):09d}"
            (run.trial(row.trial_id) / name).mkdir(parents=True)
    return run


def _trial(trial_id: str, number: int, origin: str, rng: random.Random, running: bool) -> list[Row]:
    params = _sample(rng)
    rows: list[Row] = [start(trial_id, number, params, origin)]
    if number == 2:
        reason = "the generator's loss is not finite"
        fields = {"status": "diverged", "best_fid": None, "best_kimg": None, "kimg": 3.2, "reason": reason}
        return [*rows, End(trial_id=trial_id, number=number, **fields)]
    floor = 38 * math.exp(0.5 * math.log(params["optim.g_lr"] / 1.2e-3) ** 2) + 30 * params["optim.beta1"]
    floor *= {"bce": 1.0, "hinge": 0.9, "wgan": 1.9, "wgan-gp": 1.2}[params["loss.name"]]
    fids = [(floor + 2200 * math.exp(-kimg / 5)) * rng.lognormvariate(0, 0.06) for kimg in KIMG]
    length = 5 if running else 9 if floor < 75 or number == 0 else 3 if floor < 130 else 1
    evals = [evaluation(trial_id, number, kimg, fid) for kimg, fid in zip(KIMG[:length], fids, strict=False)]
    rows += evals
    if running:
        return rows
    best = min(evals, key=lambda row: row.fid)
    stopped = length < 9
    rows.append(
        End(
            trial_id=trial_id,
            number=number,
            status="stopped" if stopped else "completed",
            best_fid=best.fid,
            best_kimg=best.kimg,
            kimg=evals[-1].kimg,
            reason=f"FID not among the best at {evals[-1].kimg:g} kimg" if stopped else None,
        )
    )
    return rows


def _sample(rng: random.Random) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for path, parameter in PARAMS.items():
        when = parameter["when"]
        if when and params[when["path"]] != when["equals"]:
            continue
        attributes = parameter["domain"]["attributes"]
        if "choices" in attributes:
            params[path] = rng.choice(attributes["choices"])
        elif parameter["domain"]["name"] == "IntDistribution":
            params[path] = rng.randint(attributes["low"], attributes["high"])
        elif attributes["log"]:
            params[path] = math.exp(rng.uniform(math.log(attributes["low"]), math.log(attributes["high"])))
        else:
            params[path] = rng.uniform(attributes["low"], attributes["high"])
    return params
