"""Finals: which trials are finalists, and which of them are better than others; all the rest are ties."""

import io
import json
import random
from itertools import pairwise
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind, tukey_hsd

from gansearch.analysis.finals import _places, finalists, standings, write_finals
from gansearch.analysis.rank import to_json
from gansearch.run import Run, load
from gansearch.run.rows import End, Row, Status

from .synthetic_run import evaluation, make_run, start

FULL = 57.6
PLACES = {"a": {"optim.g_lr": 1e-3}, "b": {"optim.g_lr": 2e-3}, "c": {"optim.g_lr": 3e-3}}


def trial(
    number: int, params: dict, fid: float, status: Status = "completed", kimg: float = FULL, **changes
) -> list[Row]:
    origin = "final" if changes.get("relation") == "final" else "sampled"
    begin = start(number, params, origin, **changes)
    end = End(
        trial_id=begin.trial_id, number=number, status=status, best_fid=fid, best_kimg=kimg, kimg=kimg, reason=None
    )
    return [begin, evaluation(number, kimg, fid), end]


def run_of(path, finals: dict[str, list[float]], searched: dict[str, float], more: list[Row] | None = None) -> Run:
    """A search that found `searched`, and the FIDs of each configuration's finals."""
    rows = [row for number, name in enumerate(searched) for row in trial(number, PLACES[name], searched[name])]
    number = len(searched)
    for name, fids in finals.items():
        for seed, fid in enumerate(fids, 1):
            parent = f"{list(searched).index(name):04d}"
            rows += trial(number, PLACES[name], fid, parent=parent, relation="final", seed=seed)
            number += 1
    return load(make_run(path / "run", rows + (more or [])))


def test_finalists_are_the_best_configurations_of_the_search_each_once(tmp_path) -> None:
    again = trial(9, PLACES["b"], 3.0, parent="0001", relation="continuation")
    run = run_of(tmp_path, {"c": [1.0, 1.0]}, {"a": 5.0, "b": 4.0, "c": 6.0}, again)
    assert [trial.trial_id for trial in finalists(run.ledger, 9)] == ["0009", "0000", "0002"]
    assert [trial.trial_id for trial in finalists(run.ledger, 2)] == ["0009", "0000"]
    assert finalists(load(make_run(tmp_path / "empty", [])).ledger, 3) == []


def test_the_mean_over_seeds_decides_not_the_search(tmp_path) -> None:
    fids = {"a": [9.0, 9.2, 8.9, 9.1], "b": [5.0, 5.2, 4.9, 5.1], "c": [5.1, 5.3, 4.8, 5.2]}
    found = standings(run_of(tmp_path, fids, {"a": 4.0, "b": 4.5, "c": 5.0}), 3, 4)
    assert [(one.place, one.trial_id) for one in found] == [(1, "0001"), (1, "0002"), (3, "0000")]
    assert found[0].mean_fid == pytest.approx(5.05) and found[0].std_fid == pytest.approx(0.12910, abs=1e-5)
    assert (found[2].searched_fid, found[2].fids) == (4.0, (9.0, 9.2, 8.9, 9.1))
    assert found[2].trials == ("0003", "0004", "0005", "0006")
    assert not any(one.missing or one.diverged for one in found)
    file = io.StringIO()
    write_finals(found, file)
    lines = file.getvalue().splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["1", "tie"], ["1", "tie"], ["3", "0000"]]
    assert lines[4:] == ["a tie for place 1: 0001, 0002 (no significant difference; Games-Howell test, 5 %)"]
    assert json.loads(to_json(found))[0]["fids"] == [5.0, 5.2, 4.9, 5.1]


def test_what_diverged_or_is_missing_is_counted_and_in_no_mean(tmp_path) -> None:
    more = trial(20, PLACES["a"], 2.0, "diverged", 6.4, parent="0000", relation="final", seed=3)
    more += trial(21, PLACES["a"], 3.0, "failed", 12.8, parent="0000", relation="final", seed=4)
    more += trial(
        22, PLACES["a"], 3.0, "completed", FULL / 2, parent="0000", relation="final", seed=5
    )  # lengthened since
    found = standings(run_of(tmp_path, {"a": [5.0, 6.0], "b": [7.0]}, {"a": 4.0, "b": 4.5, "c": 4.4}, more), 3, 5)
    assert [(one.place, one.trial_id, one.mean_fid) for one in found] == [
        (1, "0000", 5.5),
        (None, "0002", None),
        (None, "0001", 7.0),
    ]
    assert [(one.diverged, one.missing) for one in found] == [(1, 2), (0, 5), (0, 4)]
    file = io.StringIO()
    write_finals(found, file)
    assert "0000: 1 of its finals diverged, which its mean leaves out" in file.getvalue()
    assert "0001: 4 of its finals gave no FID yet" in file.getvalue()
    assert "tie" not in file.getvalue()


def test_without_any_spread_all_is_a_tie() -> None:
    assert _places([[1.0, 1.0], [2.0, 2.0]]) == [1, 1]
    assert _places([[1.0, 2.0]]) == [1]
    assert _places([]) == []


@given(st.lists(st.lists(st.floats(0.1, 100), min_size=2, max_size=6), min_size=2, max_size=4))
@settings(max_examples=20, deadline=None)
def test_places_follow_the_means_and_no_pair_of_a_tie_differs(groups: list[list[float]]) -> None:
    groups.sort(key=mean)
    places = _places(groups)
    assert places == sorted(places) and places[0] == 1
    assert all(place in {before, index + 1} for index, (before, place) in enumerate(pairwise(places), 1))
    with np.errstate(all="ignore"):
        pairs = tukey_hsd(*groups, equal_var=False).pvalue
    assert not any(pairs[i][j] < 0.05 for i in range(len(groups)) for j in range(i) if places[i] == places[j])


@pytest.mark.parametrize(
    ("difference", "p", "places"), [(0.45, 0.0546, [1, 1]), (0.47, 0.0467, [1, 2]), (0.6, 0.0171, [1, 2])]
)
def test_a_difference_counts_where_chance_gives_it_one_time_in_twenty(
    difference: float, p: float, places: list[int]
) -> None:
    group = [4.0, 4.2, 4.4, 4.6, 4.8]
    other = [fid + difference for fid in group]
    # With as many values and as much spread in two groups, the test of Games and Howell is Student's.
    assert ttest_ind(group, other).pvalue == pytest.approx(p, abs=1e-4)
    assert _places([group, other]) == places


def test_a_noisy_one_ties_with_what_is_before_it() -> None:
    """The last group differs neither from the first nor from the second, which differs from the first."""
    first, second = [4.0, 4.1, 3.9, 4.3, 3.8], [5.1, 5.2, 4.9, 5.3, 5.0]
    assert _places([first, second, [4.5, 5.0, 6.0, 8.0, 9.5]]) == [1, 2, 2]


@pytest.mark.slow
def test_how_often_finals_of_three_find_a_difference() -> None:
    """In equal ones, one of them three times as noisy: one time in twenty. At `apart` standard deviations: mostly.

    Of 200 draws that find a difference in one case of twenty, more than 9 % find one with a chance of 0.7 %. With
    these seeds the tests of Welch and of Tukey find more than 9 %, and Welch's with Bonferroni's correction for six
    pairs finds too few of the real differences.
    """
    wrong: list[bool] = []
    found: list[bool] = []
    for seeds, apart in ((5, 2.5), (10, 1.6)):
        rng = random.Random(seeds)

        def draw(*finalists: tuple[float, float], rng: random.Random = rng, seeds: int = seeds) -> list[list[float]]:
            return [[rng.gauss(*finalist) for _ in range(seeds)] for finalist in finalists]

        wrong += [_places(sorted(draw((9, 1), (9, 1), (9, 3)), key=mean))[-1] > 1 for _ in range(100)]
        for _ in range(50):
            far = sorted(draw((9 + apart, 1), (9 + apart, 1)), key=mean)
            found.append(_places([*draw((9, 1)), *far])[1] == 2)
    print(f"wrong {mean(wrong):.3f}, found {mean(found):.2f}")
    assert mean(wrong) <= 0.09
    assert mean(found) >= 0.65
