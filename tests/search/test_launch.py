"""Searches for real: Ray, kill -9 and resume, signals, clusters. Small nets, a few kimg; every process is a user's."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gansearch.run.ledger import Ledger
from gansearch.run.rows import End, Eval, Start, read
from gansearch.training.device import best_device, best_precision

pytestmark = pytest.mark.slow

SMALL = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", "train.batch=16"]
SPACE = """
from optuna.distributions import CategoricalDistribution, FloatDistribution
from gansearch.config import TrialConfig
from gansearch.run.space import Space, When

SPACE = Space(
    base=TrialConfig(),
    params={
        "optim.g_lr": FloatDistribution(1e-4, 4e-3, log=True),
        "loss.name": CategoricalDistribution(["bce", "wgan"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.01, 0.1)),
        "replay.every": CategoricalDistribution([0, 2]),
    },
    baselines=["dcgan"],
    trials=6,
)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SPACE)
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from gansearch.cli.search import main; sys.exit(main())", *arguments]


def analyze(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from gansearch.cli.analyze import main; sys.exit(main())", *arguments]


def start_arguments(*more: str, kimg: str = "1.44") -> list[str]:
    return ["start", "mine.py", "--name", "run", "--max-kimg", kimg, *SMALL, *more]


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=400,
        stdin=subprocess.DEVNULL,
    )


def wait_for_evals(results: Path, count: int, process: "subprocess.Popen[Any]") -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if results.exists() and results.read_text().count('"event": "eval"') >= count:
            return
        assert process.poll() is None, f"the search ended with {process.returncode} before {count} evaluations"
        time.sleep(0.05)
    pytest.fail(f"no {count} evaluations within 200 s")


def ledger_of(folder: Path) -> Ledger:
    rows = read(folder / "runs/run/results.jsonl")
    keys = [(type(row), row.trial_id, row.kimg if isinstance(row, Eval) else None) for row in rows]
    assert len(keys) == len(set(keys)), "a row was written twice"
    return Ledger(rows)


def assert_whole(folder: Path, trials: int) -> Ledger:
    """Every trial has a start, an end, evaluations at the common kimg, a config and a checkpoint of its last one."""
    ledger = ledger_of(folder)
    assert [trial.number for trial in ledger.values()] == list(range(trials))
    budget = json.loads((folder / "runs/run/search.json").read_text())["budget"]
    interval = budget["max_kimg"] / budget["evaluations"]
    for trial in ledger.values():
        assert trial.end is not None
        assert trial.status in {"completed", "stopped"}, trial.end.reason
        steps = [round(row.kimg / interval, 6) for row in trial.evals]
        assert steps == list(range(1, len(steps) + 1))
        if trial.status == "stopped":
            assert trial.kimg in budget["rungs"]
        (checkpoint,) = (folder / "runs/run/trials" / trial.trial_id).glob("checkpoint_*")
        assert checkpoint.name == f"checkpoint_{trial.evals[-1].images:09d}"
    return ledger


@pytest.fixture
def crashed_ray() -> Iterator[dict[str, str]]:
    """What a Ray that crashed leaves behind: a cluster file and an environment that name nobody."""
    stale = Path("/tmp/ray/ray_current_cluster")
    stale.parent.mkdir(parents=True, exist_ok=True)
    before = stale.read_text() if stale.exists() else None
    stale.write_text("127.0.0.1:1")
    yield {"RAY_ADDRESS": "127.0.0.1:1"}
    stale.unlink(missing_ok=True)
    if before is not None:
        stale.write_text(before)


def test_a_search_from_nothing_to_an_exported_generator(folder: Path, crashed_ray: dict[str, str]) -> None:
    done = run(folder, *start_arguments(), **crashed_ray)
    assert done.returncode == 0, done.stderr
    ledger = assert_whole(folder, 6)
    assert next(iter(ledger.values())).start.origin == "baseline:dcgan"
    assert {trial.start.origin for trial in ledger.values()} == {"baseline:dcgan", "sampled"}
    assert any(trial.status == "stopped" for trial in ledger.values())
    best = ledger.best
    assert best is not None
    assert best.best is not None
    assert best.trial_id in done.stdout.splitlines()[1]
    exported = json.loads((folder / "runs/run/best/config.json").read_text())
    precision = json.loads((folder / "runs/run/search.json").read_text())["space"]["base"]["train"]["precision"]
    assert precision == exported["trial"]["train"]["precision"] == best_precision(best_device()), "auto is decided"
    assert (exported["trial_id"], exported["fid"]) == (best.trial_id, best.best.fid)
    assert (folder / "runs/run/best/samples.png").stat().st_size > 1000
    assert (folder / "runs/run/plots/fid_vs_kimg.png").exists()
    assert "left" in done.stderr
    assert "lowest so far" in done.stderr
    noise = [line for line in done.stderr.splitlines() if "Warning" in line or "ERROR" in line]
    assert not noise


def test_killed_and_resumed_nothing_is_lost_or_written_twice(folder: Path) -> None:
    """The driver is killed twice, at any moment; the search still ends with all its trials."""
    results = folder / "runs/run/results.jsonl"
    arguments = start_arguments(kimg="2.88")
    kept = b""
    for evals in (3, 11):
        process = subprocess.Popen(
            command(*arguments),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for_evals(results, evals, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = results.read_bytes()
        assert content.startswith(kept), "rows of the driver before are gone"
        kept = content[: content.rfind(b"\n") + 1]
        arguments = ["resume", "run"]
    before = Ledger(read(results))
    running = [trial for trial in before.values() if trial.end is None]
    assert running, "the kill came too late to show anything"
    done = run(folder, "resume", "run")
    assert done.returncode == 0, done.stderr
    assert results.read_bytes().startswith(kept)
    after = assert_whole(folder, 6)
    for trial in running:
        # Continued, not begun again: no row has a train time as if the whole way had been gone once more.
        assert after[trial.trial_id].evals[: len(trial.evals)] == trial.evals


def test_a_resumed_search_goes_on_as_if_it_had_not_been_killed(folder: Path) -> None:
    """One trial at a time, so that the order of events is the same: all FIDs and proposals are equal."""
    one = ["--max-concurrent", "1", "--trials", "4"]
    assert run(folder, *start_arguments(*one)).returncode == 0
    whole = ledger_of(folder)
    (folder / "runs/run").rename(folder / "runs/whole")
    process = subprocess.Popen(
        command(*start_arguments(*one)), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for_evals(folder / "runs/run/results.jsonl", 13, process)
    process.kill()
    process.wait()
    assert run(folder, "resume", "run").returncode == 0
    resumed = assert_whole(folder, 4)
    assert [trial.start.params for trial in resumed.values()] == [trial.start.params for trial in whole.values()]
    assert [[row.fid for row in trial.evals] for trial in resumed.values()] == [
        [row.fid for row in trial.evals] for trial in whole.values()
    ]
    assert [trial.status for trial in resumed.values()] == [trial.status for trial in whole.values()]


def test_an_extended_search_survives_a_kill_and_trains_the_best_further(folder: Path) -> None:
    assert run(folder, *start_arguments()).returncode == 0
    results = folder / "runs/run/results.jsonl"
    short, kept = assert_whole(folder, 6), results.read_bytes()
    completed = sorted(
        (trial for trial in short.values() if trial.status == "completed"), key=lambda trial: trial.evals[-1].fid
    )
    best = completed[: max(1, round(len(completed) / 3))]
    process = subprocess.Popen(
        command("extend", "run", "--trials", "+2", "--max-kimg", "2.9"),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_evals(results, kept.count(b'"event": "eval"') + 3, process)
    process.kill()
    process.wait()
    done = run(folder, "resume", "run")
    assert done.returncode == 0, done.stderr
    assert results.read_bytes().startswith(kept)
    ledger = ledger_of(folder)
    assert all(trial.end for trial in ledger.values())
    longer = [trial for trial in ledger.values() if trial.start.relation == "continuation"]
    assert [trial.start.parent for trial in longer] == [trial.trial_id for trial in best]
    assert sum(trial.start.parent is None for trial in ledger.values()) == 8
    interval = 0.16
    for trial in longer:
        steps = [round(row.kimg / interval) for row in trial.evals]
        assert steps == list(range(10, 10 + len(steps)))
        assert trial.kimg in {2.88} or trial.status == "stopped"
    assert max(trial.kimg for trial in ledger.values()) == 2.88
    again = run(folder, "resume", "run")
    assert again.returncode == 0, again.stderr
    assert len(ledger_of(folder)) == len(ledger), "nothing was left to do"


def test_finals_go_on_after_a_break_and_give_each_seed_once(folder: Path) -> None:
    assert run(folder, *start_arguments("--trials", "3")).returncode == 0
    results = folder / "runs/run/results.jsonl"
    before = results.read_text().count('"event": "eval"')
    finals = ["finals", "run", "--top", "2", "--seeds", "2"]
    process = subprocess.Popen(analyze(*finals), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_evals(results, before + 3, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.startswith("place  trial")
    assert "gansearch-analyze finals run --top 2 --seeds 2" in err.splitlines()[-1]
    done = subprocess.run(analyze(*finals, "--json"), cwd=folder, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    ledger = ledger_of(folder)
    held = [trial for trial in ledger.values() if trial.is_final]
    assert sorted((trial.start.parent, trial.start.seed) for trial in held) == sorted(
        (one["trial_id"], seed) for one in found for seed in (1, 2)
    )
    assert {trial.status for trial in held} == {"completed"}, "ASHA stops no final"
    assert {trial.kimg for trial in held} == {1.44}
    fids = {trial.trial_id: trial.best.fid for trial in held if trial.best}
    assert all([fids[id] for id in one["trials"]] == one["fids"] and len(one["fids"]) == 2 for one in found)
    assert len(set(fids.values())) == 4, "seeds differ"
    again = subprocess.run(analyze(*finals, "--json"), cwd=folder, capture_output=True, text=True, timeout=400)
    assert json.loads(again.stdout) == found
    assert again.stderr == "", "no Ray was started, nothing trained"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_search_saves_everything_and_says_how_to_go_on(
    folder: Path, number: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(
        command(*start_arguments(kimg="2.88")), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_evals(folder / "runs/run/results.jsonl", 3, process)
    if number == signal.SIGINT:
        second = run(folder, "resume", "run")
        assert second.returncode == 2
        assert "another process" in second.stderr
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "resume runs/run" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert any(trial.end is None for trial in ledger_of(folder).values())
    if number == signal.SIGTERM:
        assert run(folder, "resume", "run").returncode == 0
        assert_whole(folder, 6)


def test_more_gpus_a_trial_than_the_machine_has(folder: Path) -> None:
    done = run(folder, *start_arguments("--gpus-per-trial", "64", "--storage", "store"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--gpus-per-trial 64" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["mine.py"]


def test_a_time_budget_ends_the_search(folder: Path) -> None:
    done = run(folder, *start_arguments("--time-budget", "5s", kimg="28.8"))
    ends = [row for row in read(folder / "runs/run/results.jsonl") if isinstance(row, End)]
    assert ends
    assert {row.status for row in ends} == {"stopped"}
    assert {row.reason for row in ends} == {"the time budget is spent"}
    assert done.returncode in {0, 3}


def test_failed_trials_have_a_reason_and_can_be_retried(folder: Path) -> None:
    """The checkpoints' folder is a file: trials fail, the search ends with 3; mended, they are run again."""
    process = subprocess.Popen(
        command(*start_arguments("--trials", "2", "--storage", "store")),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    results = folder / "runs/run/results.jsonl"
    while not results.exists():
        time.sleep(0.01)
        assert process.poll() is None
    store = folder / "store/run"
    store.rename(folder / "store/elsewhere")
    store.write_text("in the way")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 3, err
    ends = [row for row in read(results) if isinstance(row, End)]
    assert [row.status for row in ends] == ["failed", "failed"]
    assert all(row.reason for row in ends)
    assert (folder / "runs/run/trials/0000/error.txt").read_text()
    store.unlink()
    done = run(folder, "resume", "run", "--retry-failed")
    assert done.returncode == 0, done.stderr
    starts = [row for row in read(results) if isinstance(row, Start)]
    assert [row.trial_id for row in starts] == ["0000", "0001", "0002", "0003"]
    assert [(row.parent, row.relation) for row in starts[2:]] == [("0000", "retry"), ("0001", "retry")]
    assert starts[2].params == starts[0].params


@pytest.fixture
def two_nodes() -> Iterator[str]:
    """A cluster of two nodes with a core and two declared GPUs each, on this machine."""
    code = (
        "import sys\nfrom ray.cluster_utils import Cluster\ncluster = Cluster()\n"
        "for _ in range(2): cluster.add_node(num_cpus=1, num_gpus=2, object_store_memory=100 * 2**20)\n"
        "print(cluster.address, flush=True)\nsys.stdin.read()\ncluster.shutdown()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate(timeout=60)


def test_a_cluster_of_two_nodes_runs_trials_on_both(folder: Path, two_nodes: str) -> None:
    too_much = run(folder, *start_arguments("--address", two_nodes, "--gpus-per-trial", "3"))
    assert too_much.returncode == 2
    assert "2 GPU" in too_much.stderr
    done = run(
        folder, *start_arguments("--address", two_nodes, "--gpus-per-trial", "0.5", "--trials", "2", kimg="14.4")
    )
    assert done.returncode == 0, done.stderr
    ledger = assert_whole(folder, 2)
    assert "2 at once" in done.stderr  # eight would fit on the cards, two on the cores
    assert len({row.node for trial in ledger.values() for row in trial.evals}) == 2
