"""Questions to the nodes of a real cluster, of which one is lost, or does not answer as it should."""

from collections.abc import Iterator

import pytest
import ray

from benchmarks.chaos.nodes import Nodes
from gansearch.errors import UserError
from gansearch.search.ray import asking
from gansearch.search.ray.asking import ask_nodes, is_alive

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_TMPDIR", "")  # what `Nodes` sets is undone
        nodes = Nodes(2)
        ray.init(nodes.address, log_to_driver=False)
        yield nodes
        ray.shutdown()
        nodes.close()


@pytest.mark.usefixtures("nodes")
def test_a_question_that_fails_is_one_line() -> None:
    def fails() -> None:
        raise OSError("stale file handle")

    with pytest.raises(UserError, match=r"^node \S+ does not work \(.*stale file handle.*\): fix it, or stop it$"):
        ask_nodes(ray.nodes(), fails)


@pytest.mark.usefixtures("nodes")
def test_what_no_node_can_answer_is_said_to_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*message: object) -> None:
        assert message[1:] == (2, "a node that is to be started")
        raise KeyboardInterrupt

    monkeypatch.setattr(asking, "_MINUTE", 0.5)
    monkeypatch.setattr(asking.logger, "info", end)
    with pytest.raises(KeyboardInterrupt):
        ask_nodes([None], lambda: 1, gpus=2)


def test_a_node_that_is_lost_is_left_out(nodes: Nodes) -> None:
    known, lost = ray.nodes(), nodes.alive[0]
    assert [answer for _, answer in ask_nodes(known, lambda: 7)] == [7, 7, 7]
    nodes.lose(lost)
    assert any(node["NodeID"] == lost.node_id and node["Alive"] for node in ray.nodes()), "Ray knows it later"
    assert not is_alive(lost.node_id)
    assert [answer for _, answer in ask_nodes(known, lambda: 7)] == [7, 7]
