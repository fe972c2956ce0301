"""The contract of a sampler."""

from typing import Any

from gansearch.contracts.base import holds, require
from gansearch.contracts.example import SPACE
from gansearch.search.drawing import propose
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler

SUBJECT = Sampler

_TRIALS = 24  # enough that a sampler that begins with random trials comes to its own proposals
_RUNGS = (1600, 4800)


def _proposals(sampler: Sampler) -> list[dict[str, Any]]:
    """Returns proposals in a search in which one third of the trials goes on, two diverge and one runs."""
    history, found = History(_RUNGS), []
    for number in range(_TRIALS):
        params = propose(SPACE, history, sampler, number)
        found.append(params)
        history.add(number, params)
        fid = 100 * params["optim.g_lr"] + 10 * (params["loss.name"] == "wgan")
        if number in {4, 11}:
            history.add_divergence(number)
        elif number == 9:
            history.running.add(number)
        else:
            for rung in _RUNGS[: 1 + (number % 3 == 0)]:
                history.add_fid(number, rung, fid)
    return found


@holds("Whatever it proposes lies in the domains, with those parameters that apply.")
def proposals_lie_inside(sampler: Sampler) -> None:
    _proposals(sampler)


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
