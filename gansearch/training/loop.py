"""The trainer: trains a GAN from one evaluation to the next. It knows neither Ray nor Optuna.

`run(Trainer(check(config), device), report=print)` is a whole trial, in a debugger too.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from gansearch import registry
from gansearch.config import TrialConfig, from_json
from gansearch.data.base import to_float
from gansearch.data.loader import Batches, device_images
from gansearch.device import best_precision, float32_arithmetic, require_precision
from gansearch.errors import UserError
from gansearch.losses.base import Loss
from gansearch.metrics.reference import Reference
from gansearch.metrics.scorer import Scorer, scorer_for
from gansearch.models.base import Model
from gansearch.run.rows import Evaluation
from gansearch.text import kimg_text
from gansearch.training.artifacts.base import NUM_REAL, Point, Snapshot
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.build import image_shape, networks_of
from gansearch.training.checkpoint import About, CheckpointDir
from gansearch.training.ema import EMA
from gansearch.training.feasibility import check_images
from gansearch.training.samples import NonFiniteImage, scored_samples
from gansearch.training.step import TrainState, d_step, g_step

CHECK_EVERY = 8  # D steps between two checks of the losses: a check waits for the device


class Diverged(Exception):  # noqa: N818 - an outcome of a trial, not a fault of the program
    """Training produced a value that is not finite."""

    def __init__(self, what: str, kimg: float) -> None:
        super().__init__(what, kimg)  # so that it can travel from one process to another
        self.what, self.kimg = what, kimg

    def __str__(self) -> str:
        return f"non-finite {self.what} at {kimg_text(self.kimg)} kimg"


class Trainer:
    """The state of one trial between two evaluations.

    Args:
        config: A configuration that `feasibility.check` has returned; it is not validated again. The attribute
            `config` names the precision that `train.precision=auto` stands for on `device`, so checkpoints record it.
        device: The device to train on.
        scorer: Measures the FID under the protocol of `config`. By default the process's cached one.

    Raises:
        UserError: The data set is missing, or this configuration can't be trained on it.
    """

    def __init__(self, config: TrialConfig, device: torch.device, scorer: Scorer | None = None) -> None:
        self.config = config = _with_precision(config, device)
        require_precision(config.train.precision, device)
        model: Model = registry.build("model", config.model)
        loss: Loss = registry.build("loss", config.loss)
        images = device_images(config.data, device)
        check_images(model, config.train.batch, images)
        if not model.conditional:
            images = replace(images, labels=None, classes=())
        self._rng = torch.Generator(device).manual_seed(config.seed)
        self._scorer = scorer or scorer_for(config, device)
        self._images, self._z_dim = images, model.z_dim
        self._batches = Batches(images, config.train.batch, self._rng)
        G, D = networks_of(model, loss, image_shape(images), config.seed, device)
        self._ema = EMA(G, config.train.ema_kimg)
        self._state = TrainState.create(config, G, D, loss, self._rng)
        self.shown = 0
        self._best: dict[str, Tensor] = {}
        self.evaluations: list[Evaluation] = []
        self._curve: list[Point] = []

    @property
    def kimg(self) -> float:
        """Thousands of real images shown to D so far."""
        return self.shown / 1000

    @property
    def reference(self) -> Reference:
        """The reference statistics that FIDs of this trial are measured against, and the protocol."""
        return self._scorer.reference

    @property
    def done(self) -> bool:
        return self.shown >= self.config.train.max_images

    def train_until_evaluation(self) -> Evaluation:
        """Trains to the next evaluation and measures the FID there.

        Raises:
            Diverged: A loss, a weight or an image is not finite.
        """
        start = time.perf_counter()
        with self._seeded():
            losses = self.train(self.config.train.eval_images // self.config.train.batch)
        trained = time.perf_counter()
        self._check_weights()
        fid = self._scorer.fid(self._samples())
        evaluation = Evaluation(
            kimg=self.kimg,
            fid=fid,
            protocol=self.reference.protocol.hash,
            train_seconds=trained - start,
            eval_seconds=time.perf_counter() - trained,
            images_per_second=self.config.train.eval_images / (trained - start),
            **losses,
        )
        if not self.evaluations or fid < min(row.fid for row in self.evaluations):
            self._best = _copied(self._ema.model)
        self.evaluations.append(evaluation)
        return evaluation

    def train(self, d_steps: int) -> dict[str, float]:
        """Makes `d_steps` D steps and the G steps between them; returns the mean of each loss."""
        with float32_arithmetic(tf32=self.config.train.precision == "tf32"):
            return self._trained(d_steps)

    def _trained(self, d_steps: int) -> dict[str, float]:
        config, state = self.config, self._state
        batch, period = config.train.batch, config.optim.d_steps
        d_losses: list[tuple[Tensor, Tensor]] = []
        g_losses: list[Tensor] = []
        self._curve = []
        checked = 0, 0
        for step in range(1, d_steps + 1):
            self.shown += batch
            g_is_next = (self.shown // batch) % period == 0
            real, labels = self._batches.next()
            fake = state.generate(self._latents(batch), labels, for_g=g_is_next)
            d_losses.append(d_step(state, real, labels, fake))
            if g_is_next:
                g_losses.append(g_step(state, real, labels, fake))  # one forward pass of G serves both steps
                for _ in range(config.optim.g_steps - 1):
                    if not state.loss.pairs:  # the two images of a pair have one label
                        labels = self._batches.labels(self._rng, batch)
                    fake = state.generate(self._latents(batch), labels, for_g=True)
                    g_losses.append(g_step(state, real, labels, fake))
                self._ema.update(self.shown, batch * period)
            if step % CHECK_EVERY == 0 or step == d_steps:
                self._check_losses(d_losses[checked[0] :], g_losses[checked[1] :] or g_losses[-1:])
                checked = len(d_losses), len(g_losses)
        real_loss, fake_loss = (torch.stack(terms).mean().item() for terms in zip(*d_losses, strict=True))
        return {"d_loss_real": real_loss, "d_loss_fake": fake_loss, "g_loss": torch.stack(g_losses).mean().item()}

    def write_artifacts(self, artifacts: Artifacts) -> Evaluation:
        """Writes the artifacts of the newest evaluation; returns that evaluation with their time in `eval_seconds`."""
        start = time.perf_counter()
        artifacts.record(self.snapshot())
        last = self.evaluations[-1]
        self.evaluations[-1] = replace(last, eval_seconds=last.eval_seconds + time.perf_counter() - start)
        return self.evaluations[-1]

    def _check_losses(self, d_losses: list[tuple[Tensor, Tensor]], g_losses: list[Tensor]) -> None:
        """Adds the mean of the losses since the last check to the curve; raises Diverged if one is not finite."""
        terms = [list(own) for own in zip(*d_losses, strict=True)] + ([g_losses] if g_losses else [])
        values = torch.stack([torch.stack(own).mean() for own in terms]).tolist()
        if not all(map(math.isfinite, values)):
            raise Diverged("loss", self.kimg)
        if g_losses:
            real, fake, g_loss = values
            self._curve.append((self.kimg, real, fake, g_loss))

    def _check_weights(self) -> None:
        for name, network in (("G", self._state.G), ("D", self._state.D)):
            total = torch.stack([parameter.detach().float().abs().sum() for parameter in network.parameters()]).sum()
            if not torch.isfinite(total):
                raise Diverged(f"weight in {name}", self.kimg)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Seeds torch's global generator, which dropout draws from, by the position; restores it afterwards.

        A resumed trial then draws the same numbers as one without a break.
        """
        device = self._rng.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.config.seed + self.shown)
            yield

    def _latents(self, count: int) -> Tensor:
        return torch.randn(count, self._z_dim, generator=self._rng, device=self._rng.device)

    def _samples(self) -> Iterator[Tensor]:
        """Yields images of the averaged generator for the metric, from the same latents at every evaluation."""
        metrics, device = self.config.metrics, self._rng.device
        try:
            yield from scored_samples(
                self._ema.model,
                self._z_dim,
                self._batches,
                metrics.seed,
                metrics.num_fake,
                device,
                self.config.train.precision,
            )
        except NonFiniteImage:
            raise Diverged("image", self.kimg) from None

    def snapshot(self) -> Snapshot:
        """Returns what artifacts are made from; to be called after an evaluation."""
        images, device = self._images, self._rng.device
        chosen = torch.linspace(0, len(images) - 1, NUM_REAL, device=device).long()
        pixels = images.pixels[chosen.to(images.pixels.device)].to(device)
        return Snapshot(
            G=self._ema.model,
            D=self._state.D,
            z_dim=self._z_dim,
            classes=images.classes,
            real=to_float(pixels),
            real_labels=None if images.labels is None else images.labels[chosen],
            evaluation=self.evaluations[-1],
            curve=self._curve,
        )

    def save(self, checkpoints: CheckpointDir) -> None:
        """Writes a checkpoint; to be called after an evaluation."""
        best = min(self.evaluations, key=lambda row: row.fid)
        last = {
            "config": self.config.to_json(),
            "shown": self.shown,
            "evaluations": [asdict(row) for row in self.evaluations],
            "rng": self._rng.get_state(),
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        about = About(
            config=self.config.model_dump(mode="json"),
            images=self.shown,
            channels=self._images.shape[0],
            classes=self._images.classes,
            best_fid=best.fid,
            best_kimg=best.kimg,
        )
        checkpoints.save(last, self._best, about)

    def restore(self, checkpoints: CheckpointDir) -> bool:
        """Continues from the newest whole checkpoint, on a CPU bit by bit as without a break.

        The checkpoint may belong to a shorter trial of the same configuration.

        Returns:
            Whether there was a checkpoint; otherwise nothing has changed.

        Raises:
            UserError: The checkpoint has another format, its trial had another configuration or other data, or its
                networks are not those of this version.
        """
        found = checkpoints.last(self._rng.device)
        if found is None:
            return False
        last, best = found
        earlier, train = from_json(last["config"]), self.config.train
        if earlier.train.eval_images != train.eval_images or earlier.lengthened(train.max_kimg) != self.config:
            raise UserError(f"the checkpoint in {checkpoints.root} is of another configuration: use an empty folder")
        if not self._fits(last, best):
            raise UserError(
                f"the checkpoint in {checkpoints.root} has other networks or another kind of device than this trial: "
                "go on with the version, the data and the device that it was written with"
            )
        for name, part in self._parts().items():
            part.load_state_dict(last[name])
        self._rng.set_state(last["rng"].cpu())
        self.shown = last["shown"]
        self.evaluations = [Evaluation(**row) for row in last["evaluations"]]
        self._best = best
        return True

    def continue_from(self, checkpoints: CheckpointDir, reported_images: int) -> None:
        """Continues another trial as a new one, which has its own evaluations and its own best generator.

        Without a checkpoint there it trains from the start. The last evaluation is the new trial's where nobody has
        heard of it yet, as the other trial has reported those up to `reported_images` only, or where there is no other,
        since nothing is left to train.
        """
        self.restore(checkpoints)
        last = [row for row in self.evaluations if row.images == self.shown]
        self.evaluations = last if self.shown > reported_images or self.done else []
        self._best = _copied(self._ema.model) if self.evaluations else {}

    def _fits(self, last: dict[str, Any], best: dict[str, Tensor]) -> bool:
        """Returns whether a checkpoint has the tensors of this trial.

        Weights have to be in the same order too: an optimiser knows them by their number.
        """
        state = self._state
        networks = {"G": state.G, "D": state.D, "ema": self._ema.model}
        return (
            all(_layout(last[name]) == _layout(network.state_dict()) for name, network in networks.items())
            and dict(_layout(best)) == dict(_layout(last["ema"]))
            and last["rng"].shape == self._rng.get_state().shape
        )

    def _parts(self) -> dict[str, Any]:
        state = self._state
        return {
            "G": state.G,
            "D": state.D,
            "g_optimizer": state.g_optimizer,
            "d_optimizer": state.d_optimizer,
            "replay": state.replay,
            "ema": self._ema.model,
            "batches": self._batches,
        }


def _with_precision(config: TrialConfig, device: torch.device) -> TrialConfig:
    """Replaces `train.precision=auto` by the precision that it stands for on `device`."""
    if config.train.precision != "auto":
        return config
    train = config.train.model_copy(update={"precision": best_precision(device)})
    return config.model_copy(update={"train": train})


def _layout(state: dict[str, Tensor]) -> list[tuple[str, tuple[torch.Size, torch.dtype]]]:
    """Returns the names of tensors in their order, each with its shape and type."""
    return [(name, (value.shape, value.dtype)) for name, value in state.items()]


def _copied(network: nn.Module) -> dict[str, Tensor]:
    """Returns the tensors of a network on the CPU, contiguous as safetensors needs them."""
    layout = torch.contiguous_format
    return {name: value.cpu().clone(memory_format=layout) for name, value in network.state_dict().items()}


def evaluate_next(
    trainer: Trainer, checkpoints: CheckpointDir | None = None, artifacts: Artifacts | None = None
) -> Evaluation:
    """Trains until the next evaluation, writes its artifacts, then its checkpoint; returns it, ready to be reported.

    In this order a reported evaluation has its checkpoint, and a checkpoint implies its artifacts.

    Raises:
        Diverged: A value is not finite; nothing is written then.
    """
    evaluation = trainer.train_until_evaluation()
    if artifacts is not None:
        evaluation = trainer.write_artifacts(artifacts)
    if checkpoints is not None:
        trainer.save(checkpoints)
    return evaluation


def run(
    trainer: Trainer,
    report: Callable[[Evaluation], None],
    checkpoints: CheckpointDir | None = None,
    artifacts: Artifacts | None = None,
) -> None:
    """Trains to the end and reports every evaluation once it is saved.

    Raises:
        Diverged: A value is not finite.
    """
    try:
        while not trainer.done:
            report(evaluate_next(trainer, checkpoints, artifacts))
    finally:
        if artifacts is not None:
            artifacts.finish()
