"""What every file of `search_spaces/` must hold; a new one is picked up by itself."""

import optuna
import pytest
from optuna.samplers import RandomSampler

from gansearch.registry import resolve
from gansearch.run.space import Space
from gansearch.search.feasibility import baseline_params, check_space
from gansearch.search.find_space import find_space, space_files
from gansearch.search.study import suggest

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


def test_what_is_drawn_from_it_becomes_what_is_trained(space: Space) -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=SEED))
    base = space.config({}, SEED, resolve=resolve).flat()
    for _ in range(DRAWS):
        params = suggest(study.ask(), space)
        config = space.config(params, SEED, resolve=resolve)
        flat = config.flat()
        assert {path: flat[path] for path in params} == params and config.seed == SEED
        components = {path.split(".")[0] for path in params if path.endswith(".name")}
        kept = {path: value for path, value in base.items() if path not in params and path != "seed"}
        assert all(flat[path] == kept[path] for path in kept if path.split(".")[0] not in components)
        for path, parameter in space.params.items():
            when = parameter.when
            assert (path in params) == (when is None or params[when.path] == when.equals)
        assert space.active(params).keys() == params.keys()
        assert all(space.params[path].domain.contains(value) for path, value in params.items())


def test_its_baselines_lie_inside(space: Space) -> None:
    for name in space.baselines:
        params = baseline_params(space, name)
        assert space.active(params).keys() == params.keys()
        assert all(space.params[path].domain.contains(value) for path, value in params.items())
        flat = space.config(params, SEED, resolve=resolve).flat()
        assert {path: flat[path] for path in params} == params
