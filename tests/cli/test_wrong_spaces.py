"""A space that can't be searched, and a run whose space was changed: one line, exit code 2, and no Ray was started."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import gansearch as gs
from gansearch.cli.search import main
from gansearch.errors import UserError
from gansearch.logs import warn_once
from gansearch.run import RunDir
from tests.analysis.synthetic_run import make_search
from tests.cli.test_search import refused

pytestmark = pytest.mark.usefixtures("no_ray")

SOURCE = """
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import gansearch as gs
from gansearch.config import TrialConfig
from gansearch.run import When
RATE = FloatDistribution(1e-4, 1e-2, log=True)
LOSS = CategoricalDistribution(["bce", "wgan"])
CLIP = FloatDistribution(0.01, 0.1)
SPACE = gs.Space(base=TrialConfig().override({"model.features": 8}), **FIELDS)
"""


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def init(*args: Any, **kwargs: Any) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("ray.init", init)
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def written(params: str, baselines: str = "[]") -> str:
    return SOURCE.replace("**FIELDS", f"params={params}, baselines={baselines}")


# What the file itself can't make: Optuna's error, or the space's own.
NO_SPACE = [
    # No room for a choice.
    ("{'loss.name': CategoricalDistribution([])}", "line 9: ValueError: The `choices` must contain one or more"),
    ("{'loss.name': CategoricalDistribution(['bce', 'wgan', 'bce'])}", "loss.name: the choice bce is given twice"),
    ("{'replay.every': CategoricalDistribution([2, 2.0])}", "replay.every: the choice 2.0 is given twice"),
    # Ranges.
    ("{'optim.g_lr': FloatDistribution(0, 1e-3, log=True)}", "line 9: ValueError: `low > 0` must hold for `log=True`"),
    ("{'optim.g_lr': FloatDistribution(-1, 1, log=True)}", "line 9: ValueError: `low > 0` must hold for `log=True`"),
    ("{'optim.d_steps': IntDistribution(0, 4, log=True)}", "line 9: ValueError: `low >= 1` must hold for `log=True`"),
    ("{'optim.g_lr': FloatDistribution(1e-2, 1e-3)}", "line 9: ValueError: `low <= high` must hold"),
    ("{'optim.d_steps': IntDistribution(4, 1)}", "line 9: ValueError: `low <= high` must hold"),
    ("{'optim.g_lr': FloatDistribution(float('nan'), 1)}", "optim.g_lr=nan: input should be a finite number"),
    ("{'optim.g_lr': FloatDistribution(1e-4, float('inf'))}", "optim.g_lr=inf: input should be a finite number"),
    ("{'optim.g_lr': FloatDistribution(-1e308, 1e308)}", "optim.g_lr: from low=-1e+308 to high=1e+308 is too far"),
    ("{'optim.d_steps': IntDistribution(1, 10**400)}", "optim.d_steps: a whole number of a range lies within"),
    # Steps.
    ("{'optim.g_lr': FloatDistribution(1e-4, 1e-3, step=0)}", "`step > 0` must hold"),
    ("{'optim.d_steps': IntDistribution(1, 4, step=-1)}", "`step > 0` must hold"),
    ("{'optim.g_lr': FloatDistribution(1e-4, 1e-3, step=1)}", "step=1, but the range is not divisible"),
    ("{'optim.d_steps': IntDistribution(1, 4, step=9)}", "step=9, but the range is not divisible"),
    ("{'optim.g_lr': FloatDistribution(1e-4, 1e-3, log=True, step=1e-4)}", "`step` is not supported when `log` is"),
    # Conditions.
    ("{'optim.g_lr': When('optim.g_lr', 1e-3, RATE)}", "optim.g_lr depends on itself: remove its condition"),
    (
        "{'optim.d_steps': When('replay.every', 2, IntDistribution(1, 2)),"
        " 'replay.every': When('optim.d_steps', 2, IntDistribution(1, 2))}",
        "optim.d_steps depends on itself, through replay.every: remove one of these conditions",
    ),
    (
        "{'optim.d_steps': When('replay.every', 2, IntDistribution(1, 2)),"
        " 'replay.every': When('loss.name', 'wgan', IntDistribution(1, 2)),"
        " 'loss.name': When('optim.d_steps', 2, LOSS)}",
        "optim.d_steps depends on itself, through replay.every, loss.name: remove one of these conditions",
    ),
    ("{'loss.name': LOSS, 'loss.clip': When('loss.name', among=[], domain=CLIP)}", "among=[] has no value"),
]

# What is a space, and can't be searched, with the settings of the command line.
NOTHING_SET: Mapping[str, Any] = {}
NOT_SEARCHED: list[tuple[str, str, Mapping[str, Any], str]] = [
    (
        "{'optim.g_lr': RATE, 'optim.d_steps': IntDistribution(2, 2)}",
        "[]",
        NOTHING_SET,
        "optim.d_steps has the one value 2, which leaves nothing to search: give it another, or set optim.d_steps=2 in",
    ),
    ("{'optim.g_lr': FloatDistribution(1e-3, 1e-3)}", "[]", NOTHING_SET, "optim.g_lr has the one value 0.001"),
    ("{'loss.name': CategoricalDistribution(['bce'])}", "[]", NOTHING_SET, "loss.name has the one value bce"),
    (
        "{'model.spectral_norm': CategoricalDistribution([True])}",
        "[]",
        NOTHING_SET,
        "model.spectral_norm has the one value true",
    ),
    (
        "{'loss.name': LOSS, 'loss.clip': When('loss.name', 'wgan', FloatDistribution(0.01, 0.01))}",
        "[]",
        NOTHING_SET,
        "loss.clip has the one value 0.01",
    ),
    ("{}", "[]", NOTHING_SET, "no option is searched, so all trials would be the same"),
    ("{'optim.g_lr': RATE}", "[]", {"optim.g_lr": 1e-3}, "no option is searched, so all trials would be the same"),
    (
        "{'optim.d_lr/optim.g_lr': FloatDistribution(1, 4)}",
        "[]",
        {"optim.d_lr/optim.g_lr": 2.0},
        "no option is searched, so all trials would be the same",
    ),
    (
        "{'loss.name': LOSS}, forbidden=[{'loss.name': 'wgan'}]",
        "[]",
        NOTHING_SET,
        "no option is searched, so all trials would be the same",
    ),
    (
        "{'optim.beta1': FloatDistribution(0, 0.5, step=0.1), 'optim.g_lr': When('optim.beta1', 3 * 0.1, RATE)}",
        "[]",
        NOTHING_SET,
        "optim.g_lr applies when optim.beta1=0.30000000000000004, a value that optim.beta1 never has in this space",
    ),
    ("{'optim.g_lr': RATE}", "[]", {"optim.g_lr": float("nan")}, "optim.g_lr=nan is outside the space's domain"),
    ("{'optim.g_lr': RATE}", "[]", {"optim.d_lr": float("inf")}, "optim.d_lr=inf: input should be a finite number"),
    ("{'optim.d_steps': IntDistribution(1, 3, step=2)}", "[]", {"optim.d_steps": 2}, "optim.d_steps=2 is outside"),
    (
        "{'loss.name': LOSS, 'loss.clip': When('loss.name', 'hinge', CLIP)}",
        "[]",
        NOTHING_SET,
        "loss.clip applies when loss.name=hinge, a value that loss.name never has in this space",
    ),
    (
        "{'optim.d_steps': IntDistribution(1, 2), 'optim.g_lr': When('optim.d_steps', 3, RATE)}",
        "[]",
        NOTHING_SET,
        "optim.g_lr applies when optim.d_steps=3, a value that optim.d_steps never has in this space",
    ),
    (
        "{'optim.beta1': FloatDistribution(0, 0.5), 'optim.g_lr': When('optim.beta1', 0.3, RATE)}",
        "[]",
        NOTHING_SET,
        "optim.g_lr applies when optim.beta1=0.3, which is practically never drawn: give optim.beta1 steps",
    ),
    (
        "{'loss.clip': When('loss.nam', 'wgan', CLIP)}",
        "[]",
        NOTHING_SET,
        "loss.nam, which is no parameter of the space",
    ),
    (
        "{'optim.g_lr': FloatDistribution(1e-3, 1e-2)}",
        "['dcgan']",
        NOTHING_SET,
        "baseline dcgan: optim.g_lr=0.0002 is outside the space's domain, 0.001 to 0.01; widen it",
    ),
    (
        "{'optim.g_lr': FloatDistribution(1e-3, 1e-2), 'optim.d_lr': RATE}",
        "['dcgan']",
        {"optim.d_lr": 1e-3},
        "baseline dcgan: optim.g_lr=0.0002 is outside the space's domain, 0.001 to 0.01; widen it",
    ),
    (
        "{'optim.d_steps': IntDistribution(2, 4)}",
        "['dcgan']",
        NOTHING_SET,
        "baseline dcgan: optim.d_steps=1 is outside",
    ),
    (
        "{'loss.name': CategoricalDistribution(['wgan', 'hinge'])}",
        "['dcgan']",
        NOTHING_SET,
        "baseline dcgan: unknown value of loss.name: 'bce'",
    ),
    ("{'optim.g_lr': RATE}", "['dcgann']", NOTHING_SET, "unknown recipe 'dcgann'; did you mean dcgan"),
    ("{'optim.glr': RATE}", "['dcgan']", NOTHING_SET, "unknown option 'optim.glr'; did you mean optim.g_lr"),
    (
        "{'optim.glr': RATE, 'optim.d_lr': RATE}",
        "['dcgan']",
        {"optim.d_lr": 1e-3},
        "unknown option 'optim.glr'; did you mean optim.g_lr",
    ),
]


def as_arguments(settings: Mapping[str, Any]) -> list[str]:
    return [word for path, value in settings.items() for word in ("--set", f"{path}={json.dumps(value)}")]


@pytest.mark.parametrize(("params", "message"), NO_SPACE)
@pytest.mark.filterwarnings("error")
def test_a_file_that_makes_no_space_is_refused_with_the_line(
    params: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("wrong.py").write_text(written(params))
    line = refused(capsys, "start", "wrong.py")
    assert "space wrong.py: line 9: " in line and message in line


@pytest.mark.parametrize(("params", "baselines", "settings", "message"), NOT_SEARCHED)
def test_a_space_that_can_t_be_searched_is_refused_from_every_door(
    params: str, baselines: str, settings: Mapping[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(params, baselines)
    Path("wrong.py").write_text(source)
    assert message in refused(capsys, "start", "wrong.py", *as_arguments(settings))
    assert message in refused(capsys, "start", "wrong.py", "--dry-run", *as_arguments(settings))
    names: dict[str, Any] = {}
    exec(source, names)
    with pytest.raises(UserError) as caught:
        gs.search(names["SPACE"], name="wrong", options=settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("runs/wrong").exists()


@pytest.mark.parametrize(
    ("params", "message"),
    [(params, message.removeprefix("line 9: ")) for params, message in NO_SPACE[::4]]
    + [(params, message) for params, baselines, settings, message in NOT_SEARCHED[:6] if not settings],
)
def test_a_space_of_an_installed_package_is_refused_as_a_file_is(
    params: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    packages = tmp_path_factory.mktemp("packages")  # outside of where the command runs: Python keeps its bytecode there
    info = packages / "wrongly-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wrongly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gansearch.spaces]\nwrongly = wrongly:SPACE\n")
    (packages / "wrongly.py").write_text(written(params))
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.delitem(sys.modules, "wrongly", raising=False)
    assert message in refused(capsys, "start", "wrongly")


def searched(content: dict[str, Any]) -> dict[str, Any]:
    return content["space"]["params"]


def choices(path: str, *values: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        searched(content)[path]["domain"]["attributes"]["choices"] = list(values)

    return change


def narrowed(content: dict[str, Any]) -> None:
    searched(content)["optim.d_steps"]["domain"]["attributes"]["high"] = 2


def made_a_range(content: dict[str, Any]) -> None:
    searched(content)["model.attention_at"]["domain"] = searched(content)["optim.beta1"]["domain"]


def made_choices(content: dict[str, Any]) -> None:
    domain = {"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.2]}}
    searched(content)["optim.beta1"]["domain"] = domain


def removed(content: dict[str, Any]) -> None:
    del searched(content)["replay.every"]


def added(content: dict[str, Any]) -> None:
    searched(content)["optim.beta2"] = searched(content)["optim.beta1"]


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str, bool]] = {
    "a choice is gone": (choices("loss.name", "bce", "wgan", "wgan-gp"), "has loss.name=hinge, which is outside", True),
    "other choices": (choices("model.attention_at", "none", 4), "has model.attention_at=8, which is outside", True),
    "a type": (choices("model.spectral_norm", "false", "true"), "has model.spectral_norm=", True),
    "a narrow range": (narrowed, "has optim.d_steps=3, which is outside", True),
    "choices became a range": (made_a_range, "has model.attention_at=", True),
    "a range became choices": (made_choices, "has optim.beta1=", True),
    "a parameter is gone": (removed, "has replay.every=", True),
    "a parameter is new": (added, "has no optim.beta2, which is a parameter", False),
}


@pytest.mark.parametrize(("change", "message", "is_warned"), CHANGES.values(), ids=CHANGES)
def test_a_run_whose_space_was_changed_is_read_but_not_continued(
    change: Callable[[dict[str, Any]], None], message: str, is_warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_search(Path("run"))
    content = json.loads(run.search_json.read_text())
    change(content)
    run.search_json.write_text(json.dumps(content))
    rows = run.results.read_bytes()
    for command in (["resume"], ["extend", "--trials", "+2"], ["extend", "--max-kimg", "90"], ["finals"]):
        *_, line = (lines := refused_after_warnings(capsys, command[0], "run", *command[1:]))
        assert "run/results.jsonl: trial 00" in line and message in line and line.endswith("or start a new search")
        assert len(lines) == 1 + is_warned
    with pytest.raises(UserError, match="undo what was changed there, or start a new search"):
        gs.load("run").resume()
    assert run.results.read_bytes() == rows
    for command in (["rank"], ["rank", "--csv", "trials.csv", "--parquet", "trials.parquet"], ["status"]):
        require_read(capsys, *command)


@pytest.mark.parametrize("left_out", ["choices became a range", "other choices"])  # of one and the same parameter
def test_a_run_whose_space_was_changed_is_drawn(left_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With all changes at once: plots take seconds."""
    run = make_search(Path("run"))
    content = json.loads(run.search_json.read_text())
    for name, (change, _, _) in CHANGES.items():
        if name != left_out:
            change(content)
    run.search_json.write_text(json.dumps(content))
    require_read(capsys, "plot")
    require_read(capsys, "report")


def require_read(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> None:
    capsys.readouterr()
    assert main([command, "run", *arguments]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) >= (1 if command == "report" else 10) and "Traceback" not in err


def refused_after_warnings(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    warn_once.cache_clear()
    capsys.readouterr()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_a_value_outside_the_changed_space_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    run = make_search(Path("run"))
    content = json.loads(run.search_json.read_text())
    choices("loss.name", "bce", "wgan", "wgan-gp")(content)
    run.search_json.write_text(json.dumps(content))
    warn_once.cache_clear()
    assert main(["status", "run"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "has loss.name=hinge, which is outside the space of search.json: plots and data frames leave it out" in line


def test_a_space_that_only_grew_is_continued(capsys: pytest.CaptureFixture[str]) -> None:
    """What it refuses here comes later: the FIDs of this run are invented."""
    run: RunDir = make_search(Path("run"))
    content = json.loads(run.search_json.read_text())
    choices("loss.name", "bce", "hinge", "wgan", "wgan-gp", "lsgan")(content)
    run.search_json.write_text(json.dumps(content))
    assert "measured FID otherwise" in refused(capsys, "resume", "run")
