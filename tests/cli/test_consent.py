"""Code that the files of a run name: without consent none of it is imported, by no command and for no kind."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gansearch import foreign, load_generator, registry
from gansearch import load as open_run
from gansearch.cli.command import command_names
from gansearch.cli.search import main
from gansearch.errors import UserError
from gansearch.run import RunDir
from gansearch.run.paths import ABOUT
from gansearch.training.checkpoint import _seal

NAME = "marked:Thing"
CONFIG = "trials/0000/config.json"
KINDS = (*registry.KINDS, "space")

# How each command is called on a run, and the kinds of components that it builds. A new command has to be added here.
GOES_ON = {*registry.KINDS, "space"} - {"plot"}
COMMANDS: dict[str, tuple[list[str], set[str]]] = {
    "check": (["check", "{run}/search.json"], set()),  # takes what the user names, and no file of a run
    "doctor": (["doctor", "{run}"], set()),
    "export": (["export", "{run}"], {"model"}),
    "extend": (["extend", "{run}", "--trials", "+1"], GOES_ON),
    "finals": (["finals", "{run}", "--top", "1", "--seeds", "3"], GOES_ON),
    "list": (["list", "--runs-dir", "{run}/.."], set()),
    "options": (["options", "loss"], set()),
    "plot": (["plot", "{run}"], set()),
    "rank": (["rank", "{run}"], set()),
    "report": (["report", "{run}"], set()),
    "resume": (["resume", "{run}"], GOES_ON),
    "spaces": (["spaces"], set()),
    "start": (["start", "{run}/search.json"], set()),
    "status": (["status", "{run}"], set()),
    "trial": (["trial", f"{{run}}/{CONFIG}", "--describe"], {*registry.SECTIONS, "artifact"}),
}
TAKES_NO_RUN = {"check", "doctor", "start"}


@pytest.fixture
def run(tmp_path: Path, whole: RunDir, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunDir]:
    """A copy of the run; in the current folder the module `marked` leaves a mark when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(foreign, "_permitted", set())
    Path("marked.py").write_text("import pathlib\npathlib.Path('mark').touch()\nThing = 1\n")
    yield RunDir(shutil.copytree(whole.path, tmp_path / "runs/run"))


def name_code(run: RunDir, kind: str) -> None:
    """Lets every file of the run that names a component of this kind name the foreign one."""

    def into(path: Path, *sections: str) -> None:
        content = json.loads(path.read_text())
        config: Any = content
        for section in sections:
            config = config[section]
        options = content.get("options", {})
        if kind == "artifact":
            config["artifacts"][NAME] = True
        elif kind in registry.SECTIONS:
            config[kind]["name"] = NAME
        elif kind == "space" and "space" in content:
            content["space"]["params"]["loss.name"]["domain"]["attributes"]["choices"].append(NAME)
        elif kind in options:
            options[kind] = {"name": NAME}
        elif f"{kind}s" in options:
            options[f"{kind}s"] = [{"name": NAME}]
        config["code"] = {"marked": {"file": str(Path("marked.py").absolute()), "sha256": "0" * 64}}
        if path.name == ABOUT:  # a stranger can make a hash too
            content["sha256"][ABOUT] = _seal(content)
        path.write_text(json.dumps(content))

    into(run.search_json, "space", "base")
    for config_json in run.trials.glob("*/config.json"):
        into(config_json)
    for about in run.trials.glob(f"*/*/{ABOUT}"):
        into(about, "config")


def test_every_command_and_every_kind_is_here() -> None:
    assert set(COMMANDS) == set(command_names())
    assert set.union(*(kinds for _, kinds in COMMANDS.values())) <= set(KINDS)


NEEDING = [(command, kind) for command, (_, kinds) in COMMANDS.items() for kind in sorted(kinds)]


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(("command", "kind"), NEEDING)
def test_a_command_that_needs_the_code_refuses_in_one_line(
    command: str, kind: str, run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    name_code(run, kind)
    assert main([word.format(run=run.path) for word in COMMANDS[command][0]]) == 2
    err = capsys.readouterr().err
    assert f"{NAME} is code that a file names" in err and "--allow-code" in err
    assert len([line for line in err.splitlines() if f" {command}: " in line]) == 1
    assert not Path("mark").exists()


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("command", command_names())
def test_a_command_refuses_nothing_where_it_needs_no_code(
    command: str, run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    words, needing = COMMANDS[command]
    for kind in set(KINDS) - needing:
        name_code(run, kind)
    code = main([word.format(run=run.path) for word in words])
    err = capsys.readouterr().err
    assert "is code that a file names" not in err and not Path("mark").exists()
    if command not in TAKES_NO_RUN:
        assert code == 0 or "Ray would start here" in err, err


@pytest.mark.parametrize("kind", ["model", "loss"])
@pytest.mark.parametrize("command", ["export", "trial"])
def test_with_consent_it_is_imported(command: str, kind: str, run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    name_code(run, kind)
    words, needing = COMMANDS[command]
    source = json.loads((run.path / CONFIG).read_text())
    assert main([*(word.format(run=run.path) for word in words), "--allow-code"]) == (2 if kind in needing else 0)
    err = capsys.readouterr().err
    assert source and ("has changed since the run started" in err or kind not in needing), err


@pytest.mark.parametrize("kind", KINDS)
def test_python_s_door_reads_without_consent_and_runs_nothing(kind: str, run: RunDir) -> None:
    exported = open_run(run.path).export(out=run.path.parent / "out")
    config = json.loads((exported / "config.json").read_text())
    name_code(run, kind)
    found = open_run(run.path)
    assert found.best is not None and len(found.trials()) == 5 and len(found.evaluations()) == 4
    found.report()
    config["trial"] = json.loads((run.path / CONFIG).read_text())
    (exported / "config.json").write_text(json.dumps(config))
    if kind == "model":
        for use in (found.export, lambda: load_generator(exported)):
            with pytest.raises(UserError, match="is code that a file names"):
                use()
    else:
        assert load_generator(exported).sample(2).shape[0] == 2
    assert not Path("mark").exists()
