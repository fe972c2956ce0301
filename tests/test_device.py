"""What a device is asked for: memory that is too small for a batch, a GPU that torch can't use, its driver."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gansearch import device
from gansearch.device import Halving, driver, gpu
from gansearch.errors import UserError
from gansearch.logs import warn_once


def limited(most: int, calls: list[int]) -> object:
    """A function of single images, for which the memory has room for `most` at once."""

    def double(images: Tensor, labels: Tensor | None = None) -> Tensor:
        calls.append(len(images))
        if len(images) > most:
            raise (
                torch.OutOfMemoryError("CUDA out of memory") if most % 2 else RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")
            )
        return 2 * images if labels is None else 2 * images + labels

    return double


@given(count=st.integers(1, 70), most=st.integers(1, 80), labelled=st.booleans())
def test_parts_give_what_the_whole_gives(count: int, most: int, labelled: bool) -> None:
    images, labels = torch.arange(count), torch.arange(count) if labelled else None
    calls: list[int] = []
    halving = Halving()
    for _ in range(2):
        found = halving(limited(most, calls), images, labels)  # type: ignore[arg-type]
        assert torch.equal(found, 3 * images if labelled else 2 * images)
    assert sum(size > most for size in calls) <= 7, "a size that was too large is not tried again"


def test_memory_for_not_even_one_image_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ALLOC_FAILED"):
        Halving()(limited(0, []), torch.arange(5))  # type: ignore[arg-type]


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    def fails(images: Tensor) -> Tensor:
        raise RuntimeError("device-side assert triggered")

    with pytest.raises(RuntimeError, match="assert"):
        Halving()(fails, torch.arange(5))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_torch_cannot_use_is_no_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n")
    monkeypatch.setattr(device, "_DRIVER", version)
    with pytest.raises(UserError, match=r"torch \S+ finds no GPU here \(.*; driver 535\.104\.05\): install a driver"):
        gpu()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat\n", "driver 535.104.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release\n", "driver 580.95.05"),
        ("something else\n", "an unknown driver"),
        (None, "no NVIDIA driver"),
    ],
)
def test_the_kernel_tells_the_driver(
    text: str | None, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device, "_DRIVER", tmp_path / "version")
    if text is not None:
        (tmp_path / "version").write_text(text)
    assert driver() == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_trial_without_ray_says_that_it_trains_on_the_cpu_where_a_gpu_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(device, "_DRIVER", tmp_path / "version")
    warn_once.cache_clear()
    assert device.best_device() == torch.device("cpu") and caplog.text == ""
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.best_device() == torch.device("cpu") and caplog.text == ""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert device.best_device() == torch.device("cpu")
    assert "can't use the GPU here (driver 535.104.05)" in caplog.text
