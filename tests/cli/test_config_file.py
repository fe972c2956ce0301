"""`--config FILE`: dotted or nested, YAML or JSON, the same options come out; what is wrong gets one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gansearch.cli.config_file import overridden, read_config
from gansearch.cli.search import main
from gansearch.errors import UserError

WORDS = st.text("abcdefgxyz_", min_size=1, max_size=6).filter(lambda word: word not in {"true", "false", "null"})
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), WORDS
)


def config(folder: Path, text: str, name: str = "options.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def nested(options: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in options.items():
        section, _, key = path.partition(".")
        tree.setdefault(section, {})[key] = value
    return tree


@given(options=st.dictionaries(st.builds("{}.{}".format, WORDS, WORDS), VALUES, max_size=6))
def test_the_form_of_a_file_does_not_matter(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("forms")
    for tree in (options, nested(options)):
        for name, text in (("a.json", json.dumps(tree)), ("a.yaml", yaml.safe_dump(tree)), ("b.yml", json.dumps(tree))):
            found = read_config(config(folder, text, name))
            assert found == options and {key: type(value) for key, value in found.items()} == {
                key: type(value) for key, value in options.items()
            }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("'1e-4'", 1e-4),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2024-01-31", "2024-01-31"),
        ("off", "off"),
        ("True", True),
        ("~", None),
        ("", None),
        ("NaN", "NaN"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("none", "none"),
    ],
)
def test_a_plain_word_is_read_as_set_reads_it(text: str, value: Any, tmp_path: Path) -> None:
    (found,) = read_config(config(tmp_path, f"a: {{b: {text}}}" if text else "a:\n  b:")).values()
    assert found == value and type(found) is type(value)


def test_a_file_without_options_changes_nothing(tmp_path: Path) -> None:
    assert read_config(config(tmp_path, "# nothing yet\n")) == {}
    assert read_config(config(tmp_path, "optim: {}\n")) == {}


def test_paths_are_absolute_like_those_of_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = read_config(config(tmp_path, "data: {dir: photos}\nmetrics.weights: w.pth\n"))
    assert found == {"data.dir": str(tmp_path / "photos"), "metrics.weights": str(tmp_path / "w.pth")}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("optim.g_lr: 1\noptim: {g_lr: 2}", "optim.g_lr is given twice"),
        ("train.batch: 8\ntrain.batch: 9", "train.batch is given twice"),
        ("optim: {g_lr: 1, g_lr: 2}", "g_lr is given twice"),
        ("loss.name: [bce, wgan]", "loss.name is a list"),
        ("- loss.name", "list"),
        ("just words", "str"),
        ("a: {b", "expected"),
        ("a: !!python/name:os.system x", "python/name"),
        ("a: !!timestamp 2024-01-31", "date"),
        ("? [a]\n: 1", "no name"),
        ("true: 1", "no name"),
        ('data.dir: "a\\0b"', "data.dir has NUL in it"),
        ("a: &a {b: 1}\nc: *a", "line 2: *a stands for another value"),
        ("\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)), "*a0 stands"),
    ],
)
def test_a_wrong_file_gets_one_line(
    text: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config(tmp_path, text)
    for words in (["start", "digits"], ["trial", "dcgan"], ["doctor"]):
        assert main([*words, "--config", "options.yaml"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "options.yaml" in line and hint in line
    assert [path.name for path in tmp_path.iterdir()] == ["options.yaml"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", b'{"optim.g_lr": 1,}'), ("a.json", b'{"a": 1, "a": 2}'), ("a.yaml", b"\xff\xfe{")]
)
def test_a_file_that_is_neither_json_nor_text(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        read_config(tmp_path / name)


def test_unknown_options_and_missing_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, "optim.g_lrr: 1")
    for words in (["start", "digits", "--dry-run"], ["trial", "dcgan"], ["doctor"]):
        assert main([*words, "--config", str(path)]) == 2
        assert "did you mean optim.g_lr" in capsys.readouterr().err
    assert main(["trial", "dcgan", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_the_command_line_wins_over_the_file() -> None:
    file = {"loss.name": "wgan", "loss.clip": 0.1, "optim.g_lr": 1e-3, "metrics.name": "vgg16", "metrics.num_fake": 64}
    assert overridden(file, {"optim.g_lr": 1e-4}) == {**file, "optim.g_lr": 1e-4}
    assert overridden(file, {"loss.name": "wgan"}) == file
    switched = overridden(file, {"loss.name": "bce", "metrics.name": "digits-classifier"})
    assert "loss.clip" not in switched and switched["metrics.num_fake"] == 64
    assert (switched["loss.name"], switched["metrics.name"]) == ("bce", "digits-classifier")
