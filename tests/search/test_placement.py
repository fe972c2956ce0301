"""Where trials may run, asked of a real Ray."""

import time
from collections.abc import Iterator

import pytest
import ray
from ray.autoscaler.v2.sdk import get_cluster_status

from gansearch.run.ledger import Ledger
from gansearch.search.health import Health
from gansearch.search.queue import TrialQueue
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.placement import Placement
from gansearch.search.ray.session import ray_session

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with ray_session(None):
        yield


def pending() -> int:
    """How many placement groups an autoscaler would see."""
    demands = get_cluster_status(ray.get_runtime_context().gcs_address).resource_demands.placement_group_demand
    return sum(demand.bundles_by_count[0].count for demand in demands)


@pytest.mark.parametrize(
    ("limit", "running", "work", "seen"),
    [(None, 0, 1, 0), (None, 2, 1, 1), (None, 2, None, 2), (3, 2, 9, 1), (2, 2, 9, 0)],
)
def test_an_autoscaler_sees_the_trials_for_which_there_is_no_slot(
    limit: int | None, running: int, work: int | None, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of two nodes with a slot each, which are not of this Ray, so that what is pending stays so."""
    monkeypatch.setattr(Cluster, "slots_by_node", lambda self: {"a": 1, "b": 1})
    health, cluster = Health(Ledger(), TrialQueue()), Cluster(1000, 0, 2, (), limit, is_elastic=True)
    placement = Placement(cluster, health, lambda: work)
    assert placement.slots(running) == 2
    deadline = time.monotonic() + 20
    while pending() != seen and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pending() == seen
    placement.close()
    while pending() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pending() == 0
