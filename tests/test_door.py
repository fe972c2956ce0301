"""The Python door: a search from a script, in the main thread or another one, with classes of one's own."""

import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution

import gansearch as gs
from gansearch import foreign
from gansearch.errors import UserError
from gansearch.losses.hinge import Hinge
from gansearch.run.rows import End, Eval, Start
from tests.analysis.report_page import with_finals
from tests.analysis.synthetic_run import make_search
from tests.sleeping import sleeping_trials

SMALL = {"model.features": 8, "metrics.num_fake": 64, "train.batch": 16, "train.evaluations": 3}


class Narrow(Hinge):
    """A loss of one's own."""

    margin: float = 0.5


SPACE = gs.Space(
    base=gs.TrialConfig().override({**SMALL, "train.precision": "float32"}),
    params={
        "optim.g_lr": FloatDistribution(2e-4, 4e-3, log=True),
        "loss.name": CategoricalDistribution([Narrow, "hinge"]),
        "loss.margin": gs.When("loss.name", Narrow, FloatDistribution(0.2, 0.8)),
    },
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_class_stands_where_a_name_can() -> None:
    name = f"{__name__}:Narrow"
    assert SPACE.params["loss.name"].domain.choices == (name, "hinge")
    assert SPACE.conditions("loss.margin")[0].among == (name,)
    assert gs.TrialConfig().override({"loss.name": Narrow}).loss.name == name


def test_the_finals_decide_here_too(folder: Path) -> None:
    with_finals(folder / "runs/demo")
    run = gs.load("demo")
    assert [(one.trial_id, one.mean) for one in run.finalists] == [("0000", 31.0), ("0001", 40.0)]
    assert run.best is not None and run.best.trial_id == "0000"
    assert repr(run).endswith("6 trials, best FID 31.00 (trial 0000))")
    assert run.report() == Path("runs/demo/report/index.html")
    assert run.report(folder / "one.html").is_file()
    with pytest.raises(UserError, match="trial 1 and the lowest FID are wanted at once"):
        run.export(1, lowest=True)


def test_a_run_as_frames_and_figures(folder: Path) -> None:
    make_search(folder / "runs/demo", trials=5)
    run = gs.load("demo")
    trials, evaluations = run.trials(), run.evaluations()
    assert trials["trial_id"].tolist() == [row.trial_id for row in run.rank()]
    assert run.best is not None and run.best.trial_id == trials["trial_id"][0]
    assert trials["best_fid"].dropna().is_monotonic_increasing
    assert set(evaluations["trial_id"]) == set(trials["trial_id"][trials["best_fid"].notna()])
    assert trials["number"].dtype == "int64" and isinstance(trials["loss.name"].dtype, pd.CategoricalDtype)
    figures = run.plot()
    assert "fid_vs_kimg" in figures and all(isinstance(figure, Figure) for figure in figures.values())
    assert not (run.path / "plots").exists()
    assert "5 trials, best FID" in repr(run) and run._repr_html_().startswith("<table")


def test_what_is_wrong_is_said_before_anything_starts(folder: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"space": "digitz"}, "unknown space 'digitz'; did you mean digits"),
        ({"space": "digits", "options": {"optim.g_lrr": 1}}, "did you mean optim.g_lr"),
        ({"space": "digits", "options": {"loss.name": Path}}, "a class of PurePath"),
        ({"space": "digits", "data": "digit"}, "digit"),
        ({"space": "digits", "trials": 0}, "trials=0"),
        ({"space": "digits", "trails": 3}, "there is no option trails"),
        ({"space": "digits", "name": "a/b"}, "run name 'a/b'"),
        ({"space": "digits", "sampler": "tpee"}, "tpee"),
        ({"space": 3}, "space=3 is of a wrong type"),
    ]
    for arguments, message in wrong:
        with pytest.raises(UserError, match=message) as caught:
            gs.search(**arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="unknown run"):
        gs.load("nothing")
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": None}, "space=None is of a wrong type"),
        ({"max_kimg": "1"}, "max_kimg='1' is of a wrong type: give float | None"),
        ({"name": 5}, "name=5 is of a wrong type"),
        ({"options": ["a"]}, r"options=\['a'\] is of a wrong type"),
        ({"loggers": 5}, "loggers: 5 is neither a name nor a class"),
        ({"storage": 5}, "storage=5"),
        ({"data": object}, r"data\.name=builtins:object is the class object"),
    ],
)
def test_an_argument_of_a_wrong_type_gets_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        gs.search(**{"space": "digits", "name": "wrong", **arguments})
    assert "\n" not in str(caught.value)
    assert not Path("runs/wrong").exists()


def test_allow_code_is_a_boolean_or_names() -> None:
    with pytest.raises(UserError, match="allow_code=5: give True, False, names or classes"):
        foreign.allow(5, [])  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_search_in_a_thread_with_a_class_of_one_s_own() -> None:
    """Its trials sleep; a search that trains is in the notebook of the docs."""
    rows: list[Any] = []
    runs: dict[str, gs.Run] = {}

    def work() -> None:
        runs["one"] = gs.search(SPACE, name="one", trials=2, max_kimg=0.72, on_row=rows.append, scheduler=None)

    thread = threading.Thread(target=work)
    with sleeping_trials():
        thread.start()
        thread.join(timeout=300)
        run = runs["one"]
        trials, evaluations = run.trials(), run.evaluations()
        longer = run.extend(max_kimg=0.96)
    assert [type(row) for row in rows if row.trial_id == "0000"] == [Start, Eval, Eval, Eval, End]
    assert trials["status"].tolist() == ["completed"] * 2
    assert trials["loss.margin"].notna().tolist() == (trials["loss.name"] == f"{__name__}:Narrow").tolist()
    assert len(evaluations) == 6
    assert longer.trials()["kimg"].max() == 0.96
