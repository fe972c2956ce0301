"""What every file of `search_spaces/` must hold; a new one is picked up by itself."""

from typing import Any

import pytest

from gansearch.registry import resolve
from gansearch.run.space import Space, ratio
from gansearch.search.feasibility import baseline_params, check_space
from gansearch.search.find_space import find_space, space_files
from gansearch.search.study import draw_at_random

SEED, DRAWS = 4, 50


@pytest.fixture(scope="module", params=sorted(space_files()))
def space(request: pytest.FixtureRequest) -> Space:
    return find_space(request.param)


def test_it_holds_what_can_be_built(space: Space) -> None:
    check_space(space)
    assert space.trials >= len(space.baselines)


def test_it_survives_json(space: Space) -> None:
    again = Space.model_validate_json(space.model_dump_json())
    assert again == space and list(again.params) == list(space.params)


def options_of(params: dict[str, Any], flat: dict[str, Any]) -> dict[str, Any]:
    """The options that parameters set, in a configuration with the options `flat`."""
    parts = {path: ratio(path) for path in params}
    return {
        part[0] if part else path: params[path] * flat[part[1]] if part else params[path]
        for path, part in parts.items()
    }


def test_what_is_drawn_from_it_becomes_what_is_trained(space: Space) -> None:
    base = space.config({}, SEED, resolve=resolve).flat()
    for number in range(DRAWS):
        params = draw_at_random(space, SEED + number)
        config = space.config(params, SEED, resolve=resolve)
        flat = config.flat()
        options = options_of(params, flat)
        assert {path: flat[path] for path in options} == options and config.seed == SEED
        components = {path.split(".")[0] for path in params if path.endswith(".name")}
        kept = {path: value for path, value in base.items() if path not in options and path != "seed"}
        assert all(flat[path] == kept[path] for path in kept if path.split(".")[0] not in components)
        for path in space.params:
            conditions = space.conditions(path)
            assert (path in params) == all(params.get(when.path) in when.among for when in conditions)
        assert space.active(params).keys() == params.keys() and space.violated(params) is None
        assert all(space.params[path].domain.contains(value) for path, value in params.items())


def test_its_baselines_lie_inside(space: Space) -> None:
    for name in space.baselines:
        params = baseline_params(space, name)
        assert space.active(params).keys() == params.keys()
        assert all(space.params[path].domain.contains(value) for path, value in params.items())
        flat = space.config(params, SEED, resolve=resolve).flat()
        options = options_of(params, flat)
        assert {path: flat[path] for path in options} == options and space.violated(params) is None
