"""Finals: which trials are finalists, and which of them are better than others; all the rest are ties."""

import io
import json
import random
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind, tukey_hsd

from gansearch.analysis.finals import _interval, _places, finalists, judge
from gansearch.analysis.finals_table import write_finals
from gansearch.analysis.rank import rank
from gansearch.analysis.rank_table import write_ranking
from gansearch.errors import UserError
from gansearch.run import Run, load
from gansearch.run.finals import Finals
from gansearch.run.ledger import best_trial
from gansearch.run.rows import End, Row, Status, Writer

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


def test_the_best_baseline_is_always_a_finalist(tmp_path) -> None:
    rows = [row for number, fid in enumerate([5.0, 4.0]) for row in trial(number, {"optim.beta1": 0.1 * number}, fid)]
    for number, fid in ((2, 60.0), (3, 50.0)):
        begin, *others = trial(number, {"optim.beta1": 0.1 * number}, fid)
        rows += [replace(begin, origin=f"baseline:number-{number}"), *others]
    run = load(make_run(tmp_path / "run", rows))
    assert [one.trial_id for one in finalists(run.ledger, 1)] == ["0001", "0003"]
    assert [one.trial_id for one in finalists(run.ledger, 3)] == ["0001", "0000", "0003"]
    assert [one.trial_id for one in finalists(run.ledger, 4)] == ["0001", "0000", "0003", "0002"]


def judged(run: Run, top: int, seeds: int) -> Finals:
    finals = judge(run, finalists(run.ledger, top), seeds)
    finals.save(run.dir)
    assert Finals.load(run.dir) == finals
    return finals


def test_the_mean_over_seeds_decides_not_the_search(tmp_path) -> None:
    fids = {"a": [9.0, 9.2, 8.9, 9.1], "b": [5.0, 5.2, 4.9, 5.1], "c": [5.1, 5.3, 4.8, 5.2]}
    run = run_of(tmp_path, fids, {"a": 4.0, "b": 4.5, "c": 5.0})
    found = judged(run, 3, 4).finalists
    assert [(one.place, one.trial_id) for one in found] == [(1, "0001"), (1, "0002"), (3, "0000")]
    assert found[0].mean == pytest.approx(5.05)
    # Half of the interval is t(0.975, 3) = 3.1824 standard errors of 0.12910 / 2.
    assert found[0].interval == pytest.approx((5.05 - 0.20543, 5.05 + 0.20543), abs=1e-4)
    for one, other in pairwise(found):
        against = ttest_ind(np.log(one.fids), np.log(other.fids), equal_var=False, alternative="less")
        assert one.better_than_next == pytest.approx(1 - against.pvalue)
    assert found[2].better_than_next is None
    assert (found[2].searched_fid, found[2].fids) == (4.0, (9.0, 9.2, 8.9, 9.1))
    assert found[2].trials == ("0003", "0004", "0005", "0006")
    assert not any(one.missing or one.diverged for one in found)
    write_ranking(run, file=(file := io.StringIO()))  # as it is without finals.json
    assert "finals.json is missing: `" in file.getvalue()
    run = load(run.dir)
    assert run.winner.trial_id == "0001"
    assert run.best_generator.best.fid in {5.0, 5.1}  # 0.05 from the mean, as far as the other
    ranked = [(row.rank, row.place, row.trial_id) for row in rank(run)]
    assert ranked[:3] == [(1, 3, "0000"), (2, 1, "0001"), (3, 1, "0002")]
    second = rank(run)[1]
    assert (second.finals_mean, second.finals_low, second.finals_high) == (found[0].mean, *found[0].interval)


def test_an_interval_ends_at_0_unless_a_fid_is_negative() -> None:
    assert _interval([0.1, 0.3])[0] == 0.0
    assert _interval([-0.1, 0.3])[0] == pytest.approx(0.1 - 12.7062 * 0.2)


def test_the_generator_of_the_winner_is_the_one_nearest_to_the_mean(tmp_path) -> None:
    run = run_of(tmp_path, {"a": [12.0, 12.6, 14.0], "b": [12.6, 32.4, 20.0]}, {"b": 8.73, "a": 12.0})
    assert (run.finals, run.winner.trial_id) == (None, "0000")
    judged(run, 2, 3)
    run = load(run.dir)
    assert (run.winner.trial_id, run.best_generator.best.fid) == ("0001", 12.6)
    assert best_trial(run.ledger.values()).best.fid == 8.73


def test_a_final_that_diverged_counts_as_worse_than_all(tmp_path) -> None:
    more = [
        row
        for number, seed in ((20, 4), (21, 5))
        for row in trial(number, PLACES["a"], 2.0, "diverged", 6.4, parent="0000", relation="final", seed=seed)
    ]
    begin, *others = trial(22, PLACES["b"], 6.3, parent="0001", relation="final", seed=9)
    more += [begin, evaluation(22, 6.4, 90.0), *others]
    run = run_of(tmp_path, {"a": [5.0, 5.2], "b": [6.0, 6.1, 6.2]}, {"a": 4.0, "b": 4.5}, more)
    first, second = judged(run, 2, 4).finalists
    assert (first.trial_id, second.trial_id, second.diverged, second.missing) == ("0001", "0000", 2, 0)
    assert second.mean == pytest.approx((5.0 + 5.2 + 90.0 + 90.0) / 4)
    assert second.fids == (5.0, 5.2)
    file = io.StringIO()
    write_finals(Finals.load(run.dir), run.manifest.space.params, file)
    assert "0000: 2 of its finals diverged and count as the highest FID at any evaluation" in file.getvalue()


def test_where_all_finals_diverged_there_is_no_mean_and_the_place_is_the_last(tmp_path) -> None:
    more = [
        row
        for number in (20, 21)
        for row in trial(number, PLACES["a"], 2.0, "diverged", 6.4, parent="0000", relation="final", seed=number)
    ]
    run = run_of(tmp_path, {"b": [60.0, 61.0]}, {"a": 4.0, "b": 4.5}, more)
    first, second = judged(run, 2, 2).finalists
    assert (first.trial_id, first.place) == ("0001", 1)
    assert (second.mean, second.interval, second.place, second.diverged, second.nearest) == (None, None, None, 2, None)
    assert load(run.dir).winner.trial_id == "0001"


def test_finals_that_all_diverged_at_once_decide_nothing(tmp_path) -> None:
    more = [
        row
        for number, name in ((20, "a"), (21, "a"), (22, "b"), (23, "b"))
        for row in (
            start(number, PLACES[name], "final", parent="0000", relation="final", seed=number),
            End(
                trial_id=f"{number:04d}",
                number=number,
                status="diverged",
                best_fid=None,
                best_kimg=None,
                kimg=0.1,
                reason="x",
            ),
        )
    ]
    run = run_of(tmp_path, {}, {"a": 4.0, "b": 4.5}, more)
    found = judged(run, 2, 2).finalists
    assert [(one.mean, one.better_than_next, one.diverged) for one in found] == [(None, None, 2)] * 2
    assert (load(run.dir).finals, load(run.dir).why_void) == (None, "no final gave an FID")


def test_what_a_final_had_before_it_diverged_counts_as_well(tmp_path) -> None:
    more = trial(20, PLACES["a"], 300.0, "diverged", 6.4, parent="0000", relation="final", seed=3)
    run = run_of(tmp_path, {"a": [5.0], "b": [6.0, 7.0]}, {"a": 4.0, "b": 4.5}, more)
    assert judged(run, 2, 2).finalists[1].mean == pytest.approx((5.0 + 300.0) / 2)


def test_what_is_missing_is_said(tmp_path) -> None:
    more = trial(21, PLACES["a"], 3.0, "failed", 12.8, parent="0000", relation="final", seed=4)
    more += trial(
        22, PLACES["a"], 3.0, "completed", FULL / 2, parent="0000", relation="final", seed=5
    )  # lengthened since
    run = run_of(tmp_path, {"a": [5.0, 6.0], "b": [7.0]}, {"a": 4.0, "b": 4.5, "c": 4.4}, more)
    found = judged(run, 3, 5).finalists
    assert [(one.place, one.trial_id, one.mean) for one in found] == [
        (1, "0000", 5.5),
        (None, "0001", 7.0),
        (None, "0002", None),
    ]
    assert [(one.diverged, one.missing) for one in found] == [(0, 3), (0, 4), (0, 5)]
    file = io.StringIO()
    write_finals(Finals.load(run.dir), run.manifest.space.params, file)
    assert "0001: 4 of its finals gave no FID" in file.getvalue()
    assert "tie" not in file.getvalue()


def test_finals_without_any_fid_decide_nothing(tmp_path) -> None:
    run = run_of(tmp_path, {}, {"a": 4.0, "b": 4.5})
    judged(run, 2, 2)
    run = load(run.dir)
    assert (run.finals, run.winner.trial_id) == (None, "0000")


def lengthened(run: Run) -> None:
    content = json.loads(run.dir.search_json.read_text())
    content["space"]["base"]["train"] |= {"max_kimg": 2 * FULL, "evaluations": 18}
    run.dir.search_json.write_text(json.dumps(content))


def searched_on(run: Run) -> None:
    with closing(Writer(run.dir.results)) as writer:
        for row in trial(90, {"optim.g_lr": 3.5e-3}, 50.0):
            writer.append(row)


def lost_rows(run: Run) -> None:
    lines = run.dir.results.read_text().splitlines()
    run.dir.results.write_text("\n".join(line for line in lines if '"0003"' not in line) + "\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lengthened, "the search has gone on since"),
        (searched_on, "the search has gone on since"),
        (lost_rows, "rows of trials in them are lost"),
    ],
)
def test_finals_are_void_where_the_search_has_gone_on_or_they_are_lost(tmp_path, change, reason) -> None:
    run = run_of(tmp_path, {"a": [9.0, 9.2], "b": [5.0, 5.2]}, {"a": 4.0, "b": 4.5})
    judged(run, 2, 2)
    assert load(run.dir).winner.trial_id == "0001"
    change(run)
    run = load(run.dir)
    assert (run.finals, run.winner.trial_id) == (None, "0000")
    file = io.StringIO()
    write_ranking(run, file=file)
    assert f"the finals are void, as {reason}: `" in " ".join(file.getvalue().split())


def test_more_finals_do_not_make_finals_void(tmp_path) -> None:
    run = run_of(tmp_path, {"a": [9.0, 9.2], "b": [5.0, 5.2]}, {"a": 4.0, "b": 4.5})
    judged(run, 2, 2)
    with closing(Writer(run.dir.results)) as writer:
        for row in trial(90, PLACES["a"], 1.0, parent="0000", relation="final", seed=9):
            writer.append(row)
    assert load(run.dir).winner.trial_id == "0001"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content | {"version": 9}, "version: 9, this gansearch reads 1"),
        (lambda content: content | {"finalists": []}, "finalists: "),
        (lambda content: [], "should be an object"),
        (lambda content: content | {"seeds": "2"}, "seeds: "),
    ],
)
def test_damaged_finals_are_refused_in_one_line(tmp_path, change, reason) -> None:
    run = run_of(tmp_path, {"a": [9.0, 9.2], "b": [5.0, 5.2]}, {"a": 4.0, "b": 4.5})
    finals = judged(run, 2, 2)
    run.dir.finals.write_text(json.dumps(change(json.loads(finals.model_dump_json()))))
    with pytest.raises(UserError, match=r"finals\.json is broken \(.*\): delete it; `") as error:
        load(run.dir)
    assert reason in str(error.value) and "\n" not in str(error.value)


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


def test_one_bad_seed_of_a_baseline_makes_no_tie(tmp_path) -> None:
    """Seen in a search of digits: each FID of the baseline is five times that of each of the others, or more."""
    fids = {"a": [0.69, 0.79, 0.83, 0.91, 1.05], "b": [0.72, 0.76, 0.85, 0.94, 1.12], "c": [5.5, 5.6, 6.6, 8.9, 35.6]}
    run = run_of(tmp_path, fids, {"a": 0.8, "b": 0.9, "c": 14.0})
    found = judged(run, 3, 5).finalists
    assert [one.place for one in found] == [1, 1, 3]
    assert found[1].better_than_next > 0.99 > 0.8 > found[0].better_than_next


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
