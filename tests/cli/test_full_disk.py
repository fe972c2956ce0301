"""What commands write on a full disk: exit code 2, one line that names the file, nothing half-written."""

import gzip
from pathlib import Path

import pytest

from gansearch.cli.search import main
from tests.analysis.synthetic_run import make_search

COMMANDS = {
    "plot": ["--out", "plots"],
    "report": ["--out", "page.html"],
    "rank --csv": ["--csv", "trials.csv"],
    "rank --parquet": ["--parquet", "trials.parquet"],
}


def call(name: str, run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    option, file = COMMANDS[name]
    capsys.readouterr()
    assert main([name.split()[0], str(run), option, str(folder / file)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1, err
    return err


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_search(tmp_path_factory.mktemp("runs") / "run").path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(name: str, run: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = call(name, run, full_disk, capsys)
    assert str(full_disk) in line and "No space left on device" in line and "--" in line
    assert [path.name for path in full_disk.rglob("*") if path.is_file()] == ["old"]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "plot"])
def test_a_file_of_before_stays(name: str, run: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (full_disk / "old").write_bytes(bytes(2**15))
    before = full_disk / COMMANDS[name][1]
    before.write_bytes(bytes(2**15))
    call(name, run, full_disk, capsys)
    assert before.read_bytes() == bytes(2**15)
    assert {path.name for path in full_disk.iterdir()} == {"old", before.name}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_device_is_written_to_and_not_replaced(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, option = name.split()[0], COMMANDS[name][0]
    assert main([command, str(run), option, "/dev/full"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert Path("/dev/full").is_char_device()


def test_a_packed_table(run: Path, tmp_path: Path) -> None:
    assert main(["rank", str(run), "--csv", str(tmp_path / "trials.csv.gz")]) == 0
    with gzip.open(tmp_path / "trials.csv.gz", "rt") as file:
        assert file.readline().startswith("rank,")
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv.gz"]
