"""A small whole run, with every kind of row and file, and edits of single values in the files of such a run."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.cli.search import main
from gansearch.config import Component, Source
from gansearch.run import Options, Plan, RunDir, Space, When, load
from gansearch.run.finals import FINALS_VERSION, Finalist, Finals
from gansearch.run.rows import Decision, End, Eval, Noise, Row, Start, Writer

SMALL = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", "train.evaluations=2"]
PARAMS: dict[str, Any] = {
    "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
    "optim.d_lr/optim.g_lr": FloatDistribution(0.5, 2.0),
    "loss.name": CategoricalDistribution(["bce", "wgan"]),
    "loss.clip": When("loss.name", "wgan", FloatDistribution(0.01, 0.1)),
    "replay.every": IntDistribution(0, 4, step=2),
}
VALUES: dict[str, Any] = {"optim.g_lr": 2e-4, "optim.d_lr/optim.g_lr": 1.0, "loss.name": "bce", "replay.every": 0}


def make_whole_run(path: Path) -> RunDir:
    """A search that is over, with finals. Trial 0 was trained; all others are rows, and their files are lost."""
    assert main(["trial", "dcgan", "--out", str(path), "--max-kimg", "0.128", *SMALL]) == 0
    before = load(RunDir(path))
    manifest, run = before.manifest, before.dir
    code = {"parts": Source(file="parts.py", sha256="0" * 64)}
    space = Space(
        base=manifest.space.base.model_copy(update={"code": code}),
        params=PARAMS,
        baselines=("dcgan",),
        forbidden=({"loss.name": "wgan", "replay.every": [2, 4]},),
    )
    options = Options(trials=3, loggers=(Component(name="csv"),), time_budget=60.0, max_concurrent=1)
    plan = Plan(run, space, options)
    plan.manifest(manifest.protocol, manifest.floor, 0.0, manifest.num_train).save(run)
    measured = before.ledger["0000"].evals[-1]
    run.results.unlink()
    with closing(Writer(run.results)) as writer:
        for row in _rows(measured):
            writer.append(row)
    finalist = Finalist(
        place=1,
        trial_id="0000",
        origin="baseline:dcgan",
        searched_fid=measured.fid,
        params=VALUES,
        trials=("0003", "0004"),
        fids=(measured.fid + 2, measured.fid + 4),
        diverged=0,
        missing=0,
        mean=measured.fid + 3,
        interval=(measured.fid, measured.fid + 6),
        better_than_next=None,
    )
    finals = Finals(
        version=FINALS_VERSION,
        protocol=manifest.protocol.hash,
        max_kimg=manifest.max_kimg,
        seeds=2,
        num_searched=2,
        finalists=(finalist,),
    )
    finals.save(run)
    run.study_journal.unlink()
    whole = load(run)
    assert not whole.left_out and whole.finals is not None
    whole.require_its_space()
    return run


def _rows(measured: Eval) -> Iterator[Row]:
    """Yields the rows of trials that were completed, stopped and diverged, and of two finals; `measured` is the FID."""

    def of(number: int) -> dict[str, Any]:
        return {"trial_id": f"{number:04d}", "number": number}

    def evaluated(number: int, fid: float, kimg: float) -> Eval:
        return Eval(**vars(measured) | of(number) | {"fid": fid, "kimg": kimg, "node": "node"})

    def ended(number: int, status: Any, fid: float | None, kimg: float, reason: str | None = None) -> End:
        return End(**of(number), status=status, best_fid=fid, best_kimg=kimg if fid else None, kimg=kimg, reason=reason)

    fid = measured.fid
    yield Start(**of(0), params=VALUES, origin="baseline:dcgan", seed=0)
    yield evaluated(0, fid, 0.128)
    yield ended(0, "completed", fid, 0.128)
    yield Start(**of(1), params=VALUES | {"loss.name": "wgan", "loss.clip": 0.02}, origin="sampled", seed=0)
    yield evaluated(1, fid + 9, 0.064)
    yield Decision(**of(1), kimg=0.064, verdict="stops", fid=fid + 9, cut=fid, compared=2, behind=0)
    yield ended(1, "stopped", fid + 9, 0.064)
    yield Start(**of(2), params=VALUES | {"replay.every": 2}, origin="sampled", seed=0)
    yield ended(2, "diverged", None, 0.01, "the loss of G is not finite")
    yield Noise(**of(0), kimg=0.128, protocol=measured.protocol, fids=(fid, fid + 0.5, fid - 0.5))
    for number, seed in ((3, 1), (4, 2)):
        yield Start(**of(number), params=VALUES, origin="final", seed=seed, parent="0000", relation="final")
        yield evaluated(number, fid + 2 * seed, 0.128)
        yield ended(number, "completed", fid + 2 * seed, 0.128)
