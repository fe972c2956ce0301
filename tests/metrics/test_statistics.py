"""Statistics from files: the formats of others, what they give, and files that are none."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gansearch import registry
from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.digits import Digits
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.floor import floor_of
from gansearch.metrics.reference import moments_of, protocol_of, reference_of
from gansearch.metrics.scorer import Scorer
from gansearch.metrics.statistics import read_statistics

CPU = torch.device("cpu")
IMAGES = Digits().load("train")


def features() -> np.ndarray[Any, Any]:
    extractor: Extractor = registry.build("metrics", MetricsConfig())
    return extractor.features(loaded(extractor, CPU), IMAGES.pixels).double().numpy()


def ttur(path: Path) -> Path:
    found = features()
    np.savez(path, mu=found.mean(0), sigma=np.cov(found, rowvar=False))
    return path


def stylegan(path: Path) -> Path:
    found = features()
    np.savez(path, raw_mean=found.sum(0), raw_cov=found.T @ found, num_items=np.array(len(found)))
    return path


@pytest.mark.parametrize(("write", "count"), [(ttur, 0), (stylegan, len(IMAGES))])
def test_a_file_of_the_same_images_gives_the_same_fid(write: Any, count: int, tmp_path: Path) -> None:
    metrics = MetricsConfig(statistics=str(write(tmp_path / "of_others.npz")), num_fake=200)
    reference = reference_of(metrics, IMAGES, CPU)
    fakes = Digits().load("test").pixels[:200]
    expected = Scorer(MetricsConfig(num_fake=200), CPU, reference_of(MetricsConfig(num_fake=200), IMAGES, CPU))
    assert Scorer(metrics, CPU, reference).fid([fakes]) == pytest.approx(expected.fid([fakes]), rel=1e-6)
    protocol = reference.protocol
    assert (protocol.split, protocol.num_real, len(protocol.data)) == ("file", count, 64)
    assert protocol == protocol_of(metrics, IMAGES) != expected.protocol
    assert protocol.real == f"{f'{count:,} ' if count else ''}real images, whose statistics come from a file"
    config = TrialConfig().override({"metrics.statistics": metrics.statistics, "metrics.num_fake": 200})
    floor = floor_of(config, reference, CPU)
    assert floor is not None and floor.split == "test"


def test_moments_are_those_that_are_measured(tmp_path: Path) -> None:
    (measured,) = moments_of(MetricsConfig(), IMAGES, CPU)
    for write in (ttur, stylegan):
        moments, _ = read_statistics(str(write(tmp_path / "of_others.npz")))
        torch.testing.assert_close(moments.mean, measured.mean)
        torch.testing.assert_close(moments.covariance, measured.covariance)


GOOD = {"mu": np.zeros(64), "sigma": np.eye(64)}
SUMS = {"raw_mean": np.zeros(64), "raw_cov": np.eye(64), "num_items": np.array(10)}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"mu": np.zeros(2048), "sigma": np.eye(2048)}, "2048 features, and digits-classifier has 64"),
        ({"mean": np.zeros(64)}, "neither mu and sigma nor raw_mean and raw_cov and num_items"),
        (SUMS | {"num_items": np.array(1)}, "num_items is no number"),
        (SUMS | {"num_items": np.array([3, 4])}, "num_items is no number"),
        (SUMS | {"num_items": np.array(np.inf)}, "not all values of num_items are finite"),
        (SUMS | {"raw_cov": np.eye(63)}, r"shape \(64,\) and a matrix of \(63, 63\)"),
        (SUMS | {"raw_mean": np.zeros((64, 2))}, "don't fit"),
        (GOOD | {"mu": np.zeros(63)}, r"shape \(63,\) and a matrix of \(64, 64\)"),
        (GOOD | {"mu": np.zeros((64, 1))}, "don't fit"),
        (GOOD | {"sigma": np.full((64, 64), np.nan)}, "finite"),
        (GOOD | {"sigma": np.triu(np.ones((64, 64)))}, "no covariance"),
        (GOOD | {"sigma": -np.eye(64)}, "no covariance"),
        (GOOD | {"sigma": np.array(["a"])}, "not a readable"),
        (GOOD | {"mu": np.array([{}], dtype=object)}, "not a readable"),
    ],
)
def test_a_file_that_does_not_serve_is_one_line(content: dict[str, Any], fault: str, tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    np.savez(path, **content)
    with pytest.raises(UserError, match=fault) as error:
        reference_of(MetricsConfig(statistics=str(path)), IMAGES, CPU)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    rng = np.random.default_rng(0)
    np.savez_compressed(path, mu=rng.random(64), sigma=rng.random((64, 64)))
    whole = path.read_bytes()
    for at in range(40, len(whole), 997):
        path.write_bytes(whole[:at] + bytes(byte ^ 255 for byte in whole[at : at + 40]) + whole[at + 40 :])
        with pytest.raises(UserError, match=re.escape(f"metrics.statistics={path}: ")):
            read_statistics(str(path))


def test_what_is_no_npz_is_refused_and_a_pickle_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "f.npz").write_bytes(b"PK not really")
    (tmp_path / "f.pkl").write_bytes(b"")
    np.save(tmp_path / "f.npy", np.zeros(3))
    for name, fault in (
        ("f.npz", "this is no .npz"),
        ("f.npy", "this is no .npz"),
        ("f.pkl", "a pickle can run any code; save raw_mean, raw_cov, num_items of it by numpy.savez"),
        ("none.npz", "no such file"),
    ):
        with pytest.raises(UserError, match=fault):
            read_statistics(str(tmp_path / name))


@pytest.mark.parametrize("other", [{"chunk": 100}, {"num_real": 100}])
def test_a_file_of_finished_statistics_takes_no_part_of_the_images(other: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"metrics\.statistics is a file of finished statistics"):
        TrialConfig().override({"metrics.statistics": "f.npz", **{f"metrics.{k}": v for k, v in other.items()}})


def test_a_number_of_real_images_is_drawn_by_the_seed() -> None:
    def reference(**metrics: Any) -> Any:
        return reference_of(MetricsConfig(**metrics), IMAGES, CPU)

    few, again, others = reference(num_real=300), reference(num_real=300), reference(num_real=300, seed=1)
    assert few.protocol.num_real == few.moments[0].count == 300
    assert torch.equal(few.moments[0].mean, again.moments[0].mean)
    assert not torch.equal(few.moments[0].mean, others.moments[0].mean)
    assert few.protocol.hash != reference().protocol.hash
    assert reference(num_real=len(IMAGES)).protocol == reference().protocol, "all of them are all of them"
    chunked = reference(num_real=300, chunk=100)
    assert (chunked.protocol.num_real, len(chunked.moments)) == (300, 3)


def test_more_real_images_than_there_are_is_refused() -> None:
    images = load_images(DataConfig(), "train")
    with pytest.raises(UserError, match=rf"metrics\.num_real=9999: there are only {len(images)} train images"):
        reference_of(MetricsConfig(num_real=9999), images, CPU)
