"""Searches for real: Ray, kill -9 and resume, signals, clusters. The first one trains; in the others trials sleep.

What is killed or signalled is a process of its own, as a user's, and so is the first search. The other commands run in
the process of the tests, which has imported torch and Ray already.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, suppress
from pathlib import Path

import pytest

import gansearch.search.search  # noqa: F401 - commands import it when they run, which takes seconds the first time
from gansearch.cli.analyze import main as analyze_main
from gansearch.cli.search import main as search_main
from gansearch.device import best_device, best_precision
from gansearch.run import RunDir, load
from gansearch.run.ledger import Ledger
from gansearch.run.rows import End, Eval, Start, read
from tests.sleeping import ENVIRONMENT, sleeping_trials

pytestmark = pytest.mark.slow

SMALL = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", "train.batch=16"]
SPACE = """
from optuna.distributions import CategoricalDistribution, FloatDistribution
from gansearch.config import TrialConfig
from gansearch.run.space import Space, When

SPACE = Space(
    base=TrialConfig().override({"train.precision": "float32"}),  # no node need be asked for the best one
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


RESULTS = Path("runs/run/results.jsonl")
TRIALS, EVALUATIONS = 5, 9  # of a search that is left alone
ONE_BY_ONE = ["--trials", str(TRIALS), "--max-concurrent", "1"]  # so that the order of events is always the same

Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which holds nothing but a space."""
    (tmp_path / "mine.py").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `gansearch` in this process; its trials sleep."""
    with sleeping_trials():
        yield lambda *arguments: _called(search_main, capfd, arguments)


@pytest.fixture
def analyze(capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `gansearch-analyze` in this process; its trials sleep."""
    with sleeping_trials():
        yield lambda *arguments: _called(analyze_main, capfd, arguments)


def _called(main: Callable[[list[str]], int], capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> Done:
    capfd.readouterr()
    code = main(list(arguments))
    return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; from gansearch.cli.{module} import main; sys.exit(main())", *arguments]


class Drivers:
    """Starts commands whose trials sleep as processes of their own, one at a time.

    They are forked from a process that has imported what a command needs, and has done nothing else: imports take
    longer than the rest of most searches here. They end as any Python ends. What they write goes to `out.txt` and
    `err.txt` in the current folder.
    """

    _CODE = """
import importlib, json, os, sys
import gansearch.cli.analyze, gansearch.cli.search
from tests.sleeping import sleeping_trials

for line in sys.stdin:
    module, arguments, folder = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.chdir(folder)
        for number, file in enumerate((os.devnull, "out.txt", "err.txt")):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        with sleeping_trials():
            sys.exit(importlib.import_module(f"gansearch.cli.{module}").main(arguments))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", self._CODE],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pid: int | None = None  # of the command that runs

    def close(self) -> None:
        self._stop()
        self._server.communicate(timeout=60)

    def start(self, module: str, *arguments: str, evals: int) -> None:
        """Starts `gansearch.cli.MODULE` in the current folder; returns once the run has so many evaluations."""
        self._stop()
        assert self._server.stdin is not None
        print(json.dumps([module, arguments, str(Path.cwd())]), file=self._server.stdin, flush=True)
        self._pid = self._answer()
        deadline = time.monotonic() + 200
        while count_evals() < evals:
            assert time.monotonic() < deadline, f"no {evals} evaluations within 200 s"
            try:
                os.kill(self._pid, 0)
            except ProcessLookupError:
                self._pid, code = None, self._answer()
                pytest.fail(f"it ended with {code} before {evals} evaluations: {Path('err.txt').read_text()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """Kills the driver, and nothing else, with SIGKILL."""
        assert self._ended_by(signal.SIGKILL) == -signal.SIGKILL

    def interrupt(self, number: signal.Signals) -> tuple[str, list[str]]:
        """Sends the signal that asks the driver to end to its process group; returns its stdout and lines of stderr.

        Of the processes that work for it none is left.
        """
        code = self._ended_by(number, os.killpg)
        assert_none_left()
        out, err = Path("out.txt").read_text(), Path("err.txt").read_text()
        assert code == 128 + number, err
        assert "Traceback" not in err
        return out, err.splitlines()

    def _stop(self) -> None:
        """Kills what a test that failed has left running."""
        if self._pid is not None:
            self._ended_by(signal.SIGKILL)

    def interrupt_job(self, number: signal.Signals) -> list[str]:
        """Sends a signal to all processes at work here, as Slurm does; returns the lines of the driver's stderr."""

        def kill_all(pid: int, number: int) -> None:
            for pid in working_here():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

        code = self._ended_by(number, kill_all)
        err = Path("err.txt").read_text()
        assert code == 128 + number, err
        assert_none_left()
        return err.splitlines()

    def _ended_by(self, number: signal.Signals, send: Callable[[int, int], None] = os.kill) -> int:
        """Sends a signal and returns the exit code, that of SIGKILL where the driver has not ended within 60 s."""
        assert self._pid is not None
        send(self._pid, number)
        killer = threading.Timer(60, os.kill, (self._pid, signal.SIGKILL))
        killer.start()
        self._pid, code = None, self._answer()
        killer.cancel()
        return code

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def working_here() -> list[int]:
    """Returns the driver in the current folder, and all processes of its Ray, which have that folder too."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                found += [int(entry.name)] if (entry / "cwd").readlink() == Path.cwd() else []
    return found


def assert_none_left() -> None:
    deadline = time.monotonic() + 30
    while working_here():
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def drivers() -> Iterator[Drivers]:
    drivers = Drivers()
    yield drivers
    drivers.close()


def count_evals() -> int:
    return RESULTS.read_text().count('"event": "eval"') if RESULTS.exists() else 0


def start_arguments(*more: str, kimg: str = "0.72") -> list[str]:
    return ["start", "mine.py", "--name", "run", "--max-kimg", kimg, *SMALL, *more]


def ledger_of(folder: Path) -> Ledger:
    rows = read(folder / "runs/run/results.jsonl")
    evals = [(row.trial_id, row.kimg) for row in rows if isinstance(row, Eval)]
    starts = [row.trial_id for row in rows if isinstance(row, Start)]
    assert len(evals) == len(set(evals)) and len(starts) == len(set(starts)), "a row was written twice"
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
        *_, checkpoint = sorted((folder / "runs/run/trials" / trial.trial_id).glob("checkpoint_*"))
        assert checkpoint.name == f"checkpoint_{trial.evals[-1].images:09d}"
    return ledger


def test_a_search_from_nothing_to_an_exported_generator(folder: Path) -> None:
    """It trains, one trial at a time, beside the remains of a Ray that crashed.

    These remains are a cluster file and an environment that name nobody.
    """
    stale = Path(os.environ["RAY_TMPDIR"], "ray/ray_current_cluster")
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_text("127.0.0.1:1")
    done = subprocess.run(
        command("search", *start_arguments(*ONE_BY_ONE, "--set", "train.precision=auto")),
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=400,
        stdin=subprocess.DEVNULL,
    )
    assert stale.read_text() == "127.0.0.1:1", "a cluster of somebody's stays noted"
    stale.unlink()
    assert done.returncode == 0, done.stderr
    ledger = assert_whole(folder, TRIALS)
    assert next(iter(ledger.values())).start.origin == "baseline:dcgan"
    assert {trial.start.origin for trial in ledger.values()} == {"baseline:dcgan", "sampled"}
    assert any(trial.status == "stopped" for trial in ledger.values())
    best = ledger.best
    assert best is not None
    assert best.best is not None
    assert sum(trial.has_noise for trial in ledger.values()) == 3, "that of the three best is measured at the end"
    assert done.stdout.startswith("rank  trial"), "nothing but results on stdout"
    assert best.trial_id in done.stdout.splitlines()[1]
    exported = json.loads((folder / "runs/run/best/config.json").read_text())
    precision = json.loads((folder / "runs/run/search.json").read_text())["space"]["base"]["train"]["precision"]
    assert precision == exported["trial"]["train"]["precision"] == best_precision(best_device()), "auto is decided"
    assert (exported["trial_id"], exported["fid"]) == (best.trial_id, best.best.fid)
    assert (folder / "runs/run/best/samples.png").stat().st_size > 1000
    assert (folder / "runs/run/best/real.png").read_bytes() == (folder / "runs/run/real.png").read_bytes()
    assert (folder / "runs/run/plots/fid_vs_kimg.png").exists()
    assert "left" in done.stderr
    assert "lowest so far" in done.stderr
    noise = [line for line in done.stderr.splitlines() if "Warning" in line or "ERROR" in line]
    assert not noise


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a search has run, one trial at a time, that nobody has disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "mine.py").write_text(SPACE)
    with sleeping_trials(), chdir(folder):
        assert search_main(start_arguments(*ONE_BY_ONE)) == 0
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def whole(finished: Path, folder: Path) -> Ledger:
    """The trials of the finished search, a copy of which lies in the current folder."""
    shutil.copytree(finished / "runs", folder / "runs")
    return assert_whole(folder, TRIALS)


def test_interrupted_and_killed_a_search_goes_on_as_if_it_had_not_been(
    whole: Ledger, folder: Path, drivers: Drivers, run: Command
) -> None:
    """Ctrl-C, then kill -9, each while a trial runs: no row is lost or doubled, all FIDs are equal."""
    (folder / "runs").rename(folder / "whole")
    full = [trial for trial in whole.values() if len(trial.evals) == EVALUATIONS]
    first, last = full[0], full[-1]
    assert first is not last
    before_last = sum(len(trial.evals) for trial in whole.values() if trial.number < last.number)
    kept = b""

    def goes_on() -> list[str]:
        """Asserts that rows were only added, and that a trial was running; returns the ids of such trials."""
        nonlocal kept
        content = RESULTS.read_bytes()
        assert content.startswith(kept), "rows of the driver before are gone"
        kept = content[: content.rfind(b"\n") + 1]
        return [trial.trial_id for trial in ledger_of(folder).values() if trial.status == "running"]

    drivers.start("search", *start_arguments(*ONE_BY_ONE), evals=2)
    second = run("resume", "run")
    assert second.returncode == 2
    assert "another process" in second.stderr
    out, err = drivers.interrupt(signal.SIGINT)
    assert out == ""
    assert "resume runs/run" in err[-1]
    assert goes_on() == [first.trial_id]
    drivers.start("search", "resume", "run", evals=before_last + 3)
    drivers.kill()
    assert goes_on() == [last.trial_id], "the kill came too late to show anything"
    done = run("resume", "run")
    assert done.returncode == 0, done.stderr
    assert not goes_on()
    resumed = assert_whole(folder, TRIALS)
    assert [trial.start.params for trial in resumed.values()] == [trial.start.params for trial in whole.values()]
    assert [[row.fid for row in trial.evals] for trial in resumed.values()] == [
        [row.fid for row in trial.evals] for trial in whole.values()
    ]
    assert [trial.status for trial in resumed.values()] == [trial.status for trial in whole.values()]


def test_one_command_line_starts_a_run_and_continues_it(folder: Path, drivers: Drivers, run: Command) -> None:
    """The first driver is killed before it has written `search.json`, the second one while a trial trains."""
    line = start_arguments("--trials", "1", "--or-resume")
    drivers.start("search", *line, evals=0)
    while not RESULTS.exists():
        time.sleep(0.001)
    drivers.kill()
    assert not (folder / "runs/run/search.json").exists(), "the kill came too late to show anything"
    drivers.start("search", *line, evals=1)
    drivers.kill()
    kept = RESULTS.read_bytes()
    done = run(*line)
    assert done.returncode == 0, done.stderr
    assert RESULTS.read_bytes().startswith(kept)
    assert_whole(folder, 1)
    again = run(*line)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "runs/run is complete\n")
    other = run(*line, "--seed", "1")
    assert other.returncode == 2
    assert "(seed 0 / 1)" in other.stderr and len(other.stderr.splitlines()) == 1


def test_an_extended_search_survives_the_end_of_its_job_and_trains_the_best_further(
    whole: Ledger, folder: Path, drivers: Drivers, run: Command
) -> None:
    """Two trials run at once, the continuation of the best and a new one."""
    kept = RESULTS.read_bytes()
    completed = sorted(
        (trial for trial in whole.values() if trial.status == "completed"), key=lambda trial: trial.evals[-1].fid
    )
    best = completed[: max(1, round(len(completed) / 3))]
    extend = ["extend", "run", "--trials", "+1", "--max-kimg", "1.45", "--max-concurrent", "2"]
    drivers.start("search", *extend, evals=count_evals() + 3)
    assert "resume runs/run" in drivers.interrupt_job(signal.SIGTERM)[-1]
    running = [trial for trial in ledger_of(folder).values() if trial.status == "running"]
    assert running, "the kill came too late to show anything"
    done = run("resume", "run")
    assert done.returncode == 0, done.stderr
    assert RESULTS.read_bytes().startswith(kept)
    ledger = ledger_of(folder)
    assert all(trial.end for trial in ledger.values())
    for trial in running:
        # Continued, not begun again: no row has a train time as if the whole way had been gone once more.
        assert ledger[trial.trial_id].evals[: len(trial.evals)] == trial.evals
    longer = [trial for trial in ledger.values() if trial.start.relation == "continuation"]
    assert [trial.start.parent for trial in longer] == [trial.trial_id for trial in best]
    assert sum(trial.start.parent is None for trial in ledger.values()) == TRIALS + 1
    interval = 0.08
    for trial in longer:
        steps = [round(row.kimg / interval) for row in trial.evals]
        assert steps == list(range(10, 10 + len(steps)))
        assert trial.kimg == 1.44 or trial.status == "stopped"
    assert max(trial.kimg for trial in ledger.values()) == 1.44
    again = run("resume", "run")
    assert again.returncode == 0, again.stderr
    assert len(ledger_of(folder)) == len(ledger), "nothing was left to do"


def test_finals_go_on_after_a_break_and_give_each_seed_once(
    whole: Ledger, folder: Path, drivers: Drivers, analyze: Command
) -> None:
    finals = ["finals", "run", "--top", "2", "--seeds", "2"]
    drivers.start("analyze", *finals, "--max-concurrent", "2", evals=count_evals() + 3)
    out, err = drivers.interrupt(signal.SIGTERM)
    assert out.startswith("place  trial")
    assert err[-1].endswith("gansearch finals run --top 2 --seeds 2 --max-concurrent 2")
    done = analyze(*finals, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    ledger = ledger_of(folder)
    held = [trial for trial in ledger.values() if trial.is_final]
    assert sorted((trial.start.parent, trial.start.seed) for trial in held) == sorted(
        (one["trial_id"], seed) for one in found for seed in (1, 2)
    )
    assert {trial.status for trial in held} == {"completed"}, "ASHA stops no final"
    assert {trial.kimg for trial in held} == {0.72}
    fids = {trial.trial_id: trial.best.fid for trial in held if trial.best}
    assert all([fids[id] for id in one["trials"]] == one["fids"] and len(one["fids"]) == 2 for one in found)
    assert len(set(fids.values())) == 2 * len(found), "seeds differ"
    assert any(whole[one["trial_id"]].is_baseline for one in found), "the best baseline is always one of them"
    decided = load(RunDir(folder / "runs/run"))
    assert decided.winner is not None and decided.winner.trial_id == found[0]["trial_id"]
    assert analyze("rank", "run").stdout.startswith("place  trial")
    again = analyze(*finals, "--json")
    assert json.loads(again.stdout) == found
    assert again.stderr == "", "no Ray was started, nothing trained"


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[str]:
    """A cluster of two nodes with a core and two declared GPUs each, on this machine."""
    code = (
        "import sys\nfrom ray.cluster_utils import Cluster\ncluster = Cluster()\n"
        "for _ in range(2): cluster.add_node(num_cpus=1, num_gpus=2, object_store_memory=100 * 2**20)\n"
        "print(cluster.address, flush=True)\nsys.stdin.read()\ncluster.shutdown()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate(timeout=60)


def joined(address: str) -> list[str]:
    """Returns arguments for a search on a cluster, on CPUs."""
    return ["--address", address, "--gpus-per-trial", "0"]


def test_a_cluster_of_two_nodes_runs_trials_on_both(folder: Path, two_nodes: str, run: Command) -> None:
    too_much = run(*start_arguments("--address", two_nodes, "--cpus-per-trial", "3", "--storage", "store"))
    assert too_much.returncode == 2
    assert len(too_much.stderr.splitlines()) == 1
    assert "--cpus-per-trial 3: the largest node has 1 CPU cores" in too_much.stderr
    assert [path.name for path in folder.iterdir()] == ["mine.py"], "nothing is left behind"
    dry = run(*start_arguments(*joined(two_nodes), "--dry-run"))
    assert json.loads(dry.stdout)["resources"] == {
        "nodes": 2,
        "cpus_per_trial": 1,
        "gpus_per_trial": 0.0,
        "trials_at_once": 2,
    }
    assert [path.name for path in folder.iterdir()] == ["mine.py"], "nothing is left behind"
    # Long enough that the first trial is not done, and its actor free, when the actor of the second one has started.
    long = ["--trials", "2", "--set", "train.evaluations=36", "--set", "train.precision=auto"]
    done = run(*start_arguments(*joined(two_nodes), *long, kimg="2.88"))
    assert done.returncode == 0, done.stderr
    ledger = assert_whole(folder, 2)
    assert "2 at once" in done.stderr
    assert len({row.node for trial in ledger.values() for row in trial.evals}) == 2


def test_a_time_budget_ends_the_search(folder: Path, two_nodes: str, run: Command) -> None:
    often = ["--max-concurrent", "1", "--set", "train.evaluations=90"]  # an actor ends after an evaluation
    done = run(*start_arguments(*joined(two_nodes), "--time-budget", "5s", *often, kimg="28.8"))
    ledger = ledger_of(folder)
    assert ledger and all(trial.is_unfinished for trial in ledger.values())
    assert "the time budget is" in done.stderr
    assert done.returncode in {0, 3}


def test_where_all_trials_fail_the_search_ends_and_they_are_unfinished(folder: Path, run: Command) -> None:
    """The checkpoints' folder is a file. When that is repaired, the search goes on."""
    store, begun = folder / "store/run", folder / "runs/run/search.json"

    def obstruct() -> None:
        while not begun.exists():  # it exists long before the first checkpoint
            time.sleep(0.01)
        store.rename(folder / "store/elsewhere")
        store.write_text("in the way")

    threading.Thread(target=obstruct, daemon=True).start()
    failed = run(*start_arguments("--trials", "1", "--storage", "store"))
    assert failed.returncode == 4, failed.stderr
    assert "trials are unfinished: fix that, then run `" in failed.stderr.splitlines()[-1]
    assert "Not a directory" in (folder / "runs/run/trials/0000/error.txt").read_text()
    assert not [row for row in read(RESULTS) if isinstance(row, End)]
    store.unlink()
    done = run("resume", "run")
    assert done.returncode == 0, done.stderr
    assert [trial.status for trial in ledger_of(folder).values()] == ["completed"]
