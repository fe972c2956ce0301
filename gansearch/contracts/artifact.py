"""The contract of an artifact."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory

import torch

from gansearch.config import TrialConfig
from gansearch.contracts.base import holds, require
from gansearch.training.artifacts.base import Artifact, File, Snapshot
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer
from gansearch.training.storage import Storage

SUBJECT = Artifact

_SMALL = {
    "data.resolution": 16,
    "model.features": 8,
    "model.z_dim": 16,
    "model.attention_at": 8,
    "train.precision": "float32",
    "train.batch": 16,
    "train.evaluations": 2,
    "metrics.num_fake": 64,
}


def _snapshots(count: int) -> Iterator[Snapshot]:
    """Yields a small GAN of digits after each of its first evaluations."""
    trainer = Trainer(check(TrialConfig().override(_SMALL, max_kimg=0.096)), torch.device("cpu"))
    for _ in range(count):
        trainer.train_until_evaluation()
        yield trainer.snapshot()


def _require_files(files: list[File]) -> None:
    for name, content in files:
        path = PurePosixPath(name)
        require(not path.is_absolute() and ".." not in path.parts, f"{name} lies outside the folder of the trial")
        require(isinstance(content, bytes) and content, f"the content of {name} is {type(content).__name__}, not bytes")


@holds("Its files lie in the trial's folder, and no evaluation overwrites the files of another.")
def files_have_names_of_their_own(artifact: Artifact) -> None:
    seen: set[str] = set()
    for snapshot in _snapshots(2):
        files = list(artifact.files(snapshot))
        _require_files(files)
        names = {name for name, _ in files}
        require(
            not names & seen, f"{', '.join(names & seen)} is written at every evaluation: put the images shown into it"
        )
        seen |= names


@holds("Writing it changes neither the networks nor the random numbers of the training.")
def training_does_not_notice(artifact: Artifact) -> None:
    (snapshot,) = _snapshots(1)
    networks = (snapshot.G, snapshot.D)
    before = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]
    modes = [network.training for network in networks]
    with _unused_generator():
        list(artifact.files(snapshot))
    for name, network, state, mode in zip("GD", networks, before, modes, strict=True):
        changed = [key for key, value in network.state_dict().items() if not torch.equal(value, state[key])]
        require(not changed, f"it changes {', '.join(changed)} of {name}")
        require(network.training == mode, f"it leaves {name} in {'train' if network.training else 'eval'} mode")


@contextmanager
def _unused_generator() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    require(torch.equal(torch.get_rng_state(), before), "it draws from torch's global generator: use one of its own")


@holds("What it writes at the end is made of what was written before, also where that is nothing.")
def the_end_needs_no_evaluation(artifact: Artifact) -> None:
    with TemporaryDirectory() as folder:
        _require_files(list(artifact.last_files(Storage(folder))))
