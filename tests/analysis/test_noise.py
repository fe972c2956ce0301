"""Rungs at which the FIDs of trials can't be told apart."""

import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansearch.analysis.noise import noisy_rungs
from gansearch.cli.search import main
from gansearch.run import Ledger, Run, RunDir, load
from gansearch.run.manifest import Options, Plan
from gansearch.run.rows import End, Row

from .synthetic_run import KIMG, PROTOCOL, SPACE, evaluation, make_run, start

OPTIONS = {"first_rung": 1, "eta": 3}  # of nine evaluations; rungs at 6.4 and 19.2 kimg


def trial(number: int, fids: list[float], params: dict[str, Any] | None = None, **relation: Any) -> list[Row]:
    rows: list[Row] = [start(number, params, **relation)]
    rows += [evaluation(number, kimg, fid) for kimg, fid in zip(KIMG, fids, strict=False)]
    if len(fids) == len(KIMG):
        best = {"best_fid": min(fids), "best_kimg": KIMG[fids.index(min(fids))], "kimg": KIMG[-1]}
        rows.append(End(trial_id=f"{number:04d}", number=number, status="completed", reason=None, **best))
    return rows


def search(
    spread: float, noise: float, trials: int = 16, level: float = 90.0, finals: float | None = None
) -> list[Row]:
    """A search whose first FIDs differ by `spread` in logarithms, and whose three full trials wander by `noise`.

    With `finals` trial 0 was trained again with five seeds, whose logarithms differ by as much.
    """
    rows: list[Row] = []
    for number in range(trials):
        first = level * math.exp(spread * (number / (trials - 1) - 0.5))
        rest = [first / 2 * math.exp(noise * (step % 2)) for step in range(8)] if number < 3 else []
        rows += trial(number, [first, *rest])
    for seed in range(5 if finals is not None else 0):
        fids = [level * math.exp(finals * (seed / 4 - 0.5))] * len(KIMG)
        rows += trial(trials + seed, fids, origin="final", parent="0000", relation="final", seed=seed + 1)
    return rows


def run_of(rows: list[Row], **options: Any) -> Run:
    plan = Plan(RunDir(Path("never")), SPACE, Options(**{"trials": 16, **OPTIONS, **options}))
    return Run(plan.run, plan.manifest(PROTOCOL, None), Ledger(rows))


def test_a_rung_whose_fids_lie_within_the_noise_is_named() -> None:
    (rung,) = noisy_rungs(run_of(search(spread=0.15, noise=0.06)))
    assert str(rung) == (
        "at 6.4 kimg the FIDs of 16 trials (86.69 to 93.44 between the quartiles) lie within the noise of an FID "
        "(6.3% between late evaluations of a trial): this rung decides by luck; use --first-rung 3"
    )


def test_without_a_later_rung_the_advice_is_no_scheduler() -> None:
    (rung,) = noisy_rungs(run_of(search(spread=0.15, noise=0.06), eta=5))
    assert str(rung).endswith("; use --scheduler none")


def test_seeds_tell_more_of_the_noise_than_evaluations() -> None:
    rows = search(spread=0.15, noise=0.06, finals=0.02)
    assert noisy_rungs(run_of(rows)) == []
    (rung,) = noisy_rungs(run_of(search(spread=0.15, noise=0.0, finals=0.2)))
    assert rung.is_of_finals and rung.trials == 16
    assert rung.noise == pytest.approx(0.2 * math.sqrt((0.25 + 0.0625) * 2 / 4))
    assert "% between seeds): this rung" in str(rung)


@given(spread=st.floats(0.01, 2), noise=st.floats(0.01, 1), level=st.floats(1e-3, 1e3), factor=st.floats(1e-3, 1e3))
def test_the_scale_of_fids_does_not_matter(spread: float, noise: float, level: float, factor: float) -> None:
    rungs = noisy_rungs(run_of(search(spread, noise, level=level)))
    assert [rung.kimg for rung in rungs] == ([6.4] if spread / 2 < 2 * noise / 0.954 else [])
    scaled = noisy_rungs(run_of(search(spread, noise, level=level * factor)))
    assert [rung.kimg for rung in scaled] == [rung.kimg for rung in rungs]


def test_noise_alone_is_found_and_parameters_that_matter_are_not() -> None:
    def rungs(spread: float, seed: int) -> list[float]:
        rng, rows = random.Random(seed), list[Row]()
        for number in range(60):
            merit = rng.gauss(0, spread)
            fids = [50 * math.exp(merit + rng.gauss(0, 0.05)) for _ in KIMG]
            rows += trial(number, fids if number < 20 else fids[:1])
        return [rung.kimg for rung in noisy_rungs(run_of(rows))]

    assert sum(6.4 in rungs(0.0, seed) for seed in range(20)) >= 17
    assert sum(6.4 in rungs(0.05, seed) for seed in range(20)) >= 5, "as much noise as merit: it is the border"
    assert not any(rungs(0.2, seed) for seed in range(20))


@pytest.mark.parametrize(
    "rows",
    [
        [],
        search(spread=0.15, noise=0.06, trials=7),  # too few for quartiles
        [row for row in search(spread=0.15, noise=0.06) if row.event != "end"],  # none of full length
        search(spread=0.15, noise=0.06, level=-1.0),  # of an estimator without bias; no logarithms
    ],
)
def test_of_too_little_nothing_is_said(rows: list[Row]) -> None:
    assert noisy_rungs(run_of(rows)) == []


def test_without_a_scheduler_no_rung_decides() -> None:
    assert noisy_rungs(run_of(search(spread=0.15, noise=0.06), scheduler=None)) == []


def test_status_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", search(spread=0.15, noise=0.06), **OPTIONS)
    assert main(["status", str(run.path)]) == 0
    (rung,) = noisy_rungs(load(run))
    assert " ".join(capsys.readouterr().out.splitlines()).endswith(str(rung))
