"""The wheel, installed elsewhere, is complete, and takes a stranger's own parts while nothing installed changes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent
pytestmark = pytest.mark.slow

MINE = '''
"""My own loss, model, data set and sampler, and a space that is searched with them."""

import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from torch import nn
from torch.utils.data import Dataset

import gansearch as gs
from gansearch.losses.base import Loss
from gansearch.models.base import Model, Trunk


class LSGAN(Loss):
    target: float = 1.0

    def discriminator(self, real, fake, rng):
        return (real - self.target).square().mean(), fake.square().mean()

    def generator(self, fake, real, rng):
        return (fake - self.target).square().mean()


class ThreeLayers(Model):
    width: int = 8

    def upsampler(self, inputs, shape):
        side = shape.resolution // 4
        return nn.Sequential(
            nn.Linear(inputs, self.width * side**2),
            nn.Unflatten(1, (self.width, side, side)),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(self.width, self.width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(self.width, shape.channels, 4, 2, 1),
            nn.Tanh(),
        )

    def trunk(self, shape, *, per_image):
        layers = [nn.Conv2d(shape.channels, self.width, 4, 2, 1), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(self.width, self.width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten()]
        return Trunk(nn.Sequential(*layers), self.width * (shape.resolution // 4) ** 2)


class Dots(Dataset):
    classes = ("few", "many")

    def __init__(self, count=96):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        return (torch.rand(3, 16, 16, generator=rng) < 0.2 + 0.5 * (index % 2)).float(), index % 2


class Mine(RandomSampler):
    pass


SPACE = gs.Space(
    base=gs.TrialConfig().override(
        {
            "data.name": Dots,
            "data.resolution": 16,
            "model.name": ThreeLayers,
            "model.z_dim": 16,
            "metrics.num_fake": 64,
            "train.batch": 16,
            "train.evaluations": 3,
            "train.max_kimg": 33.6,
            "train.precision": "float32",
        }
    ),
    params={
        "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
        "loss.name": CategoricalDistribution([LSGAN, "hinge"]),
        "loss.target": gs.When("loss.name", LSGAN, FloatDistribution(0.8, 1.0)),
    },
    baselines=[],
    trials=4,
)
'''

CLUSTER = (
    "import sys; from ray.cluster_utils import Cluster\n"
    "node = {'num_cpus': 1, 'object_store_memory': 80 * 1024**2}\n"
    "cluster = Cluster(initialize_head=True, head_node_args={**node, 'include_dashboard': False})\n"
    "cluster.add_node(**node)\n"
    "cluster.wait_for_nodes()\n"
    "print(cluster.address, flush=True)\n"
    "sys.stdin.read()\n"
    "cluster.shutdown()\n"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of another environment, in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist"]
    source = folder / "source"
    tracked = subprocess.run(["git", "-C", SOURCE, "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if (SOURCE / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((SOURCE / name).read_bytes())
    subprocess.run([*build, str(source)], cwd=folder, check=True)
    (wheel,) = (folder / "dist").glob("gansearch-*.whl")
    # Another environment, that borrows the dependencies installed here; editable installations do not come along.
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    (site,) = (folder / "env/lib").glob("python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, cwd=folder)
    return folder / "env/bin"


class Stranger:
    """Somebody in an empty folder, who has installed the package and nothing else."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        self.environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.environment["GANSEARCH_CACHE"] = str(folder.parent / "cache")

    def begins(self, program: str, *arguments: str, folder: Path | None = None) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [self.programs / program, *arguments],
            cwd=folder or self.folder,
            env=self.environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def does(self, program: str, *arguments: str, code: int = 0) -> str:
        """Runs a program to its end; returns stdout, or the one line of stderr where it is to exit with 2."""
        process = self.begins(program, *arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, (out, err)
        if code == 2:
            assert len(err.splitlines()) == 1, err
            return err
        return out


@pytest.fixture
def stranger(installed: Path, tmp_path: Path) -> Stranger:
    (tmp_path / "empty").mkdir()
    return Stranger(installed, tmp_path / "empty")


@pytest.fixture
def two_nodes(stranger: Stranger, tmp_path: Path) -> Iterator[str]:
    """The address of a cluster of two nodes with a core each, which runs elsewhere than the stranger."""
    cluster = stranger.begins("python", "-c", CLUSTER, folder=tmp_path)
    assert cluster.stdout is not None
    yield cluster.stdout.readline().strip()
    cluster.communicate("", timeout=60)


def of_all_files(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


def test_own_loss_model_data_and_sampler_on_two_nodes_killed_resumed_ranked_exported_loaded(
    stranger: Stranger, two_nodes: str
) -> None:
    before = of_all_files(stranger.programs.parent)
    mine, results = stranger.folder / "mine.py", stranger.folder / "runs/run/results.jsonl"
    mine.write_text(MINE)
    start = ("start", "mine.py", "--name", "run", "--address", two_nodes, "--sampler", "mine:Mine", "--logger", "csv")
    driver = stranger.begins("gansearch", *start)
    deadline = time.monotonic() + 200
    while not results.exists() or results.read_text().count('"event": "eval"') < 2:
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    driver.communicate()
    assert results.read_text().count('"status": "completed"') < 4, "the kill came too late to show anything"

    refused = stranger.does("gansearch", "resume", "run", "--address", two_nodes, code=2)
    assert "is code that a file names: read that code, then run it with --allow-code" in refused
    mine.write_text(MINE + "\n# changed")
    assert "mine.py has changed since the run started" in stranger.does(
        "gansearch", "resume", "run", "--allow-code", "--address", two_nodes, code=2
    )
    mine.write_text(MINE)
    resumed = stranger.does("gansearch", "resume", "run", "--allow-code", "--address", two_nodes)
    assert "0003" in resumed

    ranked = json.loads(stranger.does("gansearch", "rank", "run", "--json"))
    assert sorted(row["trial_id"] for row in ranked) == ["0000", "0001", "0002", "0003"]
    assert {row["status"] for row in ranked} <= {"completed", "stopped"}
    report = Path(stranger.does("gansearch", "report", "run").strip())
    assert "Report of a GAN search" in (stranger.folder / report).read_text()
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert len({(row["trial_id"], row.get("kimg"), row["event"]) for row in rows}) == len(rows), "a row is doubled"
    assert len((stranger.folder / "runs/run/evaluations.csv").read_text().splitlines()) > 4
    config = json.loads((stranger.folder / "runs/run/trials/0000/config.json").read_text())
    assert config["code"]["mine"]["file"] == "mine.py" and config["model"]["name"] == "mine:ThreeLayers"
    assert len({row["node"] for row in rows if row["event"] == "eval"}) == 2

    load = "import gansearch as gs; print(gs.load_generator('runs/run/best'{}).sample(4).shape)"
    stranger.does("gansearch", "export", "run", "--trial", "0", "--allow-code", "--out", "exported")
    assert "[4, 3, 16, 16]" in stranger.does("python", "-c", load.format(", allow_code=True"))
    _, err = stranger.begins("python", "-c", load.format("")).communicate(timeout=60)
    assert "model.name=mine:ThreeLayers is code that a file names" in err.splitlines()[-1]
    mine.unlink()
    assert "can't be imported" in stranger.does(
        "gansearch", "resume", "run", "--allow-code", "--address", two_nodes, code=2
    )
    assert of_all_files(stranger.programs.parent) == before, "nothing that is installed has changed"
