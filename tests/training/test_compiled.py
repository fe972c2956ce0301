"""Compiled passes: they train as the nets themselves do, and one trial's code serves the next."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gansearch.config import TrialConfig
from gansearch.training import compiled
from gansearch.training.compiled import PAYS_FROM_KIMG, should_compile
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer

CPU = torch.device("cpu")
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "normed, with attention and labels": {
        "model.spectral_norm": True,
        "model.attention_at": 8,
        "model.conditioning": "concat",
    },
}
OTHERS: list[dict[str, Any]] = [
    {"optim.g_lr": 1e-3, "optim.d_lr": 3e-4, "optim.beta1": 0.1},
    {"model.leaky_slope": 0.07, "model.g_slope": 0.03},
    {"loss.name": "hinge", "seed": 3},
    {"loss.name": "wgan", "loss.clip": 0.02},
    {"loss.name": "wgan", "loss.clip": 0.05},
]


def graphs() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def trained(config: TrialConfig) -> dict[str, float]:
    return Trainer(check(config), CPU).train(10)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_trial_compiles_again_for_another_constant(
    architecture: str, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch decides what is compiled anew before a backend sees a graph, so one without a C++ compiler will do.

    This backend decomposes and divides the forward and backward passes as inductor does, and runs them by torch itself.
    """
    monkeypatch.setitem(compiled._MODES, "cpu", {"backend": "aot_eager_decomp_partition"})
    torch._dynamo.reset()
    plain = tiny.override({**ARCHITECTURES[architecture], "train.compile": "never"})
    config = plain.override({"train.compile": "always"})
    before = graphs()
    first = trained(config)
    made = graphs()
    assert made > before
    for name, value in trained(plain).items():
        assert first[name] == pytest.approx(value, rel=1e-3), "compiled, it is the same training"
    for changes in OTHERS:
        other = trained(config.override(changes))
        assert graphs() == made, f"{changes} were compiled anew"
        for name, value in trained(plain.override(changes)).items():
            assert other[name] == pytest.approx(value, rel=1e-3, abs=1e-5), "the constants in force are its own"
    if architecture == "plain":
        trained(config.override({"model.features": 16}))
        assert graphs() > made, "the count would show it"


@pytest.mark.slow
def test_compiled_a_trial_trains_as_it_does_uncompiled(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C++ compiler makes the code of the first trial; the second runs it, with constants of its own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    small = tiny.override({"data.resolution": 8, "loss.name": "wgan", "train.compile": "never"})
    before = graphs()
    made = []
    for changes in ({}, {"model.leaky_slope": 0.05, "loss.clip": 0.02, "optim.g_lr": 1e-3}):
        plain = small.override(changes)
        fast = trained(plain.override({"train.compile": "always"}))
        made.append(graphs() - before)
        for name, value in trained(plain).items():
            assert fast[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    assert made[0] == made[1] > 0
    assert list(tmp_path.rglob("*.so"))


@pytest.mark.parametrize(("kimg", "expected"), [(0.9, False), (1.0, True)])
@pytest.mark.parametrize("device", PAYS_FROM_KIMG)
def test_auto_goes_by_the_planned_length(device: str, kimg: float, expected: bool) -> None:
    train = TrialConfig().override({"train.compile": "auto"}, PAYS_FROM_KIMG[device] * kimg + 0.6).train
    assert should_compile(train, torch.device(device)) is expected


TRIAL = """
import logging, sys, torch
from gansearch.config import from_json
from gansearch.training.loop import Trainer

logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
torch.set_num_threads(1)
for compile in ("never", "always"):
    config = from_json(sys.argv[1]).override({"train.compile": compile})
    print("losses", Trainer(config, torch.device("cpu")).train(10))
"""


@pytest.mark.slow
def test_a_compiler_that_fails_is_reported_once_and_the_trial_runs_uncompiled(
    tiny: TrialConfig, tmp_path: Path
) -> None:
    environment = {**os.environ, "CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", TRIAL, check(tiny).to_json()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    plain, warning, compiled = done.stdout.splitlines()
    assert plain == compiled and plain.startswith("losses {")
    assert warning.startswith("gansearch.training.compiled WARNING the compiler failed (")
    assert "train.compile=never" in warning


def test_a_trial_is_not_compiled_unless_it_is_asked_for() -> None:
    assert not should_compile(TrialConfig().override({}, 100_000).train, CPU)
