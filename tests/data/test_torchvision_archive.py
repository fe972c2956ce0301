"""Data sets that are downloaded, through torchvision's real code and from a local server."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from gansearch import registry
from gansearch.config import DataConfig
from gansearch.data.base import Dataset
from gansearch.errors import UserError
from tests.data.archives import Served
from tests.data.processes import Companions

FILES = {"cifar10": "cifar-10-python.tar.gz", "fashion_mnist": "train-images-idx3-ubyte.gz"}
NAMES = sorted(FILES)

IMPORTS = """
import json
from pathlib import Path
from gansearch.data.cifar10 import Cifar10
from gansearch.data.fashion_mnist import FashionMnist
from tests.data.archives import apply
"""
BOTH = """
apply(json.loads(Path(sys.argv[1]).read_text()))
print("ready", flush=True)
sys.stdin.readline()
print(*(kind(dir=sys.argv[2]).load("train").fingerprint for kind in (Cifar10, FashionMnist)), flush=True)
sys.stdin.readline()
"""


def dataset(name: str, folder: Path) -> Dataset:
    built: Dataset = registry.build("data", DataConfig.model_validate({"name": name, "dir": str(folder)}))
    return built


@pytest.mark.parametrize("name", NAMES)
def test_it_is_downloaded_once(name: str, served: Served, tmp_path: Path) -> None:
    train = dataset(name, tmp_path / "data").load("train")
    requests = len(served.asked)
    test = dataset(name, tmp_path / "data").load("test")
    assert 0 < requests == len(served.asked)
    assert train.fingerprint != test.fingerprint
    again = dataset(name, tmp_path / "data").load("train")
    assert torch.equal(again.pixels, train.pixels) and requests == len(served.asked)


def test_two_processes_download_once(served: Served, tmp_path: Path) -> None:
    alone = [dataset(name, tmp_path / "alone").load("train").fingerprint for name in NAMES]
    by_one = Counter(served.asked)
    served.asked.clear()
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(served.settings))
    companions = Companions(IMPORTS, BOTH, str(settings), str(tmp_path / "data"))
    assert companions.step() == ["ready", "ready"]
    assert [line.split() for line in companions.step()] == [alone, alone]
    companions.end()
    assert Counter(served.asked) == by_one


@pytest.mark.parametrize("name", NAMES)
def test_the_default_folder_is_in_the_cache(
    name: str, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))
    images = registry.build("data", DataConfig(name=name, resolution=16)).load("test")
    assert images.pixels.shape[2:] == (16, 16)
    assert len(list((tmp_path / "cache" / "data").iterdir())) > 1


@pytest.mark.parametrize("name", NAMES)
def test_stdout_stays_free_for_results(
    name: str, served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset(name, tmp_path / "data").load("train")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(("name", "file"), FILES.items())
def test_a_failed_download_reports_what_to_do_offline(name: str, file: str, served: Served, tmp_path: Path) -> None:
    (served.folder / file).unlink()
    with pytest.raises(UserError, match=rf"{name} is not in .*404.*put {file}.* into .*--data-dir") as caught:
        dataset(name, tmp_path / "data").load("train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "file"), FILES.items())
def test_a_damaged_download_is_refused(name: str, file: str, served: Served, tmp_path: Path) -> None:
    whole = (served.folder / file).read_bytes()
    (served.folder / file).write_bytes(whole[:-20])
    with pytest.raises(UserError, match="corrupted"):
        dataset(name, tmp_path / "data").load("train")
    (served.folder / file).write_bytes(whole)
    assert len(dataset(name, tmp_path / "data").load("train")) == 20


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_cannot_be_written_is_refused(name: str, served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"{name} is not in .*file/below"):
        dataset(name, tmp_path / "file" / "below").load("train")
