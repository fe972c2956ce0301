"""GPUs are looked at before the first trial, on real nodes of Ray whose cards are pretended."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster as RayCluster

from gansearch.config import DataConfig, TrainConfig, TrialConfig
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics.floor import floor_of
from gansearch.metrics.reference import protocol_of, reference_of
from gansearch.search.ray import inspection, measuring
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.inspection import Look, NodeReport, inspected
from gansearch.training.card import Card
from gansearch.training.card import look as really
from tests.pretended import CPU, GIB
from tests.pretended import look as pretended

TRAIN = TrainConfig()
ROOT = Path(__file__).parents[2]


def card(free: int = 79 * GIB, **changes: Any) -> Card:
    known = {"name": "Pretended 80GB", "driver": "driver 580.95.05", "memory": 80 * GIB, "bf16": True}
    return Card(**known | {"free": free} | changes)


@pytest.mark.parametrize(
    ("cards", "faults", "expected"),
    [
        (
            {"0": [card(), card(70 * GIB)], "1": [card()]},
            {},
            "2 x Pretended 80GB, driver 580.95.05, bf16; 70.0 of 80.0 GiB free; 4 trials at once",
        ),
        (
            {"0": [card(bf16=False, fault="no Triton")]},
            {},
            "Pretended 80GB, driver 580.95.05, no bf16, does not compile (no Triton); 79.0 of 80.0 GiB free; "
            "3 shares of GPUs are taken by others, and not looked at; 4 trials at once",
        ),
        ({"0": [card()]}, {"1": "too old", "2": "too old", "3": "hot"}, "GPU 1, 2: too old; GPU 3: hot"),
    ],
)
def test_a_node_is_one_line(cards: dict[str, list[Card]], faults: dict[str, str], expected: str) -> None:
    unseen = 4 - sum(map(len, cards.values())) if len(cards) == 1 and not faults else 0
    assert str(NodeReport("a1", "10.0.0.1", 4, cards, faults, unseen)) == f"node 10.0.0.1: {expected}"


@pytest.fixture(scope="module")
def nodes() -> Iterator[str]:
    """A head without a GPU, and two nodes with a pretended one each."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        cluster = RayCluster()
        for gpus in (0, 1, 1):
            cluster.add_node(num_cpus=1, num_gpus=gpus, object_store_memory=100 * 2**20)
        yield cluster.address
        cluster.shutdown()


@pytest.fixture
def joined(nodes: str) -> Iterator[Cluster]:
    """What a search with a whole GPU for each trial has there."""
    ray.init(nodes, log_to_driver=False)
    yield Cluster(1, 1.0, 2, tuple(ray.nodes()))
    ray.shutdown()


def second() -> str:
    """The id of one of the two nodes with a GPU."""
    return max(node["NodeID"] for node in ray.nodes() if "GPU" in node["Resources"])


def look_at_second(train: TrainConfig) -> Card:
    """The cards of one node do not compute."""
    if ray.get_runtime_context().get_node_id() == second():
        raise UserError("the driver is too old")
    return card(bf16=False)


def ends(train: TrainConfig) -> Card:
    os._exit(1)


@pytest.mark.slow
def test_a_node_that_cannot_train_is_left_out(joined: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    found = inspected(joined, TRAIN, look_at_second, told.append)
    bad = second()
    assert (found.broken, found.slots, [node["NodeID"] == bad for node in found.holding]) == ({bad}, 1, [False])
    assert found.precision == "float32", "the other one has no units for bf16"
    assert len(told) == 1 and "1 trial at once" in told[0]
    assert "GPU 0: the driver is too old: it gets no trials" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("look", "fault"),
    [
        (ends, r"GPU \?: its process ends .*, and 1 more"),
        # No card is pretended: Ray counts GPUs, and torch has none.
        (really, r"GPU 0: torch \S+ finds no GPU here .* docs/howto/gpu\.md has it, and 1 more"),
    ],
)
def test_where_no_node_is_left_one_line_says_why(joined: Cluster, look: Look, fault: str) -> None:
    with pytest.raises(UserError, match=rf"^trials can't train on node \S+: {fault}$"):
        inspected(joined, TRAIN, look)


def hangs(train: TrainConfig) -> Card:
    time.sleep(600)
    return card()


@pytest.mark.slow
def test_a_share_of_another_job_is_not_waited_for_and_a_card_that_hangs_is_a_fault(
    joined: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @ray.remote(num_gpus=1, num_cpus=0, label_selector={"ray.io/node-id": f"!in({second()})"})
    class Other:
        def ready(self) -> None:
            pass

    other = Other.remote()
    ray.get(other.ready.remote())
    monkeypatch.setattr(inspection, "_PATIENCE", 60)  # in which a process starts on a busy machine too
    told: list[str] = []
    found = inspected(joined, TRAIN, hangs, told.append)
    ray.kill(other)
    assert (found.broken, found.precision) == ({second()}, None)
    assert len(told) == 1 and "1 share of a GPU is taken by others" in told[0]
    assert "GPU ?: a process that looks at it gives no answer for 60 s: it gets no trials" in caplog.text


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([[True, True], [True]], "bf16"),
        ([[True, True], [True, False]], "float32"),
        ([[True], []], None),
        ([], None),
    ],
)
def test_the_precision_is_what_all_cards_have_units_for_where_every_node_has_shown_one(
    nodes: list[list[bool]], expected: str | None
) -> None:
    reports = [
        NodeReport("a", "10.0.0.1", 1, {str(number): [card(bf16=unit)] for number, unit in enumerate(units)})
        for units in nodes
    ]
    assert inspection._precision(reports) == expected


@pytest.mark.slow
def test_a_task_with_a_trial_s_share_measures_what_the_driver_would(
    joined: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gansearch")
    config = TrialConfig().override({"metrics.num_real": 700, "metrics.num_fake": 128})
    images = load_images(DataConfig(), "train")
    protocol = protocol_of(config.metrics, images)
    expected = reference_of(config.metrics, images, CPU)
    floor = floor_of(config, expected, CPU)
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))
    there = measuring._There  # computes by the CPU of the task that has the GPU
    monkeypatch.setattr(measuring, "_There", lambda *told: there(*told[:-1], 0.0))
    measure = measuring.Measuring(config, protocol, joined, set())
    reference = measure.reference()
    assert "first 700 real images by digits-classifier are measured, on a GPU: about 0." in caplog.text
    assert (reference.key, reference.protocol) == (expected.key, protocol)
    for found, known in zip(reference.moments, expected.moments, strict=True):
        assert found.count == known.count == 700
        assert (found.mean - known.mean).abs().max() < 1e-6
    measured = measure.floor(reference)
    assert measured is not None and floor is not None and measured.fid == pytest.approx(floor.fid, rel=1e-4)
    assert len(list((tmp_path / "cache/reference").glob("[!.]*"))) == 2, "the driver keeps them"
    caplog.clear()
    ray.shutdown()  # nobody is asked again
    assert measure.reference().key == expected.key and measure.floor(reference) == measured
    assert caplog.text == ""


@pytest.mark.slow
def test_a_search_on_a_node_whose_second_card_refuses_ends_with_one_line(tmp_path: Path) -> None:
    cluster = RayCluster()
    cluster.add_node(num_cpus=2, num_gpus=2, object_store_memory=100 * 2**20)
    try:
        words = ["start", "digits", "--trials", "4", "--address", cluster.address, "--gpus-per-trial", "1"]
        done = gansearch("tests.pretended", "1", *words, folder=tmp_path)
    finally:
        cluster.shutdown()
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "trials can't train on node" in line and line.endswith(f": GPU 1: {pretended_fault()}")
    assert not (tmp_path / "runs").exists(), "nothing is left"


def pretended_fault() -> str:
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(UserError) as fault:
        monkeypatch.setattr(ray, "get_gpu_ids", lambda: [1])
        pretended("1", TRAIN)
    return str(fault.value)


def gansearch(module: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", module, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
