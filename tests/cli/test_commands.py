"""The two programs: which commands each has, what their help says, and what they import."""

import subprocess
import sys
from pathlib import Path

import pytest

import gansearch
from gansearch.cli import analyze, search
from gansearch.cli.command import command_names, load_command

from ..analysis.synthetic_run import make_search

HEAVY = {"torch", "ray", "optuna", "matplotlib"}


def ended(program: object, words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """What a program that argparse ends has returned and written."""
    with pytest.raises(SystemExit) as exit:
        program.main(words)  # type: ignore[attr-defined]
    return int(exit.value.code or 0), *capsys.readouterr()


def test_one_program_has_all_commands_and_the_other_those_of_results(capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for program in (search, analyze):
        code, out, _ = ended(program, ["--help"], capsys)
        assert code == 0
        found[program] = {name for name in command_names() if f"\n  {name} " in out}
    assert found[search] == set(command_names())
    assert found[analyze] == {name for name in command_names() if load_command(name).group == "results"}
    assert {"rank", "plot", "finals", "export"} <= found[analyze] < found[search]


@pytest.mark.parametrize("name", command_names())
def test_every_command_explains_itself_in_both_programs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    programs = [search, analyze] if load_command(name).group == "results" else [search]
    for program in programs:
        code, out, _ = ended(program, [name, "--help"], capsys)
        assert code == 0 and out.startswith(f"usage: gansearch {name} ")
        assert load_command(name).summary[1:] in " ".join(out.split())


@pytest.mark.parametrize("program", [search, analyze])
def test_the_version_is_the_packages(program: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(program, ["--version"], capsys) == (0, f"gansearch {gansearch.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnak", "demo"], "did you mean rank?"),
        (["optoins"], "did you mean options?"),
        (["--runs-dir", "there", "list"], "unknown argument '--runs-dir'"),
        (["--"], "unknown argument '--'"),
        ([""], "unknown command ''"),
    ],
)
def test_what_is_no_command_gets_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(search, words, capsys)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert message in line


def test_a_command_of_the_other_program_is_named_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main(["status", "demo"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("status is a command of another program: gansearch status demo")


def test_results_are_ranked_by_the_one_program_as_by_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_search(tmp_path / "demo", trials=5)
    tables = []
    for program in (search, analyze):
        assert program.main(["rank", "demo", "--runs-dir", str(tmp_path)]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] and tables[0].startswith("rank  trial")


@pytest.mark.parametrize(
    "words", ["rank demo", "status demo", "list", "--help", "--version", "options optim", "rnak x"]
)
def test_a_light_command_stays_light(words: str, tmp_path: Path) -> None:
    make_search(tmp_path / "runs/demo", trials=3)
    code = (
        "import sys; from gansearch.cli.search import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        f"print('loaded:', *sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded:", done.stderr


def test_the_help_names_the_least_timeout_of_a_trial(capsys: pytest.CaptureFixture[str]) -> None:
    from gansearch.search.ray.callbacks import _LEAST_TIMEOUT

    _, out, _ = ended(search, ["start", "--help"], capsys)
    assert f"at least {_LEAST_TIMEOUT / 60:.0f}m" in " ".join(out.split())
