"""A small run in memory, for contracts of what works on a run. Its trials were never trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution

from gansearch.config import TrialConfig
from gansearch.run import Ledger, Options, Plan, Protocol, Run, RunDir, Space, When
from gansearch.run.rows import Eval, Row, Start

SPACE = Space(
    base=TrialConfig(),
    params={
        "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
        "loss.name": CategoricalDistribution(["hinge", "wgan"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.01, 0.1)),
    },
)

_TRIALS: tuple[tuple[dict[str, Any], tuple[float, ...]], ...] = (  # parameters, FIDs
    ({"optim.g_lr": 1e-3, "loss.name": "hinge"}, (90.0, 60.0, 40.0)),
    ({"optim.g_lr": 5e-3, "loss.name": "wgan", "loss.clip": 0.02}, (120.0,)),
    ({"optim.g_lr": 2e-4, "loss.name": "hinge"}, ()),
)
_INTERVAL = 1.6  # kimg


def rows() -> list[Row]:
    """Returns the rows of three trials: one completed, one stopped, one that still runs and has no FID."""
    found: list[Row] = []
    ledger = Ledger()

    def add(row: Row) -> None:
        found.append(row)
        ledger.add(row)

    for number, (params, fids) in enumerate(_TRIALS):
        trial_id = f"{number:04d}"
        add(Start(trial_id=trial_id, number=number, params=params, origin="sampled", seed=0))
        for step, fid in enumerate(fids, 1):
            add(_evaluation(trial_id, number, step * _INTERVAL, fid))
        if fids:
            add(ledger[trial_id].ended("completed" if len(fids) > 1 else "stopped"))
    return found


def _evaluation(trial_id: str, number: int, kimg: float, fid: float) -> Eval:
    return Eval(
        trial_id=trial_id,
        number=number,
        kimg=kimg,
        fid=fid,
        protocol=example_protocol().hash,
        train_seconds=4.0,
        eval_seconds=1.0,
        d_loss_real=0.7,
        d_loss_fake=0.7,
        g_loss=0.8,
        images_per_second=400.0,
    )


@contextmanager
def example_run(with_rows: list[Row]) -> Iterator[Run]:
    """Yields a run with these rows, in a folder that is removed afterwards."""
    with TemporaryDirectory() as folder:
        directory = RunDir(Path(folder))
        plan = Plan(directory, SPACE, Options(trials=len(_TRIALS)))
        yield Run(directory, plan.manifest(example_protocol(), None), Ledger(with_rows))


def example_protocol() -> Protocol:
    """Returns a protocol under which nothing was measured."""
    return Protocol(
        extractor="example",
        weights_sha256="0" * 64,
        data="0" * 64,
        split="train",
        num_real=100,
        num_fake=100,
        resolution=32,
        resize="none",
        dtype="float32",
        seed=0,
        estimator="standard",
    )
