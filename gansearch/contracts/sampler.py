"""The contract of a sampler."""

from typing import Any

import optuna
from optuna.trial import TrialState

from gansearch.contracts.base import holds, require
from gansearch.contracts.example import SPACE
from gansearch.search.samplers.base import Sampler
from gansearch.search.study import distribution, draw

SUBJECT = Sampler

_TRIALS = 14  # enough that a sampler that begins with random trials comes to its own proposals


def _proposals(sampler: Sampler) -> list[dict[str, Any]]:
    """Returns what a sampler proposes in a search in which every third trial is pruned and one fails."""
    study, found = optuna.create_study(), []
    for number in range(_TRIALS):
        params = draw(SPACE, study, sampler.build(number), number)
        found.append(params)
        pruned, failed = number % 3 == 2, number == 4
        state = TrialState.FAIL if failed else TrialState.PRUNED if pruned else TrialState.COMPLETE
        fid = 100 * params["optim.g_lr"] + 10 * (params["loss.name"] == "wgan")
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=fid if state == TrialState.COMPLETE else None,
                params=params,
                distributions={path: distribution(SPACE.params[path].domain) for path in params},
                intermediate_values={} if failed else {1600: fid},
            )
        )
    return found


@holds("Whatever it proposes lies in the domains, with those parameters that apply.")
def proposals_lie_inside(sampler: Sampler) -> None:
    for params in _proposals(sampler):
        require(SPACE.active(params).keys() == params.keys(), f"it proposes parameters without an effect: {params}")
        require("loss.clip" in params or params["loss.name"] != "wgan", f"it leaves out loss.clip: {params}")
        outside = [path for path, value in params.items() if not SPACE.params[path].domain.contains(value)]
        require(not outside, f"it proposes {', '.join(outside)} outside the domain: {params}")


@holds("The same seed and the same trials give the same proposal, so that a search can be resumed.")
def proposals_repeat(sampler: Sampler) -> None:
    first, again = _proposals(sampler), _proposals(sampler)
    differing = next((number for number in range(_TRIALS) if first[number] != again[number]), None)
    require(
        differing is None, f"trial {differing} is proposed otherwise the second time: seed it by the argument `seed`"
    )


@holds("Its proposals differ from one another.")
def proposals_differ(sampler: Sampler) -> None:
    rates = {params["optim.g_lr"] for params in _proposals(sampler)}
    require(len(rates) > 1, "it proposes one and the same again and again")
