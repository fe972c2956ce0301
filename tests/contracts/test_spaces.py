"""What every file of `search_spaces/` must hold; a new one is picked up by itself."""

import json

import optuna
import pytest
from optuna.samplers import RandomSampler

from gansearch.run.space import Space, When, contains
from gansearch.search.find_space import find_space, space_files

SEED, DRAWS = 4, 50


@pytest.fixture(scope="module", params=sorted(space_files()))
def space(request: pytest.FixtureRequest) -> Space:
    return find_space(request.param)


def test_it_holds_what_can_be_built(space: Space) -> None:
    space.check()
    assert space.trials >= len(space.baselines)


def test_it_survives_json(space: Space) -> None:
    tree = json.loads(json.dumps(space.to_dict(), allow_nan=False))
    again = Space.from_dict(tree)
    assert again.to_dict() == tree
    assert (again.base, dict(again.params), again.trials) == (space.base, dict(space.params), space.trials)
    assert list(again.baselines) == list(space.baselines) and list(again.params) == list(space.params)


def test_what_is_drawn_from_it_becomes_what_is_trained(space: Space) -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=SEED))
    base = space.config({}, SEED).flat()
    for _ in range(DRAWS):
        params = space.suggest(study.ask())
        config = space.config(params, SEED)
        flat = config.flat()
        assert {path: flat[path] for path in params} == params and config.seed == SEED
        components = {path.split(".")[0] for path in params if path.endswith(".name")}
        kept = {path: value for path, value in base.items() if path not in params and path != "seed"}
        assert all(flat[path] == kept[path] for path in kept if path.split(".")[0] not in components)
        for path, entry in space.params.items():
            assert (path in params) == (not isinstance(entry, When) or params[entry.path] == entry.equals)
        assert space.active(params).keys() == params.keys()
        assert all(contains(domain, params[path]) for path, domain in space.active(params).items())


def test_its_baselines_lie_inside(space: Space) -> None:
    for name in space.baselines:
        params = space.baseline(name)
        assert space.active(params).keys() == params.keys()
        assert all(contains(domain, params[path]) for path, domain in space.active(params).items())
        flat = space.config(params, SEED).flat()
        assert {path: flat[path] for path in params} == params
