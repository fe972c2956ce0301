"""Damaged files of a run: every command comes to the same verdict, because all of them read a run in one way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gansearch.cli.analyze import main as analyze
from gansearch.cli.search import main
from gansearch.run import RunDir

SMALL = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", "train.evaluations=2"]
Damage = Callable[[RunDir], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two trials that are complete; the second is a copy of the first one, which was trained."""
    path = tmp_path_factory.mktemp("damage") / "run"
    assert main(["trial", "dcgan", "--out", str(path), "--max-kimg", "0.128", *SMALL]) == 0
    run = RunDir(path)
    content = json.loads(run.search_json.read_text())
    content["options"]["trials"] = 2
    run.search_json.write_text(json.dumps(content))
    rows = run.results.read_text()
    run.results.write_text(rows + rows.replace('"0000"', '"0001"').replace('"number": 0', '"number": 1'))
    shutil.copytree(run.trial("0000"), run.trial("0001"))
    return path


def edit_json(change: Callable[[dict], object]) -> Damage:
    def damage(run: RunDir) -> None:
        content = json.loads(run.search_json.read_text())
        change(content)
        run.search_json.write_text(json.dumps(content))

    return damage


def edit_rows(change: Callable[[list[str]], list[str]]) -> Damage:
    def damage(run: RunDir) -> None:
        lines = change(run.results.read_text().splitlines())
        run.results.write_text("\n".join(lines) + "\n")

    return damage


def without_start(lines: list[str]) -> list[str]:
    return [line for line in lines if not ('"event": "start"' in line and '"0001"' in line)]


def in_row(event: str, before: str, after: str) -> Damage:
    """Changes the rows of one kind that trial 0001 has."""

    def change(line: str) -> str:
        if f'"event": "{event}"' not in line or '"0001"' not in line:
            return line
        assert before in line
        return line.replace(before, after)

    return edit_rows(lambda lines: [change(line) for line in lines])


def cut_last_row(run: RunDir) -> None:
    content = run.results.read_bytes()
    run.results.write_bytes(content[:-30])


LEFT_OUT: dict[str, Any] = {
    "the last row is cut in half": pytest.param(cut_last_row, marks=pytest.mark.slow),  # resume trains on
    "a line is no text": lambda run: run.results.write_bytes(b"\xff\xfe\x00\n" + run.results.read_bytes()),
    "a start row is lost": edit_rows(without_start),
    "a start row is cut": in_row("start", '"params": {', '"par'),
    "a FID is NaN": in_row("eval", '"fid": ', '"fid": NaN,"was": '),
    "a FID is a text": in_row("eval", '"fid": ', '"fid": "12.5","was": '),
    "a field is unknown": in_row("eval", '"fid": ', '"mood": "fine","fid": '),
    "an id leads out of the run": in_row("eval", '"trial_id": "0001"', '"trial_id": "../../victim"'),
    "an event is unknown": lambda run: run.results.write_text('{"event": "later"}\n' + run.results.read_text()),
    "a configuration is gone": lambda run: run.trial_config("0000").unlink(),
}
# A whole trial and a value that are missing.
DRAWN = [LEFT_OUT[name] for name in ("a start row is lost", "a FID is NaN")]
REFUSED: dict[str, tuple[Damage, str]] = {
    "search.json is cut": (lambda run: run.search_json.write_bytes(run.search_json.read_bytes()[:200]), "is broken"),
    "search.json is of another version": (
        edit_json(lambda content: content.update(schema_version=99)),
        "schema version 99",
    ),
    "search.json has no version": (edit_json(lambda content: content.pop("schema_version")), "schema version None"),
    "eta is 1": (edit_json(lambda content: content["options"].update(eta=1)), "options.eta"),
    "a domain is upside down": (
        edit_json(
            lambda content: content["space"]["params"].update(
                {
                    "optim.g_lr": {
                        "domain": {"name": "FloatDistribution", "attributes": {"low": 1.0, "high": 0.1}},
                        "when": None,
                    }
                }
            )
        ),
        "low=1 is above high=0.1",
    ),
    "the protocol was edited": (edit_json(lambda content: content["protocol"].update(num_fake=99)), "protocol"),
    "FIDs of two protocols": (in_row("eval", '"protocol": "', '"protocol": "ffff'), "FIDs of other protocols"),
}


FOREIGN = in_row("start", '"params": {', '"params": {"optim.g_lr": 0.1')


def verdicts(
    path: Path, capsys: pytest.CaptureFixture[str], *, is_drawn: bool = True
) -> dict[str, tuple[int, str, str]]:
    """What each command answers: its exit code, stdout and stderr. `resume` comes last: it may write.

    A `plot` that is not refused takes seconds, and reads what `rank` does.
    """
    found = {}
    for program, command in (
        (analyze, ["rank", str(path)]),
        (main, ["status", str(path)]),
        *([(analyze, ["plot", str(path)])] if is_drawn else []),
        (analyze, ["export", str(path)]),
        (main, ["resume", str(path)]),
    ):
        capsys.readouterr()
        code = program(command)
        found[command[0]] = (code, *capsys.readouterr())
    return found


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> RunDir:
    return RunDir(shutil.copytree(finished, tmp_path / "run"))


@pytest.mark.parametrize("damage", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_damaged_is_left_out_by_every_command(
    damage: Damage, copy: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(copy)
    found = verdicts(copy.path, capsys, is_drawn=damage in DRAWN)
    assert {command: code for command, (code, _, _) in found.items()} == dict.fromkeys(found, 0), found
    ranked = found["rank"][1].splitlines()
    assert ranked[1].split()[:2] == ["1", "0000"], "the trial whose rows are whole is ranked"
    assert all("Traceback" not in err for _, _, err in found.values())


@pytest.mark.parametrize(("damage", "said"), REFUSED.values(), ids=REFUSED)
def test_what_can_t_be_trusted_is_refused_by_every_command(
    damage: Damage, said: str, copy: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(copy)
    before = copy.results.read_bytes(), copy.search_json.read_bytes()
    found = verdicts(copy.path, capsys)
    assert {command: code for command, (code, _, _) in found.items()} == dict.fromkeys(found, 2), found
    for _, out, err in found.values():
        assert out == "" and said in err and err.count("\n") == 1, err
    assert len({err.partition(": ")[2] for _, _, err in found.values()}) == 1, "the same line from all"
    assert (copy.results.read_bytes(), copy.search_json.read_bytes()) == before


def test_parameters_of_another_space_are_shown_and_not_continued(
    copy: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    FOREIGN(copy)
    before = copy.results.read_bytes()
    found = verdicts(copy.path, capsys)
    assert {command: code for command, (code, _, _) in found.items()} == dict.fromkeys(found, 0) | {"resume": 2}, found
    assert "trial 0001 has optim.g_lr=0.1, which is outside the space" in found["resume"][2]
    assert copy.results.read_bytes() == before


def test_checkpoints_of_another_format_are_not_continued(copy: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    edit_rows(lambda lines: [line for line in lines if not ('"event": "end"' in line and '"0001"' in line)])(copy)
    for about in copy.path.glob("trials/*/checkpoint_*/checkpoint.json"):
        about.write_text(json.dumps(json.loads(about.read_text()) | {"format": 99}))
    before = copy.results.read_bytes()
    found = verdicts(copy.path, capsys)
    refused = {"export": 2, "resume": 2}
    assert {command: code for command, (code, _, _) in found.items()} == dict.fromkeys(found, 0) | refused, found
    for command in refused:
        assert "format 99; this one reads format 2" in found[command][2] and found[command][2].count("\n") == 1
    assert copy.results.read_bytes() == before
