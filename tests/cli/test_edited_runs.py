"""Edited files of a run: each value of each file is replaced by another, and every command answers or refuses."""

import copy
import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansearch import foreign
from gansearch.analysis.rank import rank, to_json
from gansearch.analysis.status import render_status
from gansearch.cli.search import main
from gansearch.errors import UserError
from gansearch.logs import warn_once
from gansearch.run import RunDir, load

CONFIG = "trials/0000/config.json"
FILES = ("search.json", "results.jsonl", "finals.json", CONFIG)
EVIL = "\x1b[31mred\r\n\x07\u202e\u2028\x00"
DELETED = object()
VALUES: tuple[Any, ...] = (
    *(DELETED, None, "", "text", [], {}, [None], {"key": 1}, True, -1, 0, 1.5, 10**9, 10**30, 1e308, -1e308, 5e-324),
    *(float("nan"), float("inf"), EVIL, "x" * 5000, "0000\n", "٠٠٠٠", "../../outside", "marked:Thing", "1970-01-01"),
)
Place = tuple[str | int, ...]


class Edit(NamedTuple):
    """Puts `value` at `place` of a file; the first step into `results.jsonl` is the number of a line."""

    file: str
    place: Place
    value: Any

    def __repr__(self) -> str:
        value = "deleted" if self.value is DELETED else repr(self.value)[:30]
        return f"{self.file} {'.'.join(map(str, self.place))}={value}"

    def apply(self, run: RunDir) -> None:
        path = run.path / self.file
        is_lines = path.suffix == ".jsonl"
        tree = (
            [json.loads(line) for line in path.read_text().splitlines()] if is_lines else json.loads(path.read_text())
        )
        at: Any = tree
        for step in self.place[:-1]:
            at = at[step]
        if self.value is DELETED:
            del at[self.place[-1]]
        else:
            at[self.place[-1]] = copy.deepcopy(self.value)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in tree) if is_lines else json.dumps(tree))


def places(tree: Any, before: Place = ()) -> Iterator[Place]:
    """The places of all values in what JSON holds, those of objects and lists too."""
    steps: Any = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, value in steps:
        yield (*before, step)
        yield from places(value, (*before, step))


@pytest.fixture(scope="module")
def all_places(whole: RunDir) -> list[tuple[str, Place]]:
    """Every place of every file; of the rows, of those with an event and a relation that no row before has."""
    found: list[tuple[str, Place]] = []
    for file in FILES:
        text = (whole.path / file).read_text()
        if file != "results.jsonl":
            found += [(file, place) for place in places(json.loads(text))]
            continue
        rows = [json.loads(line) for line in text.splitlines()]
        kinds = [(row["event"], row.get("relation")) for row in rows]
        firsts = [number for number, kind in enumerate(kinds) if kind not in kinds[:number]]
        found += [(file, (number, *place)) for number in firsts for place in places(rows[number])]
    return found


class Stage:
    """A copy of the run in a folder where nothing else may change, with a module that leaves a mark when imported."""

    def __init__(self, folder: Path, whole: RunDir) -> None:
        self.folder, self.whole, self.run = folder, whole, RunDir(folder / "runs/run")
        (folder / "outside").mkdir()
        (folder / "outside/kept").write_text("kept")
        (folder / "marked.py").write_text("import pathlib\npathlib.Path('mark').touch()\n")
        self.restore()
        self.before = self.outside()

    def restore(self) -> None:
        shutil.rmtree(self.run.path, ignore_errors=True)
        shutil.copytree(self.whole.path, self.run.path)
        warn_once.cache_clear()

    def outside(self) -> dict[str, bytes | None]:
        """All that lies in the folder, but for the run."""
        found = (path for path in self.folder.rglob("*") if not path.is_relative_to(self.run.path))
        return {str(path): path.read_bytes() if path.is_file() else None for path in found}

    def try_out(self, edit: Edit, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        edit.apply(self.run)
        capsys.readouterr()
        code = main(command.format(run=self.run.path, runs=self.run.path.parent, config=self.run.path / CONFIG).split())
        out, err = capsys.readouterr()
        assert code in {0, 2, 3}, (edit, code, err)
        if code == 2:
            assert f" {command.split()[0]}: " in err.splitlines()[-1] and err.endswith("\n"), (edit, err)
        assert all(line.isprintable() for line in f"{out}\n{err}".split("\n")), (edit, out, err)
        assert "mark" not in {path.name for path in self.folder.iterdir()}, edit
        assert self.outside() == self.before, edit


@pytest.fixture
def stage(tmp_path: Path, whole: RunDir, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(foreign, "_permitted", set())
    return Stage(tmp_path, whole)


READING = ("rank {run} --all --wide", "rank {run} --json", "status {run} --wide", "list --runs-dir {runs}")
# A command that works takes its time, so only each one in so many places is edited.
WORKING = {
    "export {run}": 7,
    "resume {run}": 29,
    "extend {run} --trials +1": 59,
    "finals {run} --top 1 --seeds 3": 59,
    "plot {run}": 149,
    "report {run}": 29,
}


def sample(all_places: list[tuple[str, Place]], every: int) -> Iterator[Edit]:
    """Every place, or each one in so many, with a value that changes from place to place."""
    values = itertools.cycle(VALUES)
    for file, place in all_places[::every]:
        yield Edit(file, place, next(values))


def test_whatever_is_edited_a_command_that_reads_answers(
    stage: Stage, all_places: list[tuple[str, Place]], capsys: pytest.CaptureFixture[str]
) -> None:
    commands = itertools.cycle(READING)
    for edit in sample([(file, place) for file, place in all_places if file != CONFIG], 1):
        stage.try_out(edit, next(commands), capsys)
        shutil.copy(stage.whole.path / edit.file, stage.run.path / edit.file)
        warn_once.cache_clear()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


@given(data=st.data())
def test_a_run_with_any_value_anywhere_is_read_or_refused(
    data: st.DataObject,
    whole: RunDir,
    all_places: list[tuple[str, Place]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file, place = data.draw(st.sampled_from([(file, place) for file, place in all_places if file != CONFIG]))
    run = RunDir(tmp_path_factory.mktemp("edited") / "run")
    run.path.mkdir()
    for name in ("search.json", "results.jsonl", "finals.json"):
        shutil.copy(whole.path / name, run.path / name)
    Edit(file, place, data.draw(JSON)).apply(run)
    try:
        loaded = load(run)
    except UserError as refusal:
        assert str(refusal)
        return
    to_json(rank(loaded))
    render_status(loaded.ledger, total=3, max_kimg=loaded.manifest.max_kimg)


@pytest.mark.slow
@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(("command", "every"), WORKING.items())
def test_whatever_is_edited_a_command_that_works_answers_or_refuses(
    command: str, every: int, stage: Stage, all_places: list[tuple[str, Place]], capsys: pytest.CaptureFixture[str]
) -> None:
    for edit in sample(all_places, every):
        stage.try_out(edit, command, capsys)
        stage.restore()


def test_a_configuration_that_was_edited_is_described_or_refused(
    stage: Stage, all_places: list[tuple[str, Place]], capsys: pytest.CaptureFixture[str]
) -> None:
    for edit in sample([(file, place) for file, place in all_places if file == CONFIG], 1):
        stage.try_out(edit, "trial {config} --describe", capsys)
        stage.restore()


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("options", "eta"), 1),
        (("options", "trials"), 10**12),
        (("options", "seed"), -1),
        (("options", "first_rung"), 10**9),
        (("options", "cpus_per_trial"), 1e300),
        (("options", "gpus_per_trial"), -1),
        (("options", "time_budget"), 0),
        (("options", "max_concurrent"), 0),
        (("space", "base", "train", "evaluations"), 10**9),
        (("space", "base", "train", "max_kimg"), 1e308),
        (("space", "base", "train", "batch"), 10**30),
        (("space", "params", "replay.every", "domain", "attributes", "step"), 5e-324),
        (("protocol", "num_fake"), "64"),
    ],
)
def test_an_absurd_search_is_refused_before_anything_is_loaded(
    place: Place, value: Any, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stage.run.results.read_bytes()
    stage.try_out(Edit("search.json", place, value), "resume {run}", capsys)
    assert main(["resume", str(stage.run.path)]) == 2
    err = capsys.readouterr().err
    assert "search.json is broken" in err and err.count("\n") == 1
    assert stage.run.results.read_bytes() == before


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(
    ("file", "place", "command"),
    [
        ("search.json", ("options", "address"), "resume {run} --address local"),
        ("search.json", ("options", "storage"), "resume {run}"),
        ("search.json", ("space", "base", "data", "dir"), "resume {run}"),
        ("search.json", ("space", "base", "metrics", "weights"), "export {run}"),
        ("search.json", ("checkpoints",), "status {run}"),
        (CONFIG, ("metrics", "weights"), "trial {config} --describe"),
    ],
)
def test_a_text_with_nul_is_refused_where_its_file_is_read(
    file: str, place: Place, command: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    Edit(file, place, "a\0b").apply(stage.run)
    config = stage.run.path / CONFIG
    assert main(command.format(run=stage.run.path, config=config).split()) == 2
    err = capsys.readouterr().err
    assert "has NUL in it" in err and err.count("\n") == 1


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("command", ["resume {run}", "extend {run} --trials +1", "finals {run} --top 1 --seeds 3"])
@pytest.mark.parametrize("name", ["results.jsonl", "study.journal", "trials", "trials/0007", "trials/0000/curves"])
def test_a_run_with_a_link_out_of_it_goes_on_only_without(
    command: str, name: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    link = stage.run.path / name
    target = stage.folder / "outside" / ("kept" if link.suffix else "")
    shutil.move(link, stage.run.path / "aside") if link.exists() else None
    if name == "results.jsonl":  # what it leads to is a run's, and stays as it is all the same
        target = stage.folder / "outside" / "rows"
        shutil.copy(stage.run.path / "aside", target)
        stage.before = stage.outside()
    link.symlink_to(target)
    assert main(command.format(run=stage.run.path).split()) == 2
    err = capsys.readouterr().err
    assert f"{link} is a link out of the run" in err and err.count("\n") == 1
    assert stage.outside() == stage.before


@pytest.mark.parametrize(
    ("command", "name"), [("plot {run}", "plots"), ("report {run}", "report"), ("export {run}", "best")]
)
def test_nothing_is_written_through_a_link_out_of_a_run(
    command: str, name: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    (stage.run.path / name).symlink_to(stage.folder / "outside")
    words = command.format(run=stage.run.path).split()
    assert main(words) == 2
    assert f"{name} is a link out of the run" in capsys.readouterr().err
    assert stage.outside() == stage.before
    assert main([*words, "--out", str(stage.folder / "elsewhere")]) == 0


def test_a_number_or_a_time_that_can_t_be_is_left_out(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    row = json.loads(stage.run.results.read_text().splitlines()[0])
    far = row | {"number": 10**12, "trial_id": str(10**12)}
    old = row | {"number": 9, "trial_id": "0009", "time": "0001-01-01T00:00:00+14:00"}
    with stage.run.results.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in (far, old))
    assert main(["rank", str(stage.run.path)]) == 0
    assert "left out 2 rows with a number or a time that can't be" in capsys.readouterr().err
    assert load(stage.run).ledger.next_number == 5


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("command", ["resume {run}", "extend {run} --trials +1", "finals {run} --top 1 --seeds 3"])
@pytest.mark.parametrize("storage", ["outside", "outside/new", "", "file://{folder}/outside", "{run}/../../outside"])
def test_a_search_goes_on_only_in_the_storage_where_it_began(
    command: str, storage: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = storage.format(folder=stage.folder, run=stage.run.path)
    Edit("search.json", ("options", "storage"), storage).apply(stage.run)
    stage.try_out(Edit("search.json", ("options", "trials"), 4), command, capsys)
    assert main(command.format(run=stage.run.path).split()) == 2
    assert "has no run.token of this run" in capsys.readouterr().err
    assert stage.outside() == stage.before
