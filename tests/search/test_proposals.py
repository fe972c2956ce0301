"""Whatever a space says about conditions, ratios and forbidden combinations, proposals keep to it."""

import itertools
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler

from gansearch.config import TrialConfig
from gansearch.distributions import distribution
from gansearch.errors import UserError
from gansearch.run.space import Condition, Space, When, ratio
from gansearch.search.drawing import draw, draw_at_random
from gansearch.search.find_space import configure
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler
from gansearch.search.samplers.imported import adapt, suggest
from gansearch.search.samplers.tpe import TPE

DISCRETE: dict[str, BaseDistribution] = {
    "train.compile": CategoricalDistribution(["auto", "always", "never"]),
    "replay.every": CategoricalDistribution([0, 2, 8]),
    "model.spectral_norm": CategoricalDistribution([False, True]),
    "optim.d_steps": IntDistribution(1, 3),
}
NUMBERS: dict[str, BaseDistribution] = {
    "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
    "train.ema_kimg": FloatDistribution(0.5, 20.0),
    "replay.capacity": IntDistribution(64, 1024, log=True),
}
# The last one relates to what another one sets; optim.beta2 is not searched.
RATIOS: dict[str, BaseDistribution] = {
    "optim.d_lr/optim.g_lr": FloatDistribution(0.25, 4.0, log=True),
    "optim.beta1/optim.beta2": FloatDistribution(0.1, 1.0, step=0.3),
    "replay.fraction/optim.d_lr": FloatDistribution(1.0, 20.0),
}
DOMAINS = DISCRETE | NUMBERS | RATIOS
TRIALS = 10  # of which the sampler has learnt something for the last


def values_of(path: str) -> list[Any]:
    domain = DISCRETE[path]
    if isinstance(domain, CategoricalDistribution):
        return list(domain.choices)
    assert isinstance(domain, IntDistribution)
    return list(range(domain.low, domain.high + 1))


def some_values(path: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values_of(path)), min_size=1, max_size=2, unique_by=str)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Draws spaces with conditions up to a depth of four, in any order, and with up to three forbidden combinations."""
    order = draw(st.lists(st.sampled_from(sorted(DISCRETE)), min_size=1, unique=True))
    order += draw(st.lists(st.sampled_from(sorted(NUMBERS | RATIOS)), unique=True))
    params: dict[str, Any] = {}
    for path in order:
        earlier = [other for other in params if other in DISCRETE]
        params[path] = DOMAINS[path]
        if earlier and draw(st.booleans()):
            parent = draw(st.sampled_from(earlier))
            params[path] = When(parent, among=draw(some_values(parent)), domain=DOMAINS[path])
    clause = st.lists(st.sampled_from(sorted(DISCRETE)), min_size=1, max_size=3, unique=True)
    forbidden = [{path: draw(some_values(path)) for path in draw(clause)} for _ in range(draw(st.integers(0, 3)))]
    in_file = draw(st.permutations(list(params)))
    return Space(base=TrialConfig(), params={path: params[path] for path in in_file}, forbidden=forbidden)


def permitted(space: Space) -> bool:
    """Whether some trial of a space is not forbidden: all combinations are tried."""
    discrete = [path for path in space.params if path in DISCRETE]
    domains = [[value for value in values_of(path) if space.params[path].domain.contains(value)] for path in discrete]
    return any(
        space.violated(dict(zip(discrete, values, strict=True))) is None for values in itertools.product(*domains)
    )


def holds(when: Condition | None, params: dict[str, Any], space: Space) -> bool:
    return when is None or (when.path in params and params[when.path] in when.among)


def require_legal(space: Space, params: dict[str, Any]) -> None:
    """Asserts, by other means than the space's own, that a proposal has all of what applies, and nothing else."""
    for path, parameter in space.params.items():
        parts = ratio(path)
        setters = [other for other in space.params if parts and other.split("/")[0] == parts[1]]
        applies = holds(parameter.when, params, space) and all(setter in params for setter in setters)
        assert (path in params) == applies, path
        assert path not in params or parameter.domain.contains(params[path])
    assert space.active(params) == params
    for clause in space.forbidden:
        searched = {path: values for path, values in clause.root.items() if path in space.params}
        assert not all(path in params and params[path] in values for path, values in searched.items())
    config = space.config(params, 3, resolve=lambda config: config).flat()
    base = space.base.flat()
    set_by_a_ratio = {}
    for path, value in params.items():
        parts = ratio(path)
        if parts is None:
            assert config[path] == value
        else:
            assert config[parts[0]] == value * config[parts[1]]
            set_by_a_ratio[parts[0]] = value
    untouched = base.keys() - params.keys() - set_by_a_ratio.keys() - {"seed"}
    assert {path: config[path] for path in untouched} == {path: base[path] for path in untouched}


def optunas() -> Sampler:
    """Optuna's own TPE, as `--sampler optuna.samplers:TPESampler` builds it, which learns from the second trial on."""
    made = adapt(TPESampler)
    assert made is not None
    return made(n_startup_trials=1, multivariate=True, group=True, constant_liar=True)


def proposals(space: Space, sampler: Sampler, seed: int) -> list[dict[str, Any]]:
    """Returns the proposals of a search in which the FID is the sum of all numbers; every fourth trial still runs."""
    history, found = History([100, 300]), []
    for number in range(TRIALS):
        params = draw(space, history, sampler, seed + number)
        if params is None:
            break
        history.add(number, params)
        if number % 4 == 3:
            history.running.add(number)
        else:
            history.add_fid(number, 100, sum(value for value in params.values() if isinstance(value, int | float)))
        found.append(params)
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(space=spaces(), seed=st.integers(0, 1000))
def test_a_proposal_is_legal(space: Space, seed: int) -> None:
    require_legal_proposals(TPE(random_share=0.0), space, seed)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # it takes ten times as long
@given(space=spaces(), seed=st.integers(0, 1000))
def test_a_proposal_of_optuna_s_own_sampler_is_legal(space: Space, seed: int) -> None:
    require_legal_proposals(optunas(), space, seed)


def require_legal_proposals(sampler: Sampler, space: Space, seed: int) -> None:
    assume(permitted(space))
    found = proposals(space, sampler, seed)
    for params in found:
        require_legal(space, params)
    assert proposals(Space.model_validate_json(space.model_dump_json()), sampler, seed) == found


def test_optuna_s_sampler_sees_a_rung_with_as_many_trials_as_it_needs_to_learn() -> None:
    """With five of full length and forty below, its TPE would draw at random; the best of the forty lie below 0.1."""
    space = Space(base=TrialConfig(), params={"optim.beta1": FloatDistribution(0.0, 0.9)})
    history = History([100, 300])
    for number in range(40):
        history.add(number, {"optim.beta1": number / 50})
        history.add_fid(number, 100, 10.0 + number)
        if number < 5:
            history.add_fid(number, 300, 5.0)
    made = adapt(TPESampler)
    assert made is not None
    proposed = sorted(made().propose(space, history, seed)["optim.beta1"] for seed in range(20))
    assert proposed[10] < 0.25, "at random half of them lie above 0.45"


@settings(max_examples=50, deadline=None)
@given(spaces(), st.integers(0, 1000))
def test_random_draws_are_legal_and_fail_only_where_all_is_forbidden(space: Space, seed: int) -> None:
    if permitted(space):
        require_legal(space, draw_at_random(space, seed))
        assert draw_at_random(space, seed) == draw_at_random(space, seed)
    else:
        with pytest.raises(UserError, match=r"random trials of this space in a row are forbidden, for instance by"):
            draw_at_random(space, seed)


@settings(max_examples=100, deadline=None)
@given(spaces(), st.integers(0, 1000), st.data())
def test_what_is_set_leaves_a_legal_space(space: Space, seed: int, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted({*space.params, *(path.split("/")[0] for path in space.params)})))
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    domain = space.params[path].domain if path in space.params else None
    value = study.ask({path: distribution(domain)}).params[path] if domain else 0.005  # for the first option of a ratio
    try:
        after = configure(space, {path: value}, None)
    except UserError as error:
        assert "forbidden in this space" in str(error)
        return
    assert path not in after.params or after.params[path].domain.is_single
    assert Space.model_validate_json(after.model_dump_json()) == after
    assume(permitted(after))
    for number in range(5):
        params = draw_at_random(after, seed + number)
        require_legal(after, params)
        # The space before has such a trial too.
        if path in space.params:
            full = space.active({**params, path: value})
            assert params.keys() <= full.keys() <= params.keys() | {path}
            require_legal(space, full)


def test_a_sampler_that_insists_on_what_is_forbidden_is_replaced_by_random_draws() -> None:
    space = Space(
        base=TrialConfig(), params={"replay.every": DISCRETE["replay.every"]}, forbidden=[{"replay.every": [0, 2]}]
    )

    asked: list[int] = []

    class Stubborn(Sampler):
        def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
            asked.append(seed)
            return {"replay.every": 0}

    assert draw(space, History([100]), Stubborn(), seed=0) == {"replay.every": 8}
    assert len(set(asked)) == len(asked) > 1, "it is asked again with other seeds"


def random_draws(space: Space, count: int = 40) -> list[dict[str, Any]]:
    return [draw_at_random(space, seed) for seed in range(count)]


def test_optuna_s_suggest_methods_and_random_draws_know_the_same_conditions() -> None:
    names = CategoricalDistribution(["bce", "wgan", "wgan-gp"])
    space = Space(
        params={
            "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1, log=True)),
            "loss.name": names,
            "loss.penalty_weight": When("loss.name", "wgan-gp", FloatDistribution(1.0, 20.0)),
        }
    )
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    for drawn in (random_draws(space), [suggest(study.ask(), space) for _ in range(40)]):
        assert {params["loss.name"] for params in drawn} == set(names.choices)
        for params in drawn:
            require_legal(space, params)


def test_a_space_read_from_json_draws_the_same() -> None:
    space = Space(
        params={
            "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
            "optim.beta1": FloatDistribution(0.0, 0.9, step=0.3),
            "optim.d_steps": IntDistribution(1, 5, step=2),
            "model.features": IntDistribution(8, 64, log=True),
            "model.spectral_norm": CategoricalDistribution([False, True]),
            "model.attention_at": CategoricalDistribution(["none", 8, 16]),
        }
    )
    drawn = random_draws(space)
    assert random_draws(Space.model_validate_json(space.model_dump_json())) == drawn
    assert {params["optim.d_steps"] for params in drawn} == {1, 3, 5}
    assert {round(params["optim.beta1"], 1) for params in drawn} == {0.0, 0.3, 0.6, 0.9}
    assert {params["model.attention_at"] for params in drawn} == {"none", 8, 16}
    assert sum(params["optim.g_lr"] < 1e-3 for params in drawn) > 10  # about half of them on a logarithmic scale
