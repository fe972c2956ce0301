"""Every file of `search_spaces/` holds the contract of a space; a new one is picked up by itself."""

import re

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from gansearch.config import TrialConfig
from gansearch.contracts.base import Property, properties, verdicts
from gansearch.run.space import Space, When
from gansearch.search.find_space import find_space, space_files
from tests.contracts.holding import hold


@pytest.mark.parametrize("name", sorted(space_files()))
@pytest.mark.parametrize("each", properties("space"), ids=lambda each: each.check.__name__)
def test_a_space_holds_its_contract(each: Property, name: str) -> None:
    hold(each, find_space(name))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"params": {"optim.g_lr": FloatDistribution(-1, 1)}}, r"can be built\.: UserError: optim\.g_lr=-1"),
        (
            {"params": {"loss.clip": When("loss.name", "wgan", FloatDistribution(0.01, 0.1))}},
            r"can be built\.: UserError: loss\.clip depends on loss\.name",
        ),
        (
            {"params": {"loss.name": CategoricalDistribution(["wgan", "hinge"])}, "baselines": ("dcgan",)},
            r"baselines lie inside.*: UserError: baseline dcgan: ",
        ),
        ({"baselines": ("dcgan", "sngan"), "trials": 1}, r"baselines .*: 2 baselines do not fit into 1 trials"),
    ],
)
def test_a_broken_space_is_caught_in_one_line(changes: dict[str, object], reason: str) -> None:
    space = Space(**{"base": TrialConfig(), "params": {}, **changes})  # type: ignore[arg-type]
    faults = [f"{verdict.sentence}: {verdict.reason}" for verdict in verdicts("space", space) if not verdict.ok]
    assert any(re.search(reason, fault) for fault in faults), faults
