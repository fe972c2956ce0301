"""Hundreds of wrong command lines, made from the parsers and the options themselves: a new option is tried by itself.

Each must end with exit code 2 and one line on stderr, and leave nothing behind.
"""

import argparse
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gansearch.cli.command import command_names, load_command
from gansearch.cli.option_docs import Option, option_blocks
from gansearch.cli.parser import WRONG_INPUT, Parser
from gansearch.cli.search import main
from gansearch.run import Space

# No text, no number, or one that Python reads and nobody means.
_TEXTS = ("", "  ", "a\0b", "\udcff")
_NUMBERS = ("-1", "nan", "inf", "1e400", "1_000", "\u0661\u0662", "0x10", "1e15", "9" * 5000, "+0", "+1e9", "-0.5")
_ON_EACH_OPTION = 6


def _options(name: str) -> list[argparse.Action]:
    parser = Parser(prog=name)
    load_command(name).arguments(parser)
    return [action for action in parser._actions if action.nargs != 0]


def _is_refused(action: argparse.Action, text: str) -> bool:
    """Returns whether the type of an argument refuses a text, so that the whole command line is wrong."""
    if text in _TEXTS:
        return True
    try:
        return action.type is not None and action.type(text) is None  # type: ignore[operator, misc]
    except (argparse.ArgumentTypeError, ValueError):
        return True


def _words(name: str, action: argparse.Action, text: str) -> list[str]:
    """Returns a command line that is right but for the text of one argument."""
    needed = [text if other.dest == action.dest else "digits" for other in _options(name) if not other.option_strings]
    return [name, *needed, *([f"{action.option_strings[-1]}={text}"] if action.option_strings else [])]


def _command_lines() -> Iterator[list[str]]:
    for name in command_names():
        for action in _options(name):
            wrong = [text for text in _NUMBERS if action.type is not Path and _is_refused(action, text)]
            numbers = random.Random(f"{name} {action.dest}").sample(wrong, min(len(wrong), _ON_EACH_OPTION))
            for text in (*_TEXTS, *numbers):
                yield _words(name, action, text)


def _wrong_values(option: Option) -> Iterator[str]:
    """Yields texts that an option does not take, by its type and its domain."""
    yield ""
    if option.type in {"int", "float"}:
        yield from ("text", "nan", "1e400", "1_000", "null", "{}", "[" * 5000)
    if option.type == "int":
        yield from ("1e300", "-1e300", "0.5")
    if option.type == "bool":
        yield from ("text", "7", "null")
    if " | " in option.domain:
        yield "unheard-of"


def _settings() -> Iterator[list[str]]:
    for block in option_blocks():
        if block.section in {"seed", "sampler", "scheduler", "logger"}:
            continue
        chosen = ["--set", f"{block.section}.name={block.component}"] if block.component else []
        for option in block.options:
            wrong = list(_wrong_values(option))
            for text in random.Random(option.path).sample(wrong, 1):
                yield ["start", "digits", "--dry-run", *chosen, "--set", f"{option.path}={text}"]


def _files(folder: Path) -> Iterator[list[str]]:
    """Yields command lines with paths that can't be what they are to be."""
    os.mkfifo(folder / "pipe")
    (folder / "circle").symlink_to("circle")
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "deep").write_text('{"a":' * 100_000)
    with (folder / "huge").open("wb") as file:
        file.truncate(2**30)
    for file in folder.iterdir():
        for ending in (".json", ".yaml", ".py"):
            file.with_suffix(ending).symlink_to(file.name)
    for path in [*folder.iterdir(), Path("/dev/zero"), folder, folder / "huge" / "below", folder / ("n" * 300)]:
        name = str(path)
        yield ["start", "digits", "--dry-run", "--config", name]
        yield ["trial", name]
        yield ["start", name if "/" in name else f"./{name}", "--dry-run"]
        yield ["status", name]
    for name in (".", "..", "n" * 300, "a/b", "-a"):
        yield ["start", "digits", "--dry-run", f"--name={name}"]
    yield ["start", "digits", "--dry-run", "--runs-dir", "n" * 300]
    yield ["start", "digits", "--dry-run", "--max-kimg", "3", "--set", "train.max_kimg=-1"]
    yield ["start", "digits", "--dry-run", "--data-dir", "here", "--set", "data.dir=there"]


_VALUES: tuple[Any, ...] = (None, -1, 0, 10**9, float("nan"), float("inf"), "text", "", [], [None], {"a": 1}, True)


def _spaces(folder: Path) -> Iterator[list[str]]:
    """Yields space files with one field that is wrong by the schema."""
    for field in Space.model_fields:
        for number, value in enumerate(_VALUES):
            fields = {"params": {}, field: value}
            try:
                Space(**fields)
            except ValueError:
                file = folder / f"{field}_{number}.py"
                content = repr(fields).replace("nan", "float('nan')").replace("inf", "float('inf')")
                file.write_text(f"from gansearch.run import Space\nSPACE = Space(**{content})\n")
                yield ["spaces", str(file)]


def _ends(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Runs a command line; returns the exit code and what it wrote to stderr."""
    try:
        code: object = main(words)
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().err


def _require_one_line(lines: list[list[str]], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(here.rglob("*"))
    for words in lines:
        shown = [word if len(word) < 80 else f"{word[:80]}..." for word in words]
        code, said = _ends(words, capsys)
        assert (code, len(said.splitlines())) == (WRONG_INPUT, 1), f"{shown} ended with {code}: {said[:2000]}"
        assert "Traceback" not in said
        assert sorted(here.rglob("*")) == before, f"{shown} leaves something behind"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_wrong_text_of_any_argument_of_any_command_is_refused(here, capsys):
    lines = list(_command_lines())
    assert len(lines) > 400
    _require_one_line(lines, here, capsys)


@pytest.mark.parametrize("name", command_names())
def test_an_empty_text_is_named_after_its_argument(name, capsys):
    for action in _options(name):
        argument = action.option_strings[-1] if action.option_strings else action.metavar
        assert f"{argument} is empty: is a shell variable unset?" in _ends(_words(name, action, ""), capsys)[1]


def test_a_wrong_value_of_any_option_is_refused(here, capsys):
    lines = list(_settings())
    assert len(lines) > 60
    _require_one_line(lines, here, capsys)


def test_a_path_that_can_not_be_is_refused(here, tmp_path, capsys):
    files = tmp_path / "files"
    files.mkdir()
    _require_one_line(list(_files(files)), here, capsys)


def test_a_field_of_a_space_that_is_wrong_is_refused(here, tmp_path, capsys):
    lines = list(_spaces(tmp_path))
    assert len(lines) > 30
    _require_one_line(lines, here, capsys)


def test_whatever_multiplies_memory_or_time_has_an_upper_bound():
    options = [option for block in option_blocks() for option in block.options]
    counts = [option for option in options if option.type.startswith("int") or option.path.endswith("kimg")]
    assert len(counts) > 20
    assert [option.path for option in counts if "<" not in option.domain] == []


@pytest.mark.parametrize(("command", "option", "most"), [("finals", "--seeds", 1000), ("export", "--measure", 10**7)])
def test_a_number_of_samples_that_no_memory_holds_is_refused(command, option, most, capsys):
    code, said = _ends([command, "run", option, str(most + 1)], capsys)
    assert code == WRONG_INPUT and f"is not a whole number from 2 to {most}" in said
