"""`deploy/slurm.sbatch` between stubs of Slurm's commands: what it asks of them, and what it does with a signal.

The last test is a search on two nodes of this machine, apart from each other by Linux namespaces (`nodes.sh`). Its
trials sleep.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gansearch
from gansearch.run.loaded import load
from gansearch.run.paths import RunDir
from gansearch.run.rows import Eval, Start, read

ROOT = Path(gansearch.__file__).parent.parent
SCRIPT = ROOT / "deploy" / "slurm.sbatch"
NODES = Path(__file__).with_name("nodes.sh")
STUBS = {
    # A step runs on this node and, where there is a second one, there (`nodes.sh`). SIGTERM to srun kills the step.
    "srun": """\
while [[ $1 == -* ]]; do shift; done
{ export -p; printf 'cd %q; exec' "$PWD"; printf ' %q' "$@"; } >"$FOLDER/step.part"
mv "$FOLDER/step.part" "$FOLDER/step"
"$@" & echo $! >>"$RAY_TMPDIR/tasks"
trap 'touch "$FOLDER/kill"; exit 137' TERM
wait $!""",
    "scontrol": 'echo "$@" >>"$FOLDER/scontrol"',
    "squeue": "echo $JOB_STATE",
}
# Instead of Ray's: the command behind `--` runs here.
RAY = 'echo "$@" >"$FOLDER/ray"; until [ "$1" = -- ]; do shift; done; shift; "$@"'
SPACE = """\
from optuna.distributions import FloatDistribution
from gansearch import Space, TrialConfig

base = TrialConfig().override({
    "data.resolution": 16, "model.features": 8, "model.z_dim": 16, "train.batch": 16, "train.precision": "float32",
    "train.evaluations": 20, "train.max_kimg": 32, "metrics.num_fake": 64,
})
SPACE = Space(base=base, params={"optim.g_lr": FloatDistribution(2e-4, 4e-3, log=True)})
"""


class Slurm:
    """A folder in which one job runs with stubs of Slurm's commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs = folder, list[subprocess.Popen[str]]()
        (folder / "bin").mkdir()
        for name, script in STUBS.items():
            self.install(name, script)
        self.environment = {
            **os.environ,
            "FOLDER": str(folder),
            "JOB_STATE": "RUNNING",
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_JOB_ID": str(os.getpid()),
        }

    def install(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def submit(self, *command: str) -> "subprocess.Popen[str]":
        for left in ("step", "stop", "kill", "code", "scontrol"):
            (self.folder / left).unlink(missing_ok=True)
        with (self.folder / "job.log").open("a") as log:
            job = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        self.jobs.append(job)
        return job

    @property
    def log(self) -> str:
        return (self.folder / "job.log").read_text()

    def text(self, name: str) -> str:
        """What a stub has written; empty where it was not called."""
        path = self.folder / name
        return path.read_text().strip() if path.exists() else ""


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    slurm = Slurm(tmp_path)
    yield slurm
    for job in slurm.jobs:
        job.kill()
    shutil.rmtree(f"/tmp/gansearch-{slurm.environment['SLURM_JOB_ID']}", ignore_errors=True)


def wait_until(condition: Callable[[], object], job: "subprocess.Popen[str]") -> None:
    while not condition():
        assert job.poll() is None, "the job has ended"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("code", "state", "requeued"),
    [
        (0, "RUNNING", False),
        (2, "RUNNING", False),  # wrong input stays wrong
        (4, "RUNNING", False),  # too many failures: somebody has to look
        (143, "RUNNING", True),
        (143, "COMPLETING", False),  # cancelled
    ],
)
def test_only_what_was_interrupted_is_requeued(code: int, state: str, requeued: bool, slurm: Slurm) -> None:
    slurm.install("ray", RAY)
    slurm.install("gansearch", f'echo "$@" >"$FOLDER/gansearch"; exit {code}')
    slurm.environment["JOB_STATE"] = state
    assert slurm.submit("bash", str(SCRIPT), "digits", "--name", "a b").wait() == code, slurm.log
    job = slurm.environment["SLURM_JOB_ID"]
    assert slurm.text("scontrol") == (f"requeue {job}" if requeued else "")
    address = slurm.text("gansearch").split()[-1]
    assert slurm.text("gansearch") == f"start digits --name a b --or-resume --address {address}"
    assert slurm.text("ray").startswith(f"symmetric-run --address {address} --num-cpus=1 -- ")


@pytest.mark.parametrize("all_tasks", [False, True], ids=["the batch shell", "the batch shell and the tasks"])
def test_a_signal_reaches_the_search_which_ends_in_its_time(all_tasks: bool, slurm: Slurm) -> None:
    slurm.install("ray", RAY)
    saving = "trap 'sleep 2; echo saved; exit 143' TERM; touch \"$FOLDER/searching\"; while :; do sleep 0.1; done"
    slurm.install("gansearch", saving)
    job = slurm.submit("bash", str(SCRIPT), "digits", "--name", "n")
    wait_until((slurm.folder / "searching").exists, job)
    job.send_signal(signal.SIGTERM)
    if all_tasks:
        tasks = Path(f"/tmp/gansearch-{slurm.environment['SLURM_JOB_ID']}/tasks")
        os.kill(int(tasks.read_text()), signal.SIGTERM)
    assert job.wait() == 143
    assert "saved" in slurm.log


def test_a_folder_for_ray_that_somebody_else_has_made_is_refused(slurm: Slurm) -> None:
    slurm.install("ray", RAY)
    slurm.install("gansearch", "exit 0")
    (slurm.folder / "elsewhere").mkdir()
    folder = Path(f"/tmp/gansearch-{slurm.environment['SLURM_JOB_ID']}")
    folder.symlink_to(slurm.folder / "elsewhere")
    try:
        assert slurm.submit("bash", str(SCRIPT), "digits", "--name", "n").wait() == 1
    finally:
        folder.unlink()
    assert f"{folder} was made by somebody else" in slurm.log and not slurm.text("ray")
    assert slurm.submit("bash", str(SCRIPT), "digits", "--name", "n").wait() == 0
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_signal_before_the_search_has_begun_ends_the_job(slurm: Slurm) -> None:
    slurm.install("ray", 'touch "$FOLDER/starting"; sleep 60')
    job = slurm.submit("bash", str(SCRIPT), "digits", "--name", "n")
    wait_until((slurm.folder / "starting").exists, job)
    job.send_signal(signal.SIGTERM)
    assert job.wait() == 1
    assert not slurm.text("scontrol")


def _has_namespaces() -> bool:
    command = ["unshare", "--map-root-user", "--net", "--pid", "--mount", "--fork", "--mount-proc", "ip", "link"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not _has_namespaces(), reason="needs `unshare` with user namespaces, and `ip`")
def test_a_search_on_two_nodes_is_interrupted_and_the_same_line_completes_it(slurm: Slurm) -> None:
    (slurm.folder / "space.py").write_text(SPACE)
    slurm.install("gansearch", f'exec {sys.executable} -m tests.sleeping "$@"')
    run = RunDir(slurm.folder / "runs" / "n")
    line = (str(SCRIPT), "space.py", "--name", "n", "--trials", "2", "--scheduler", "none", "--cpus-per-trial", "1")

    def evaluations() -> list[Eval]:
        return [row for row in read(run.results) if isinstance(row, Eval)] if run.results.exists() else []

    job = slurm.submit("bash", str(NODES), str(slurm.folder), *line)
    wait_until(evaluations, job)
    (slurm.folder / "stop").touch()
    job.wait()
    assert slurm.text("code") == "143", slurm.log
    assert slurm.text("scontrol") == f"requeue {slurm.environment['SLURM_JOB_ID']}"
    before = evaluations()

    slurm.submit("bash", str(NODES), str(slurm.folder), *line).wait()
    assert slurm.text("code") == "0", slurm.log
    after = evaluations()
    assert after[: len(before)] == before
    assert len({(row.trial_id, row.kimg) for row in after}) == len(after) == 40, "none lost, none doubled"
    assert [trial.status for trial in load(run).ledger.values()] == ["completed", "completed"]
    assert {row.trial_id for row in read(run.results) if isinstance(row, Start)} == {"0000", "0001"}
    assert slurm.log.count("On head node.") == slurm.log.count("On worker node.") == 2
    assert "2 at once" in slurm.log, "one trial on each node"
