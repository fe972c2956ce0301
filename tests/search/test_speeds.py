"""What is measured to be fastest, and the flags that follow from it."""

from pathlib import Path

import pytest

from gansearch.cli import doctor
from gansearch.cli.search import main
from gansearch.search.ray import speeds
from gansearch.search.ray.speeds import Speeds, Variant, variants


@pytest.mark.parametrize(
    ("measured", "best"),
    [
        ({("float32", "never", 1): 100, ("bf16", "never", 1): 103}, ("float32", "never", 1)),
        ({("float32", "never", 1): 100, ("bf16", "never", 1): 110}, ("bf16", "never", 1)),
        ({("float32", "never", 1): 100, ("bf16", "always", 1): 300, ("bf16", "never", 4): 301}, ("bf16", "always", 1)),
        ({("float32", "never", 1): 100, ("bf16", "always", 1): 300, ("bf16", "never", 4): 400}, ("bf16", "never", 4)),
        ({("float32", "never", 1): 100, ("float32", "always", 1): 100}, ("float32", "never", 1)),
    ],
)
def test_the_best_is_the_fastest_or_a_plainer_one_that_is_nearly_as_fast(
    measured: dict[tuple[str, str, int], float], best: tuple[str, str, int]
) -> None:
    assert Speeds({Variant(*key): value for key, value in measured.items()}, 1.0).best == best


def test_the_table_and_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    found = {one: 1000.0 * one.trials for one in variants() if one.trials < 8 or one.precision == "bf16"}
    doctor.show_speeds(Speeds(found | {Variant("bf16", "always", 8): 9000.0}, 2.04), is_gpu=True)
    head, *rows, evaluation, best = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "images/s, all trials together" and head.endswith("bf16, compiled")
    assert [row.split()[:2] for row in rows] == [["1", "trial"], *([count, "trials"] for count in "248")]
    assert rows[3].split("once")[1].split() == ["does", "not", "fit", "does", "not", "fit", "8,000", "9,000"]
    assert evaluation == "an FID with its artifacts: 2.0 s"
    assert best == "best here: --gpus-per-trial 0.125 --set train.precision=bf16 --set train.compile=always"


@pytest.mark.slow
def test_doctor_measures_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not compiled, which takes minutes, and one trial at a time."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"_ROUNDS": 1, "_SECONDS": 0.2, "_TRIALS": (1,), "COMPILE": ("never",)}.items():
        monkeypatch.setattr(speeds, name, value)
    monkeypatch.setattr(doctor, "COMPILE", ("never",))
    assert main(["doctor", "digits", "--measure", "--set", "model.features=8"]) == 0
    *_, row, evaluation, best = capsys.readouterr().out.splitlines()
    assert row.startswith("1 trial at once ") and all(float(cell.replace(",", "")) > 0 for cell in row.split()[4:])
    assert evaluation.startswith("an FID with its artifacts: ") and "train.compile=never" in best
    assert not list(tmp_path.iterdir()), "nothing is left"
