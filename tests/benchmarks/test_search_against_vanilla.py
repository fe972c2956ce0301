import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.search_against_vanilla import vanilla
from benchmarks.search_against_vanilla.compare import ratio_of_medians, shares, time_to
from benchmarks.search_against_vanilla.outcome import Outcome, Reading, Side, append, improvements, read
from benchmarks.search_against_vanilla.output import table
from benchmarks.search_against_vanilla.sides import read_tune
from benchmarks.search_against_vanilla.tuned import allowed
from gansearch.errors import UserError
from gansearch.search.find_space import find_space

Pairs = Sequence[tuple[float, float]]


def readings(pairs: Pairs) -> list[Reading]:
    return [Reading(seconds=seconds, fid=fid, trial="0000") for seconds, fid in pairs]


def outcome(side: Side, pairs: Pairs, seed: int = 0, **changes: Any) -> Outcome:
    fields = {"budget": 100.0, "arguments": (), "wall": 110.0, "begun": 7, "full": 2, "anew": None} | changes
    return Outcome(side=side, seed=seed, course=improvements(readings(pairs)), **fields)


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1))
def test_a_course_falls_with_time_and_has_the_lowest_fid_at_its_end(pairs: list[tuple[float, float]]) -> None:
    course = improvements(readings(pairs))
    assert course[-1].fid == min(fid for _, fid in pairs)
    for earlier, later in pairwise(course):
        assert earlier.seconds <= later.seconds and earlier.fid > later.fid
    for seconds, fid in pairs:  # nothing in a course is later than the first time at which it was true
        assert time_to(outcome("ours", pairs), fid) <= seconds


def test_the_time_to_a_target_is_that_of_the_first_fid_as_low() -> None:
    course = outcome("ours", [(30, 5.0), (10, 9.0), (20, 9.5), (90, 4.0)])
    assert [time_to(course, target) for target in (20.0, 9.0, 8.9, 5.0, 4.0)] == [10, 10, 30, 30, 90]
    assert time_to(course, 3.9) == math.inf
    assert shares([course], [outcome("vanilla", [(95, 5.0)])]) == [0.3]


def test_medians_are_compared_and_pairs_of_seeds_are_drawn() -> None:
    found = ratio_of_medians([4.0, 6.0, 8.0, 2.0, 20.0], [2.0, 3.0, 4.0, 1.0, 10.0])
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)  # every pair has the ratio 2
    mixed = ratio_of_medians([4.0, 6.0, 9.0], [4.0, 2.0, 3.0])
    assert mixed.value == 2.0 and 1.0 <= mixed.low < 2.0 < mixed.high <= 3.0
    one = ratio_of_medians([3.0], [2.0])
    assert one.value == 1.5 and math.isnan(one.low) and math.isnan(one.high)


def test_the_table_compares_the_seeds_that_both_sides_have() -> None:
    ours = {seed: outcome("ours", [(20, 6.0), (50, fid)], seed, anew=4.0) for seed, fid in enumerate((2.0, 3.0, 1.0))}
    theirs = {seed: outcome("vanilla", [(99, fid)], seed) for seed, fid in enumerate((6.0, 2.5))}
    text = table({"ours": ours, "vanilla": theirs})
    rows = {line[:24].strip(): line[24:].split() for line in text.splitlines()}
    assert rows["lowest FID"] == ["ours", "vanilla"]
    assert rows["seed 1"] == ["3.00", "2.50"] and rows["seed 2"] == ["1.00"]
    assert rows["median"] == ["2.00", "4.25"]
    assert rows["the winner on new z"] == ["4.00", "-"]
    assert rows["trials begun"] == ["7", "7"]
    assert "vanilla / ours, 2 seeds: 1.70 [" in text  # 4.25 / 2.5
    assert "as a share of the budget: never (0.20 to never)" in text  # the median of 0.2 and never


def test_a_file_of_outcomes_gives_back_what_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    assert read(path) == []
    written = [outcome("ours", [(1, 2.0)], arguments=("--eta", "4")), outcome("tuned", [(1, 2.5)], 3, anew=2.7)]
    for one in written:
        append(path, one)
    assert read(path) == written
    path.write_text(path.read_text() + '{"side": "ours"}\n')
    with pytest.raises(UserError, match="line 3: no outcome"):
        read(path)


def test_an_experiment_of_tune_is_read_with_trials_that_never_had_an_fid(tmp_path: Path) -> None:
    curves = {"a": [9.0, math.nan, 7.0], "b": [5.0] * vanilla.EVALUATIONS, "c": []}
    for name, fids in curves.items():
        folder = tmp_path / name
        folder.mkdir()
        lines = [json.dumps({"fid": fid, "timestamp": 1000 + number}) for number, fid in enumerate(fids)]
        (folder / "result.json").write_text("\n".join([*lines, ""]))
    written = read_tune("vanilla", tmp_path)
    assert (written.begun, written.full) == (3, 1)
    assert [reading.fid for reading in improvements(written.readings)] in ([9.0, 5.0], [5.0])
    assert len(written.readings) == 2 + vanilla.EVALUATIONS


def test_a_forbidden_combination_is_not_handed_to_the_trainer() -> None:
    space = find_space("digits")

    class Forced:
        """An Optuna trial that answers with the first choice, or with what is forbidden."""

        def __init__(self, loss: str) -> None:
            self.params: dict[str, Any] = {}
            self.loss = loss

        def suggest_float(self, path: str, low: float, high: float, **_: Any) -> float:
            return self.params.setdefault(path, low)

        def suggest_int(self, path: str, low: int, high: int, **_: Any) -> int:
            return self.params.setdefault(path, low)

        def suggest_categorical(self, path: str, choices: Sequence[Any]) -> Any:
            forced = {"loss.name": self.loss, "model.spectral_norm": True}
            return self.params.setdefault(path, forced.get(path, choices[0]))

    clipped, free = Forced("wgan"), Forced("hinge")
    assert space.violated(clipped.params | allowed(space, clipped)) is None
    assert allowed(space, clipped) and not allowed(space, free)
