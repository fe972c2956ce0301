"""The contract of a search space."""

import math
from typing import Any

from gansearch.contracts.base import holds, require
from gansearch.registry import resolve
from gansearch.run.space import Space, ratio
from gansearch.search.drawing import draw_at_random
from gansearch.search.feasibility import baseline_params, check_choice, check_space

SUBJECT = Space

_SEED, _DRAWS = 4, 50


def _require_inside(space: Space, params: dict[str, Any], whose: str) -> None:
    require(space.active(params) == params, f"{whose} has parameters without an effect: {params}")
    require(space.violated(params) is None, f"{whose} is forbidden: {params}")
    missing = [path for path in space.params if path not in params and space.applies(path, params)]
    require(not missing, f"{whose} lacks {', '.join(missing)}")
    for path, value in params.items():
        require(space.params[path].domain.contains(value), f"{whose} has {path}={value}, outside the domain")


def _require_trained(space: Space, params: dict[str, Any], whose: str) -> None:
    flat = space.config(params, _SEED, resolve=resolve).flat()
    require(flat["seed"] == _SEED, f"{whose} is trained with another seed")
    for path, value in params.items():
        parts = ratio(path)
        trained = flat[path] if parts is None else flat[parts[0]] / flat[parts[1]]
        is_same = trained == value if parts is None else math.isclose(trained, value, rel_tol=1e-9)
        require(is_same, f"{whose} has {path}={value}, and is trained with {trained}")


@holds("Each of its parameters has a choice, and whatever it can propose can be built.")
def what_it_holds_can_be_built(space: Space) -> None:
    check_choice(space)
    check_space(space)


@holds("It survives JSON, in which a run records it.")
def it_survives_json(space: Space) -> None:
    again = Space.model_validate_json(space.model_dump_json())
    require(again == space, "it is another space when it is read back from search.json")
    require(list(again.params) == list(space.params), "its parameters are in another order when they are read back")


@holds("What is drawn from it lies inside and is what is trained; all other options are the base's.")
def what_is_drawn_is_what_is_trained(space: Space) -> None:
    base = space.config({}, _SEED, resolve=resolve).flat()
    options = {option for path in space.params for option in path.split("/")}
    replaced = {path.split(".")[0] for path in space.params if path.endswith(".name")}
    fixed = {path: value for path, value in base.items() if path not in options and path.split(".")[0] not in replaced}
    for number in range(_DRAWS):
        params = draw_at_random(space, _SEED + number)
        _require_inside(space, params, "a draw")
        _require_trained(space, params, "a draw")
        flat = space.config(params, _SEED, resolve=resolve).flat()
        changed = [path for path, value in fixed.items() if path != "seed" and flat[path] != value]
        require(not changed, f"a draw changes {', '.join(changed)}, which it does not search")


@holds("Its baselines lie inside, and it has a trial for each of them.")
def baselines_lie_inside(space: Space) -> None:
    require(
        space.trials >= len(space.baselines), f"{len(space.baselines)} baselines do not fit into {space.trials} trials"
    )
    for name in space.baselines:
        params = baseline_params(space, name)
        _require_inside(space, params, f"baseline {name}")
        _require_trained(space, params, f"baseline {name}")
