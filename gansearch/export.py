"""A trial's best generator as files that stand alone, and the way back from them to images.

from gansearch.export import load_generator
G = load_generator("runs/NAME/best")
images = G.sample(64)                                     # with labels: as many of each class
images = G.sample(8, labels=[G.classes.index("dog")] * 8)
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gansearch import registry
from gansearch.cache import atomic_write
from gansearch.config import TrialConfig, from_json
from gansearch.data.base import Images
from gansearch.data.loader import Batches, load_images
from gansearch.errors import UserError, one_line
from gansearch.metrics.final import FinalScores, final_scores
from gansearch.models.base import ImageShape
from gansearch.run import Floor, Protocol, Run
from gansearch.run.paths import CONFIG, GENERATOR, GRID, SCORES, join
from gansearch.training import grids
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.device import best_device
from gansearch.training.samples import NonFiniteImage, scored_samples


class LoadedGenerator:
    """An exported generator in eval mode: `sample(n)` gives images, `module` is the network, `config` the trial's.

    `classes`: names of the labels that it takes, empty where it takes none.
    """

    def __init__(self, module: torch.nn.Module, config: TrialConfig, z_dim: int, classes: Sequence[str]) -> None:
        self.module, self.config, self.z_dim, self.classes = module, config, z_dim, tuple(classes)

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0, labels: Sequence[int] | None = None) -> Tensor:
        """`count` images, float32 (count, C, H, W) in [-1, 1] on the generator's device.

        `labels`: a class for each (default: all in turn); UserError where they don't fit.
        """
        if labels is not None and not (len(labels) == count and all(0 <= y < len(self.classes) for y in labels)):
            raise UserError(
                f"labels: give {count} numbers from 0 to {len(self.classes) - 1}"
                if self.classes
                else "this generator takes no labels: leave them out"
            )
        rng = torch.Generator().manual_seed(seed)
        device = next(self.module.parameters()).device
        z = torch.randn(count, self.z_dim, generator=rng).to(device)
        if not self.classes:
            return self.module(z)
        chosen = torch.arange(count) % len(self.classes) if labels is None else torch.tensor(labels)
        return self.module(z, chosen.to(device))

    def scored(self, count: int) -> Iterator[Tensor]:
        """`count` images for a metric, uint8 (at most 256, C, H, W); for `metrics.num_fake` those the trial scored.

        UserError where the training images, whose labels they are, are gone or have other classes, and for generated
        images that are not finite.
        """
        device = next(self.module.parameters()).device
        seed = self.config.metrics.seed
        batches = Batches(self._labelled(), batch=1, rng=torch.Generator())
        try:
            yield from scored_samples(self.module, self.z_dim, batches, seed, count, device)
        except NonFiniteImage:
            raise UserError(
                "the generator makes images that are not finite: export another trial with --trial"
            ) from None

    def _labelled(self) -> Images:
        """The training images, with their labels only where the generator takes them."""
        images = load_images(self.config.data, "train")
        if not self.classes:
            return replace(images, labels=None, classes=())
        if images.classes != self.classes:
            raise UserError("the training images have other classes than the generator: bring back the data it had")
        return images


def load_generator(folder: str | Path, device: str = "cpu") -> LoadedGenerator:
    """The generator that `export` wrote into `folder`; UserError where it did not."""
    folder = Path(folder)
    try:
        content = json.loads((folder / CONFIG).read_text())
        weights = load_file(folder / GENERATOR, device=device)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{folder} holds no exported generator ({one_line(error)}): name a folder of `export`"
        ) from None
    trial = from_json(json.dumps(content["trial"]))
    return _generator(trial, content["channels"], content["classes"], weights, device)


def export(run: Run, trial_id: str | None = None, out: Path | None = None) -> Path:
    """Writes the best generator of a trial as files that stand alone: weights, configuration, samples.

    Args:
        run: A loaded run.
        trial_id: Which trial; None takes the one with the lowest FID.
        out: The folder to write; None takes the run's `best`.

    Returns:
        The folder. `config.json` there has the trial's configuration, its FID and where the generator comes from.

    Raises:
        UserError: There is no such trial, the trial was never evaluated, its checkpoint is gone, or the folder can't be
            written.
    """
    trial = run.ledger.best if trial_id is None else run.ledger.get(trial_id)
    if trial is None:
        wanted = "no trial has an FID yet" if trial_id is None else f"there is no trial {trial_id}"
        raise UserError(f"{run.dir.path}: {wanted}; `gansearch-analyze rank {run.dir.path}` lists the trials")
    root = join(run.manifest.checkpoints or str(run.dir.trials), trial.trial_id)
    weights, about = CheckpointDir(root).best()
    config = from_json(json.dumps(about.config))
    generator = _generator(config, about.channels, about.classes, weights, "cpu")
    out = out or run.dir.best
    content = {
        "run": run.dir.name,
        "trial_id": trial.trial_id,
        "fid": about.best_fid,
        "kimg": about.best_kimg,
        "protocol": run.manifest.protocol.to_record(),
        "floor": None if run.manifest.floor is None else asdict(run.manifest.floor),
        "channels": about.channels,
        "classes": about.classes,
        "trial": config.model_dump(),
    }
    caption = f"{run.dir.name}, trial {trial.trial_id}: FID {about.best_fid:.2f} at {about.best_kimg:g} kimg"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / SCORES).unlink(missing_ok=True)  # those of the generator that was here before
        save_file(weights, out / GENERATOR)
        (out / CONFIG).write_text(json.dumps(content, indent=2))
        (out / GRID).write_bytes(grids.png(grids.sampled(generator.module, generator.z_dim, about.classes, caption)))
    except OSError as error:
        raise UserError(f"can't write to {out} ({one_line(error)}): name another --out") from None
    return out


def measure(folder: Path, count: int, device: torch.device | None = None) -> tuple[FinalScores, Floor | None]:
    """Measures `count` images of the generator that `export` wrote into `folder`; adds `scores.json` there.

    Under the protocol of its search but for the number of images, on `device` (default: a GPU where there is one).
    Returns the search's floor too, where it is known. UserError as `load_generator` and `final_scores` say.
    """
    device = device or best_device()
    generator = load_generator(folder, str(device))
    content = json.loads((folder / CONFIG).read_text())
    try:
        search = Protocol.from_record(content["protocol"])
        floor = Floor(**content["floor"]) if content.get("floor") else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{folder / CONFIG}: no protocol or floor ({one_line(error)}): export anew") from None
    scores = final_scores(generator.config, generator.scored(count), count, device, search)
    told = {name: value for name, value in asdict(scores).items() if name != "missing"}
    told |= {
        "protocol": scores.protocol.to_record(),
        "floor": None if floor is None else asdict(floor),
        "run": content["run"],
        "trial_id": content["trial_id"],
    }

    def write(path: Path) -> None:
        path.write_text(json.dumps(told, indent=2, allow_nan=False))

    try:
        atomic_write(folder / SCORES, write)
    except OSError as error:
        raise UserError(f"can't write to {folder} ({one_line(error)}): name another --out") from None
    return scores, floor


def _generator(
    config: TrialConfig, channels: int, classes: Sequence[str], weights: dict[str, Tensor], device: str
) -> LoadedGenerator:
    model = registry.build("model", config.model)
    module = model.generator(ImageShape(channels, config.data.resolution, len(classes)))
    module.load_state_dict(weights, assign=True)
    return LoadedGenerator(module.to(device).eval().requires_grad_(False), config, model.z_dim, classes)
