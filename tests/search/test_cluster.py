"""What fits on a cluster, by its nodes as Ray lists them."""

from pathlib import Path
from typing import Any

import pytest
import ray

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run.manifest import Options, Plan
from gansearch.run.paths import RunDir
from gansearch.run.space import Space
from gansearch.search.ray.cluster import Cluster


def slots(monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, float]], **options: Any) -> tuple[float, int]:
    listed = [{"Alive": True, "Resources": node} for node in nodes]
    monkeypatch.setattr(ray, "nodes", lambda: [*listed, {"Alive": False, "Resources": {"CPU": 999, "GPU": 999}}])
    space = Space(base=TrialConfig(), params={})
    cluster = Cluster.fit(Plan(RunDir(Path("x")), space, Options(trials=1, **options)))
    return cluster.gpus, cluster.slots


@pytest.mark.parametrize(
    ("nodes", "options", "gpus", "count"),
    [
        ([{"CPU": 2}], {}, 0, 2),
        ([{"CPU": 2}], {"cpus_per_trial": 0.5}, 0, 4),
        ([{"CPU": 2}], {"max_concurrent": 1}, 0, 1),
        ([{"CPU": 16, "GPU": 2}], {}, 1, 2),
        ([{"CPU": 16, "GPU": 2}], {"gpus_per_trial": 0.25}, 0.25, 8),
        ([{"CPU": 16, "GPU": 2}], {"gpus_per_trial": 0.4}, 0.4, 4),  # two on each card, a share is not split
        ([{"CPU": 3, "GPU": 2}], {"gpus_per_trial": 0.25}, 0.25, 3),
        ([{"CPU": 16, "GPU": 1}, {"CPU": 1, "GPU": 8}, {"CPU": 64}], {}, 1, 2),
        ([{"CPU": 16, "GPU": 1}, {"CPU": 4}], {"gpus_per_trial": 0}, 0, 20),
    ],
)
def test_what_fits(
    nodes: list[dict[str, float]], options: dict[str, Any], gpus: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert slots(monkeypatch, nodes, **options) == (gpus, count)


@pytest.mark.parametrize(
    ("nodes", "options", "hint"),
    [
        ([{"CPU": 2}], {"gpus_per_trial": 1}, "--gpus-per-trial 1: the largest node has 0 GPU"),
        ([{"CPU": 2}], {"cpus_per_trial": 4}, "--cpus-per-trial 4: the largest node has 2"),
        (
            [{"CPU": 8}, {"CPU": 1, "GPU": 1}],
            {"cpus_per_trial": 4, "gpus_per_trial": 1},
            "no node has 4 CPU cores and 1",
        ),
        ([{"CPU": 2}], {"gpu_hours": 3.0}, "--gpu-hours"),
    ],
)
def test_what_does_not_fit_is_refused(
    nodes: list[dict[str, float]], options: dict[str, Any], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=hint):
        slots(monkeypatch, nodes, **options)


def test_on_a_cluster_that_grows_the_share_of_a_gpu_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gansearch.search.ray.cluster._has_autoscaler", lambda: True)
    with pytest.raises(UserError, match=r"no node with a GPU is up, .* give --gpus-per-trial G, 0 for none"):
        slots(monkeypatch, [{"CPU": 4}], address="auto")
    assert slots(monkeypatch, [{"CPU": 4}], address="auto", gpus_per_trial=0.25) == (0.25, 1)
    assert slots(monkeypatch, [{"CPU": 4}], address="auto", gpus_per_trial=0) == (0, 4)
    assert slots(monkeypatch, [{"CPU": 4, "GPU": 1}], address="auto") == (1, 1)
