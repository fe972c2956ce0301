"""The script that trains classifiers, of any data set."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from gansearch.cli.parser import call
from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.loader import load_images
from gansearch.metrics.floor import floor_of
from gansearch.metrics.scorer import scorer_for

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_classifier.py"
COLOURS = {"blue": (30, 60, 200), "green": (30, 200, 60), "red": (200, 60, 30)}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of equal brightness that colour alone tells apart, 40 images each."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for number in range(40):
            noise = rng.integers(-30, 31, (32, 32, 1))
            Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    return root


@pytest.fixture
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("train_classifier", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    torch.use_deterministic_algorithms(False)


def test_a_colour_classifier_is_trained_and_its_lines_make_a_search_use_it(
    script: ModuleType, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "colours.safetensors"
    options = ["--data", "image_folder", "--set", f"dir={photographs}", "--epochs", "30", "--width", "4", "--flip"]
    assert script.main([*options, "--set", "test_share=0.25", "--out", str(out)]) == 0
    accuracy, file, settings = capsys.readouterr().out.splitlines()
    assert float(accuracy.split()[2]) > 0.9
    sha256 = file.rpartition(" ")[2]
    assert settings == f"--set metrics.weights={out} --set metrics.weights_sha256={sha256}"

    metrics = MetricsConfig(weights=str(out), weights_sha256=sha256, num_fake=20)
    data = DataConfig.model_validate({"name": "image_folder", "dir": str(photographs), "test_share": 0.25})
    train = load_images(data, "train")
    config = TrialConfig(data=data, metrics=metrics)
    scorer = scorer_for(config, torch.device("cpu"))
    floor = floor_of(config, scorer.reference, torch.device("cpu"))
    assert floor is not None and train.labels is not None
    assert scorer.fid([train.pixels[train.labels == 0][:20]]) > 10 * floor.fid


def test_without_a_test_split_accuracy_is_not_measured(
    script: ModuleType, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "colours.safetensors"
    options = ["--data", "image_folder", "--set", f"dir={photographs}", "--epochs", "1", "--width", "4"]
    assert script.main([*options, "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("test accuracy not measured: ") and out.is_file()


def test_a_mirrored_image_is_the_same_image_mirrored(script: ModuleType) -> None:
    images = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images[..., 16:] += 10  # the right half is the bright one
    for flip in (False, True):
        torch.manual_seed(0)
        shown = script.augment(images, flip)
        mirrored = (shown[..., :8].mean((1, 2, 3)) > shown[..., 24:].mean((1, 2, 3))).sum()
        assert (10 < mirrored < 54) if flip else mirrored == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "image_folder", "--set", "dir=DIR"], "give --out FILE for the weights"),
        (["--data", "image_folder", "--set", "dir=DIR/red", "--out", "FILE"], "fewer than two classes"),
        (["--data", "image_folder", "--set", "dir", "--out", "FILE"], "--set data.dir: write path.to.option=value"),
        (["--data", "digits", "--set", "colour=1", "--out", "FILE"], "unknown option of digits 'data.colour'"),
        (["--data", "digits", "--out", "DIR"], "DIR cannot be written: choose another --out"),
        (["--data", "digits", "--out", "FILE", "--epochs", "0"], "--epochs: 0 is not a whole number from 1"),
    ],
)
def test_wrong_input_gets_one_line_and_2(
    script: ModuleType,
    photographs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    file = tmp_path / "weights.safetensors"
    words = [word.replace("DIR", str(photographs)).replace("FILE", str(file)) for word in arguments]
    try:
        code = call("train_classifier.py", lambda: script.main(words))
    except SystemExit as exit:
        code = exit.code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("decoding")]
    assert code == 2 and len(lines) == 1
    assert message in lines[0].replace(str(photographs), "DIR")
    assert not file.exists()
