"""A look at a GPU: what is wrong is one line. The arithmetic runs on the CPU here, in place of the card."""

from typing import Any

import pytest
import torch

from gansearch.config import TrainConfig
from gansearch.errors import UserError
from gansearch.training import card

CPU = torch.device("cpu")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU of 8 of 10 free GiB that is the CPU."""
    monkeypatch.setattr(card, "gpu", lambda: CPU)
    monkeypatch.setattr(card, "driver", lambda: "driver 580.95.05")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8 * 2**30, 10 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Pretended")
    return monkeypatch


def test_a_card_that_computes_is_described(pretended: pytest.MonkeyPatch) -> None:
    pretended.setattr(card, "best_precision", lambda _: "bf16")
    found = card.look(TrainConfig())
    assert (found.free, found.memory, found.fault) == (8 * 2**30, 10 * 2**30, None)
    assert str(found) == "Pretended, driver 580.95.05, bf16"


def test_a_compiler_that_fails_is_told_where_it_is_asked_for(pretended: pytest.MonkeyPatch) -> None:
    def fails(_: Any) -> Any:
        raise RuntimeError("no Triton\nhere")

    pretended.setattr(torch, "compile", fails)
    assert card.look(TrainConfig(compile="never")).fault is None
    assert str(card.look(TrainConfig(compile="always"))).endswith(", does not compile (no Triton here)")


def test_a_card_that_computes_wrongly_is_refused(pretended: pytest.MonkeyPatch) -> None:
    right, calls = card._convolved, []

    def wrong(*tensors: torch.Tensor) -> torch.Tensor:
        calls.append(tensors)
        return right(*tensors) * (1 if len(calls) == 1 else 1.5)

    pretended.setattr(card, "_convolved", wrong)
    with pytest.raises(UserError, match=r"computes a convolution wrongly \(driver 580\.95\.05\)"):
        card.look(TrainConfig())


def test_what_cuda_raises_is_one_line(pretended: pytest.MonkeyPatch) -> None:
    def busy(*_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCompile with ...")

    pretended.setattr(card, "_convolved", busy)
    with pytest.raises(UserError, match=r"^the GPU does not compute \(.*busy or unavailable.*; driver 580\.95\.05\)"):
        card.look(TrainConfig())


def test_a_precision_that_the_card_has_no_units_for_is_refused(pretended: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="tf32"):
        card.look(TrainConfig(precision="tf32"))


@pytest.mark.gpu
@pytest.mark.parametrize("compiles", ["never", "always"])
def test_a_real_card_computes(compiles: Any) -> None:
    found = card.look(TrainConfig(compile=compiles))
    assert found.fault is None and 0 < found.free <= found.memory and found.driver.startswith("driver ")
