"""`metrics.name=MODULE:FACTORY`: a stranger's file beside which a trial is started."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gansearch import foreign, registry
from gansearch.cli.search import main
from gansearch.config import MetricsConfig
from gansearch.data.base import Images
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import loaded
from gansearch.metrics.extractors.imported import Imported
from gansearch.metrics.fid import frechet_distance
from gansearch.metrics.reference import reference_of
from gansearch.run.paths import RunDir
from gansearch.run.rows import End, read

CPU = torch.device("cpu")

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 5, 2)
        self.register_buffer("scale", torch.tensor(127.5), persistent=False)

    def forward(self, images):
        return self.conv(images.float() / self.scale - 1).relu().mean((2, 3))


def make():
    return Net()


def from_file(path):
    net = Net()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net
"""

# Each makes features of another kind, by a module that holds no tensors.
ODD = """
import functools

from torch import nn


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


def plain(): return Of(lambda x: x.float().mean((2, 3)))
def whole(): return Of(lambda x: x.flatten(1)[:, ::100])
def paired(): return Of(lambda x: (x.float().mean((2, 3)), None))
def flat(): return Of(lambda x: x.float().flatten())
def text(): return Of(lambda x: "features")
def complex(): return Of(lambda x: x.float().mean((2, 3)) + 1j)
def empty(): return Of(lambda x: x.float().flatten(1)[:, :0])
def fewer(): return Of(lambda x: x.float().mean((2, 3))[1:])
def nan(): return Of(lambda x: x.float().mean((2, 3)) / 0 * 0)
def nothing(): return None
def needs(path): return plain()


net = nn.Flatten()
three = 3
part = functools.partial(needs, "x")
"""

FEW = """
from optuna.distributions import FloatDistribution
from gansearch.config import TrialConfig
from gansearch.run.space import Space

BASE = TrialConfig().override({"train.batch": 16, "train.precision": "float32"})
SPACE = Space(base=BASE, params={"optim.g_lr": FloatDistribution(1e-4, 4e-3, log=True)}, trials=2)
"""

HOLD = "net.register_buffer('held', torch.load(path, weights_only=True), persistent=False)"


class Everything(set[str]):
    def __contains__(self, name: object) -> bool:
        return True


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Writes a module into the current folder, an empty one; a module of this name that was imported is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(foreign, "_permitted", Everything())
    # Two versions of one size within a second look the same to Python's cache.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written: set[str] = set()

    def file(name: str, source: str) -> None:
        Path(f"{name}.py").write_text(source)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        written.add(name)

    yield file
    for name in written:
        sys.modules.pop(name, None)


def images(count: int = 6, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def built(name: str, **options: object) -> Imported:
    return registry.build("metrics", MetricsConfig.model_validate({"name": name, **options}))


def hashed(name: str, **options: object) -> str:
    from gansearch.metrics.extractors import base

    base._loaded.cache_clear()  # as a new process has it
    return built(name, **options).weights_hash()


def test_features_are_those_of_the_module(write: Callable[[str, str], None]) -> None:
    write("own", NET)
    extractor = built("own:make")
    module = loaded(extractor, CPU)
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    features = extractor.features(module, images())
    torch.testing.assert_close(features, module(images()))
    assert features.shape == (6, 8) and features.std() > 0
    grey = extractor.features(module, images()[:, :1])
    torch.testing.assert_close(grey, module(images()[:, :1].repeat(1, 3, 1, 1)))


def test_the_hash_is_that_of_source_and_tensors(write: Callable[[str, str], None], tmp_path: Path) -> None:
    write("own", NET)
    first = hashed("own:make")
    assert first == hashed("own:make") == hashed("own:make", weights_sha256=first.upper()) and len(first) == 64
    write("own", NET + "# another word\n")
    assert hashed("own:make") != first
    write("own", NET.replace("127.5)", "128)"))
    buffer = hashed("own:make")
    write("own", NET.replace("127.5", "128.5"))
    assert len({first, buffer, hashed("own:make")}) == 3
    write("own", NET)
    assert hashed("own:make") == first
    write("other", NET)
    assert hashed("other:make") == first  # what its file is called does not matter, nor where it lies


def test_the_hash_follows_the_weights_file(write: Callable[[str, str], None], tmp_path: Path) -> None:
    write("own", NET)
    state = loaded(built("own:make"), CPU).state_dict()
    path, found = tmp_path / "weights.pt", []
    for change in (0, 1e-6, 0):
        torch.save({name: tensor + change for name, tensor in state.items()}, path)
        found.append(built("own:from_file", weights=str(path)).weights_hash())  # in one process
    assert found[0] == found[2] != found[1]
    path.rename(tmp_path / "moved.pt")
    assert hashed("own:from_file", weights=str(tmp_path / "moved.pt")) == found[0]


def test_a_buffer_of_any_type_counts(write: Callable[[str, str], None], tmp_path: Path) -> None:
    write("odd", f"import torch\n{ODD}\ndef holds(path):\n    net = plain()\n    {HOLD}\n    return net\n")
    halves = torch.ones(2, 3).bfloat16()
    numbers = torch.arange(6)
    buffers = [torch.tensor(True), torch.tensor(1), torch.tensor(1 + 2j), torch.ones(0), halves, halves.T]
    buffers += [numbers, numbers.flip(0), numbers[::2], numbers[:3]]
    found = []
    for number, tensor in enumerate([*buffers, numbers.clone()]):
        torch.save(tensor, tmp_path / f"{number}.pt")
        found.append(hashed("odd:holds", weights=str(tmp_path / f"{number}.pt")))
    assert len(set(found)) == len(buffers)
    assert found[-1] == found[6]


def test_another_hash_than_the_given_one_is_refused(write: Callable[[str, str], None]) -> None:
    write("own", NET)
    with pytest.raises(UserError, match=r"own:make with its tensors hashes to .*not to the 0000.*leave that option"):
        built("own:make", weights_sha256="0" * 64).weights_hash()


@pytest.mark.slow
def test_weights_that_are_drawn_are_the_same_in_every_process(write: Callable[[str, str], None]) -> None:
    write("own", NET)
    first = hashed("own:make")
    torch.rand(7)
    assert hashed("own:make") == first
    code = (
        "import torch; torch.rand(3); from gansearch import foreign; foreign.permit(['own:make']);"
        "from gansearch.metrics.extractors.imported import Imported;"
        "print(Imported(name='own:make').weights_hash())"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(registry.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == first


@pytest.mark.parametrize("name", ["plain", "whole", "paired", "part"])
def test_a_module_without_tensors_will_do(write: Callable[[str, str], None], name: str) -> None:
    write("odd", ODD)
    section = MetricsConfig(name=f"odd:{name}", num_fake=6)
    reference = reference_of(section, Images(images()), CPU)
    (moments,) = reference.moments
    assert reference.protocol.extractor == f"odd:{name}" and frechet_distance(moments, moments) < 1e-6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch:make", r"metrics\.name=nosuch:make can't be imported \(ModuleNotFoundError.*in this folder"),
        ("odd:nosuch", r"metrics\.name=odd:nosuch can't be imported \(AttributeError.*'nosuch'"),
        ("syntax:make", r"syntax:make can't be imported \(SyntaxError: .*syntax\.py, line 1"),
        ("odd: plain", r"metrics\.name=odd: plain: write MODULE:NAME, two names without spaces"),
        (" odd:plain", r"write MODULE:NAME"),
        ("odd:", r"write MODULE:NAME"),
        (":plain", r"write MODULE:NAME"),
        ("odd:plain:x", r"write MODULE:NAME"),
        ("./odd:plain", r"write MODULE:NAME"),
        ("odd.py:plain", r"'odd\.py'"),
        ("odd:net", r"odd:net is Flatten: name a subclass of"),
        ("odd:three", r"odd:three is int: name a subclass of"),
        ("odd:needs", r"'path'; it is called with no argument, since metrics\.weights is not given"),
        ("odd:nan", r"odd:nan on real images: the features are not finite"),
        ("odd:nothing", r"odd:nothing made NoneType: make it return a torch module"),
        ("odd:flat", r"odd:flat returned torch\.float32 \(18432,\) for 6 images: .*real numbers \(N, features\)"),
        ("odd:fewer", r"odd:fewer returned torch\.float32 \(5, 3\) for 6 images"),
        ("odd:empty", r"odd:empty returned torch\.float32 \(6, 0\) for 6 images"),
        ("odd:complex", r"odd:complex returned torch\.complex64"),
        ("odd:text", r"odd:text returned str for images"),
    ],
)
def test_a_fault_is_reported_in_one_line(write: Callable[[str, str], None], name: str, message: str) -> None:
    write("odd", ODD)
    write("syntax", "def make(:")
    with pytest.raises(UserError, match=message) as caught:
        reference_of(MetricsConfig(name=name, num_fake=6), Images(images()), CPU)
    assert "\n" not in str(caught.value)


def test_weights_are_handed_to_the_factory_or_refused(write: Callable[[str, str], None], tmp_path: Path) -> None:
    write("own", NET)
    with pytest.raises(UserError, match=r"metrics\.weights=.*none\.pt: there is no such file"):
        built("own:from_file", weights=str(tmp_path / "none.pt")).weights_hash()


def test_nothing_is_made_to_say_what_is_missing(write: Callable[[str, str], None], tmp_path: Path) -> None:
    write("odd", ODD)
    assert built("odd:nothing").missing() is None
    with pytest.raises(UserError, match="no such file"):
        built("odd:needs", weights=str(tmp_path / "none.pt")).missing()


def test_its_precision_is_ours(write: Callable[[str, str], None]) -> None:
    write("own", NET)
    exact, fast = (built("own:make", precision=precision) for precision in ("float32", "bf16"))
    expected, found = (extractor.features(loaded(extractor, CPU), images()) for extractor in (exact, fast))
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.01)


@pytest.mark.slow
def test_a_search_finds_the_module_on_its_workers(
    write: Callable[[str, str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    write("own", NET)
    write("few", FEW)
    small = ["--set", "model.features=8", "--set", "metrics.num_fake=64", "--set", "train.evaluations=1"]
    own = ["--set", "metrics.name=own:make", "--max-kimg", "0.128", "--max-concurrent", "1"]
    assert main(["start", "few.py", "--name", "own", *own, *small]) == 0, capfd.readouterr().err
    ends = [row for row in read(RunDir(Path("runs/own")).results) if isinstance(row, End)]
    assert [end.status for end in ends] == ["completed", "completed"]
    assert main(["trial", "runs/own/trials/0000/config.json", "--out", "again"]) == 0
    (again,) = [row for row in read(RunDir(Path("again")).results) if isinstance(row, End)]
    assert again.best_fid == pytest.approx(ends[0].best_fid, rel=1e-6)
