"""Code from outside the package: what runs, what is recorded of it, what travels, and what is refused in one line."""

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image

from gansearch import foreign, registry
from gansearch.config import Component, LossConfig, Source, TrialConfig
from gansearch.errors import UserError
from tests.test_registry import LEAST_SQUARES

MINE = (
    LEAST_SQUARES
    + """
import torch
from torch.utils.data import Dataset

import helper


class Dots(Dataset):
    classes = ("few", "many")

    def __init__(self, count=200, broken=False):
        self.count, self.broken = count, broken

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        value = 2.0 if self.broken else 1.0
        return torch.full((3, 20, 24), value) * (index % 2), index % 2


class Split(Dots):
    def __init__(self, train, count=8):
        super().__init__(count if train else 2)


class Half(LeastSquares):
    half: float = helper.HALF  # not decorated


class Unfinished(LeastSquares.__mro__[1]):
    pass


def make():
    return torch.nn.Flatten()
"""
)


WRONG = (
    LEAST_SQUARES
    + """
from torch.utils.data import Dataset


class NoType(LeastSquares):
    option: "NoSuchType" = 1


class Mutable(LeastSquares):
    option: list = []


class Fails(LeastSquares):
    def __post_init__(self):
        1 / 0


class Shadow(Dataset):
    def __init__(self, load):
        pass
"""
)

DATA = """
from PIL import Image
from torch.utils.data import Dataset


def read(index):
    return Image.new("L", (8, 8))


class Pictures(Dataset):
    def __init__(self, labels=(0, 1, 0), classes=None, reader=read, name="pictures", resolution=8, size=(8, (9, 9))):
        assert size == (8, (9, 9)) and name == "pictures"
        self.labels, self.classes, self.reader, self.resolution = labels, classes, reader, resolution

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        if self.labels[index] == "exit":
            raise SystemExit
        return self.reader(index), self.labels[index]


class Torn(Pictures):
    def __getitem__(self, index):
        return Image.open("torn.png"), 0
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the modules `mine` and `helper`; nothing is permitted yet."""
    forget(set())  # modules of these names that other tests have imported
    before, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(foreign, "_permitted", set())
    monkeypatch.setattr(foreign, "_trusted", set())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file that changes within a second is read again
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helper.py").write_text("HALF = 0.5\n")
    yield tmp_path
    forget(before)
    sys.path[:] = path


def forget(before: set[str]) -> None:
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"mine", "helper", "pack", "wrong", "pictures"}:
            del sys.modules[name]


def loss(name: str, **options: object) -> TrialConfig:
    return TrialConfig().override({"loss.name": name, **{f"loss.{key}": value for key, value in options.items()}})


@pytest.mark.usefixtures("mine")
def test_what_a_file_names_does_not_run_unless_it_is_permitted() -> None:
    for kind in registry.KINDS:
        with pytest.raises(UserError, match="is code that a file names: read that code, then run it with --allow-code"):
            registry.build(kind, Component(name="mine:LeastSquares"))
    assert "mine" not in sys.modules
    with pytest.raises(UserError, match=r"metrics\.name=runpy:run_path is code"):
        registry.resolve(TrialConfig().override({"metrics.name": "runpy:run_path"}))
    foreign.permit(["mine:Other"])  # permits that name, and no other of its module
    with pytest.raises(UserError, match="is code"):
        registry.find("loss", "mine:LeastSquares")


@pytest.mark.usefixtures("mine")
def test_a_class_of_a_module_has_its_options_and_its_source_is_recorded() -> None:
    foreign.permit(["mine:LeastSquares", "mine:Half"])
    config = registry.resolve(loss("mine:LeastSquares", target=0.9))
    assert config.loss.options == {"class_weight": 1.0, "target": 0.9}
    assert config.code["mine"].file == "mine.py" and len(config.code["mine"].sha256) == 64
    assert registry.resolve(config) == config
    assert registry.resolve(loss("mine:Half")).loss.options["half"] == 0.5
    with pytest.raises(UserError, match=r"loss\.half=x"):
        registry.resolve(loss("mine:Half", half="x"))
    with pytest.raises(
        UserError, match=r"unknown option of mine:LeastSquares 'loss\.tarket'; did you mean loss\.target"
    ):
        registry.resolve(loss("mine:LeastSquares", tarket=1))


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("loss", "nothing:LSGAN", r"loss\.name=nothing:LSGAN can't be imported \(ModuleNotFoundError: No module named"),
        ("loss", "mine:Nothing", "can't be imported .*has no attribute 'Nothing'"),
        ("loss", "broken:LSGAN", "can't be imported .SyntaxError"),
        ("loss", "exits:LSGAN", "can't be imported .SystemExit"),
        ("loss", "mine:Dots", r"loss\.name=mine:Dots is a class of Dataset: name a subclass of .*\.Loss"),
        ("loss", "mine:make", r"is function: name a subclass of"),
        ("loss", "builtins:object", r"is the class object: name a subclass of"),
        ("loss", "wrong:NoType", r"loss\.name=wrong:NoType has a wrong option: .*NoSuchType"),
        ("loss", "wrong:Mutable", r"has a wrong option: .*mutable default"),
        ("data", "wrong:Shadow", r"Shadow: its argument load can't be an option"),
        ("loss", "mine:Unfinished", "is an unfinished Loss: define "),
        ("loss", "mine:", "write MODULE:NAME, two names without spaces"),
        ("loss", "../mine:LSGAN", "write MODULE:NAME"),
        (
            "loss",
            "__main__:LSGAN",
            "was defined in a script or a notebook: define it here too, or move it into a module",
        ),
        ("model", "mine:LeastSquares", r"is a class of Loss: name a subclass of .*\.Model"),
        ("data", "mine:LeastSquares", r"is a class of Loss: name a subclass of .*\.Dataset"),
        ("sampler", "mine:Dots", r"is a class of Dataset: name a subclass of .*\.Sampler"),
        ("scheduler", "mine:Dots", r"is a class of Dataset: name a subclass of .*\.Scheduler"),
        ("logger", "mine:Dots", r"is a class of Dataset: name a subclass of .*\.Logger"),
        ("artifact", "mine:Dots", r"is a class of Dataset: name a subclass of .*\.Artifact"),
        ("plot", "mine:Dots", r"is a class of Dataset: name a subclass of .*\.Plot"),
    ],
)
def test_a_wrong_name_gets_one_line(mine: Path, kind: registry.Kind, name: str, message: str) -> None:
    (mine / "broken.py").write_text("class LSGAN(\n")
    (mine / "exits.py").write_text("raise SystemExit(1)\n")
    (mine / "wrong.py").write_text(WRONG)
    foreign.permit([name])
    with pytest.raises(UserError, match=message) as caught:
        registry.find(kind, name)
    assert "\n" not in str(caught.value)


def test_a_source_that_changed_is_refused_also_that_of_a_module_it_imports(mine: Path) -> None:
    foreign.permit(["mine:LeastSquares"])
    before = set(sys.modules)
    config = registry.resolve(loss("mine:LeastSquares"))
    for file in ("mine.py", "helper.py"):
        text = (mine / file).read_text()
        forget(before)
        (mine / file).write_text(text + "\n# changed\n")
        with pytest.raises(UserError, match=r"^mine\.py has changed since the run started \(module mine\): restore it"):
            registry.resolve(config)
        forget(before)
        (mine / file).write_text(text)
        assert registry.resolve(config) == config
    (mine / "unrelated.py").write_text("")
    assert registry.resolve(config) == config


@pytest.mark.parametrize("content", [b"def (", b"x = 1\0", b"\xff\xfe", b"from .... import helper"])
def test_a_source_that_has_become_no_python_has_changed(mine: Path, content: bytes) -> None:
    foreign.permit(["mine:LeastSquares"])
    before = set(sys.modules)
    config = registry.resolve(loss("mine:LeastSquares"))
    forget(before)
    (mine / "mine.py").write_bytes(content)
    with pytest.raises(UserError, match=r"^mine\.py has changed since the run started"):
        registry.resolve(config)


def test_a_module_may_do_without_one_beside_it_that_is_no_python(mine: Path) -> None:
    careful = "try:\n    import helper\nexcept SyntaxError:\n    class helper:\n        HALF = 0.25\n"
    (mine / "mine.py").write_text(MINE.replace("import helper\n", careful))
    (mine / "helper.py").write_text("def (")
    foreign.permit(["mine:Half"])
    config = registry.resolve(loss("mine:Half"))
    assert config.loss.options["half"] == 0.25 and registry.resolve(config) == config


def test_a_component_that_fails_when_it_is_built_gets_one_line(mine: Path) -> None:
    (mine / "wrong.py").write_text(WRONG)
    foreign.permit(["wrong:Fails"])
    with pytest.raises(
        UserError, match=r"^loss\.name=wrong:Fails can't be built: ZeroDivisionError: division by zero$"
    ):
        registry.resolve(loss("wrong:Fails"))


def test_a_module_that_python_does_not_find_is_looked_for_where_it_was(mine: Path, tmp_path: Path) -> None:
    foreign.permit(["mine:LeastSquares"])
    before = set(sys.modules)
    config = registry.resolve(loss("mine:LeastSquares"))
    forget(before)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in ("mine.py", "helper.py"):
        (mine / file).rename(elsewhere / file)
    with pytest.raises(UserError, match="can't be imported"):
        registry.resolve(config)
    recorded = config.code["mine"].model_copy(update={"file": str(elsewhere / "mine.py")})
    moved = config.model_copy(update={"code": {"mine": recorded}})
    with pytest.raises(UserError, match="can't be imported"):  # the file may not say where code lies
        registry.resolve(moved)
    foreign.allow(True, ["mine:LeastSquares"])
    assert registry.resolve(moved).loss == config.loss


@pytest.mark.parametrize("file", ["/x.py", "a/b.py", "elsewhere/mine.txt", "elsewhere/mine.py"])
def test_a_recorded_file_that_is_not_the_module_is_not_loaded(mine: Path, file: str) -> None:
    (mine / "elsewhere").mkdir()
    (mine / "elsewhere/mine.py").write_text("open('ran', 'w').close()\n")
    code = {"a.b.c.d": Source(file=file, sha256="0"), "elsewhere.mine": Source(file=file, sha256="0")}
    names = {"a.b.c.d:X", "elsewhere.mine:X"}
    foreign.allow(True, names)
    with pytest.raises(UserError, match=r"has changed since|can't be imported"):
        foreign.require(code, names)
        foreign.find("loss.name", "a.b.c.d:X")
    assert not (mine / "ran").exists()


def test_files_beside_a_module_travel_with_it_and_installed_packages_do_not(mine: Path) -> None:
    (mine / "pack").mkdir()
    (mine / "pack/__init__.py").write_text("")
    (mine / "pack/part.py").write_text("from . import other\nfrom mine import LeastSquares\nimport numpy\n")
    (mine / "pack/other.py").write_text("")
    foreign.permit(["mine:LeastSquares", "pack.part:LeastSquares", "optuna.samplers:QMCSampler"])
    assert registry.find("loss", "mine:LeastSquares") is registry.find("loss", "pack.part:LeastSquares")
    registry.find("sampler", "optuna.samplers:QMCSampler")
    assert foreign.travelling(["mine"]) == [str(mine / "helper.py"), str(mine / "mine.py")]
    assert foreign.travelling(["pack.part", "optuna.samplers", "__main__"]) == [
        str(mine / name) for name in ("helper.py", "mine.py", "pack")
    ]
    (source,) = foreign.sources(["pack.part"]).values()
    assert source.file == "pack/part.py"


@pytest.mark.usefixtures("mine")
def test_a_torch_data_set_is_a_data_set() -> None:
    foreign.permit(["mine:Dots", "mine:Split"])
    dots = registry.build("data", Component.model_validate({"name": "mine:Dots", "resolution": 16, "count": 6}))
    images = dots.load("train")
    assert images.pixels.shape == (6, 3, 16, 16)
    assert images.pixels.flatten(1).float().mean(1).tolist() == [0, 255] * 3
    assert images.counts == (3, 3) and images.classes == ("few", "many")
    with pytest.raises(UserError, match="takes neither `train` nor `split`"):
        dots.load("test")
    split = registry.build("data", Component(name="mine:Split"))
    assert (len(split.load("train")), len(split.load("test"))) == (8, 2)
    broken = registry.build("data", Component.model_validate({"name": "mine:Dots", "broken": True}))
    with pytest.raises(UserError, match=r"^data mine:Dots: a float image has values outside \[0, 1\]: scale it"):
        broken.load("train")
    with pytest.raises(UserError, match=r"unknown option of mine:Dots 'data\.cuont'; did you mean data\.count"):
        registry.build("data", Component.model_validate({"name": "mine:Dots", "cuont": 6}))


def pictures(**options: object) -> Component:
    return Component.model_validate({"name": "pictures:Pictures", "resolution": 16, **options})


def test_options_of_a_torch_data_set_are_those_arguments_that_a_file_can_hold(mine: Path) -> None:
    (mine / "pictures.py").write_text(DATA)
    foreign.permit(["pictures:Pictures"])
    built = registry.build("data", pictures())
    assert {field.name for field in fields(built)} == {"labels", "classes", "resolution", "size"}
    images = built.load("train")
    assert images.pixels.shape == (3, 1, 16, 16) and images.classes == ("0", "1")
    in_a_file = Component.model_validate({"name": "pictures:Pictures", **vars(built)}).model_dump_json()
    again = registry.build("data", Component.model_validate_json(in_a_file))
    assert again == built and again.load("train").counts == (2, 1)
    assert registry.build("data", pictures(classes=3)).load("train").classes == ("0", "1")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0.7], "a label is 0.7: give whole numbers from 0"),
        ([0, float("inf")], "a label is inf: give whole numbers"),
        ([0, 10**9], "labels lie between 0 and 1000000000, but 100000 classes"),
        ([-1, 0], "labels lie between -1 and 0, but"),
        (["exit", 0], "SystemExit"),
        (["cat", 0], "could not convert string to float: 'cat'"),
    ],
)
def test_a_torch_data_set_with_wrong_items_gets_one_line(mine: Path, labels: list[object], message: str) -> None:
    (mine / "pictures.py").write_text(DATA)
    foreign.permit(["pictures:Pictures"])
    with pytest.raises(UserError, match=f"^data pictures:Pictures.*{message}"):
        registry.build("data", pictures(labels=labels)).load("train")


def test_a_torn_picture_of_a_torch_data_set_gets_one_line(mine: Path) -> None:
    (mine / "pictures.py").write_text(DATA)
    Image.effect_noise((64, 64), 9).save(mine / "whole.png")
    (mine / "torn.png").write_bytes((mine / "whole.png").read_bytes()[:600])
    foreign.permit(["pictures:Torn"])
    with pytest.raises(UserError, match=r"^data pictures:Torn: .*truncated"):
        registry.build("data", Component(name="pictures:Torn")).load("train")


@pytest.mark.usefixtures("mine")
def test_an_optuna_sampler_is_a_sampler() -> None:
    foreign.permit(["optuna.samplers:GPSampler"])
    section = Component.model_validate({"name": "optuna.samplers:GPSampler", "n_startup_trials": 3})
    sampler = registry.build("sampler", section)
    assert (sampler.made.__name__, sampler.n_startup_trials) == ("GPSampler", 3)


def test_a_class_is_named_by_its_module() -> None:
    config = TrialConfig().override({"loss.name": LossConfig})
    assert config.loss.name == "gansearch.config:LossConfig"
