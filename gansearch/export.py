"""Exports a trial's best generator as files that stand alone, and generates images from these files.

from gansearch.export import load_generator
G = load_generator("runs/NAME/best")
images = G.sample(64)                                     # a generator with labels: as many of each class
images = G.sample(8, labels=[G.classes.index("dog")] * 8)
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors.torch import save
from torch import Tensor

import gansearch
from gansearch import foreign
from gansearch.cache import atomic_write, write_together
from gansearch.config import TrialConfig, first_fault, from_dict
from gansearch.device import best_device
from gansearch.errors import UserError, one_line
from gansearch.program import command
from gansearch.run import Floor, Run, TrialState
from gansearch.run.ledger import best_trial
from gansearch.run.links import require_no_links
from gansearch.run.manifest import ProtocolRecord
from gansearch.run.paths import CARD, CONFIG, GENERATOR, GRID, REAL, SCORES, join
from gansearch.text import fid_text, result_text, without_nul
from gansearch.training import grids
from gansearch.training.checkpoint import CheckpointDir, read_weights
from gansearch.training.generator import LoadedGenerator

if TYPE_CHECKING:
    from gansearch.metrics.final import FinalScores


FORMAT = 1  # to be raised where an export of before can't be loaded, or would mean something else


class Exported(BaseModel):
    """The content of an export's `config.json`: the generator, where it comes from, and how its FID was measured.

    Args:
        run: The name of the run.
        trial_id: The trial that trained the generator.
        fid: The lowest FID of the trial.
        kimg: The training length at which that FID was measured.
        protocol: How that FID was measured.
        floor: The FID of real images, None where the data set has one split only.
        channels: The channels of an image.
        classes: The names of the classes whose labels the generator takes, empty for a generator without labels.
        sha256: The SHA-256 of the weights' file.
        trial: The configuration of the trial.
        format: The number of the format.
        gansearch: The version that wrote it.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    trial_id: str
    fid: float
    kimg: float
    protocol: ProtocolRecord
    floor: Floor | None
    channels: int = Field(ge=1)
    classes: tuple[str, ...]
    sha256: str
    trial: TrialConfig
    format: int
    gansearch: str

    @model_validator(mode="before")
    @classmethod
    def _is_usable(cls, content: Any) -> Any:
        if isinstance(content, Mapping) and "trial" in content and content.get("format") != FORMAT:
            version = content.get("gansearch")
            raise ValueError(
                f"gansearch {version} wrote it, format {content['format']}, and this one reads {FORMAT}: use that one"
                if "format" in content
                else "an earlier gansearch wrote it, without a format number: export it again"
            )
        return without_nul(content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the `config.json` of an export; raises UserError where there is none, or it is damaged."""
        try:
            return cls.model_validate_json((folder / CONFIG).read_bytes())
        except (OSError, ValidationError) as error:
            reason = first_fault(error) if isinstance(error, ValidationError) else one_line(error)
            raise UserError(f"{folder} holds no exported generator ({reason}): name a folder of `export`") from None


def load_generator(folder: str | Path, device: str = "cpu", allow_code: foreign.Allowed = False) -> LoadedGenerator:
    """Loads the generator that `export` wrote into `folder`.

    Args:
        folder: The folder of an export.
        device: Where to generate.
        allow_code: A generator whose model is code from outside the package needs that code, which its `config.json`
            names: True lets it run, as does the class itself, or its name.

    Raises:
        UserError: The folder holds no export, or the code of the model is missing, has changed or is not allowed.
    """
    folder = Path(folder)
    exported = Exported.load(folder)
    foreign.allow(allow_code, exported.trial.component_names)
    try:
        content = (folder / GENERATOR).read_bytes()
    except OSError as error:
        raise UserError(
            f"{folder} holds no exported generator ({one_line(error)}): name a folder of `export`"
        ) from None
    if sha256(content).hexdigest() != exported.sha256:
        raise UserError(f"{folder} holds no exported generator ({GENERATOR} is damaged): export it again")
    return _generator(exported, read_weights(content, str(folder / GENERATOR)), device)


def _generator(exported: Exported, weights: dict[str, Tensor], device: str) -> LoadedGenerator:
    return LoadedGenerator.build(exported.trial, weights, exported.channels, exported.classes, device)


def export(run: Run, trial_id: str | None = None, out: Path | None = None, *, lowest: bool = False) -> Path:
    """Writes the best generator of a trial as files that stand alone: weights, configuration, card, images.

    Args:
        run: A loaded run.
        trial_id: Which trial, with or without leading zeros. None takes the winner's: of its finals the one nearest to
            their mean or, where there are no finals, the trial with the lowest FID.
        out: The folder to write; None takes the run's `best`.
        lowest: Takes the trial with the lowest FID of all, finals included.

    Returns:
        The folder. `config.json` there has the trial's configuration, its FID and where the generator comes from.

    Raises:
        UserError: There is no such trial, the trial was never evaluated, its checkpoint is gone, the folder can't be
            written, the run has links out of it, or both a trial and the lowest are wanted.
    """
    if out is None:
        require_no_links(run.dir)
    if trial_id is not None and lowest:
        raise UserError(f"trial {trial_id} and the lowest FID are wanted at once: name one of them")
    if trial_id is not None:
        trial: TrialState | None = run.ledger.find(trial_id)
    else:
        trial = best_trial(run.ledger.values()) if lowest else run.best_generator
    if trial is None:
        status = command("status", run.dir.path)
        raise UserError(f"{run.dir.path}: no trial has an FID yet; `{status}` shows how far they are")
    root = join(run.manifest.checkpoints or str(run.dir.trials), trial.trial_id)
    try:
        weights, about = CheckpointDir(root, patience=0).best()
    except OSError as error:
        raise UserError(f"can't read {root} ({one_line(error)}): fix that first") from None
    content = save(weights)
    exported = Exported(
        run=run.dir.name,
        trial_id=trial.trial_id,
        fid=about.best_fid,
        kimg=about.best_kimg,
        protocol=run.manifest.protocol,
        floor=run.manifest.floor,
        channels=about.channels,
        classes=tuple(about.classes),
        sha256=sha256(content).hexdigest(),
        trial=from_dict(about.config),
        format=FORMAT,
        gansearch=gansearch.__version__,
    )
    generator = _generator(exported, weights, "cpu")
    out = out or run.dir.best
    caption = f"{run.dir.name}, trial {trial.trial_id}: {result_text(about.best_fid, about.best_kimg)}"
    grid = grids.png(grids.sampled(generator.module, generator.z_dim, about.classes, caption))
    files = {
        GENERATOR: content,
        CONFIG: exported.model_dump_json(indent=2).encode(),
        CARD: _card(run, exported).encode(),
        GRID: grid,
    }
    try:
        if run.dir.real.exists():
            files[REAL] = run.dir.real.read_bytes()
        write_together(out, files)
        (out / SCORES).unlink(missing_ok=True)  # the scores of an earlier generator
    except OSError as error:
        raise UserError(f"can't write to {out} ({one_line(error)}): name another --out") from None
    return out


def _card(run: Run, exported: Exported) -> str:
    """Returns the model card: which generator this is, how good, by what measure, and how to use it."""
    config, protocol, winner = exported.trial, exported.protocol, run.winner
    labels = f", classes {', '.join(exported.classes)}" if exported.classes else ""
    lines = [
        f"# {exported.run}, trial {exported.trial_id}",
        f"Generator `{config.model.name}` of images of {config.data.resolution} x {config.data.resolution} pixels, "
        f"{exported.channels} channel{'s' if exported.channels > 1 else ''}{labels}, found by gansearch.",
        f"- This generator: {result_text(exported.fid, exported.kimg)}.",
    ]
    if run.finals is not None and winner is not None:
        best = run.finals.winner
        between = "" if best.interval is None else f", 95 % interval {' to '.join(map(fid_text, best.interval))}"
        diverged = f" ({best.diverged} diverged and counted as the highest FID of all)" if best.diverged else ""
        lines.append(
            f"- The winner is the configuration of trial {winner.trial_id}: mean FID {fid_text(best.mean)} of "
            f"{best.counted} seed{'' if best.counted == 1 else 's'}{diverged}{between}."
        )
    elif winner is not None:
        lines.append(f"- The winner is trial {winner.trial_id}, by the lowest FID of one seed.")
    lines.append(
        f"- FIDs: {protocol.extractor}, {protocol.num_fake:,} generated against {protocol.real} "
        f"(`{config.data.name}`), protocol `{protocol.hash}`; they compare with no other protocol's."
    )
    if exported.floor is not None:
        lines.append(f"- Real {exported.floor.split} images score {fid_text(exported.floor.fid)}.")
    flag = run.plan.code_flag
    again, allow = command("trial", run.dir.trial_config(exported.trial_id), *flag), ", allow_code=True" if flag else ""
    lines += [
        f"- Trained by: `{again}`",
        f'```python\nimport gansearch as gs\n\nimages = gs.load_generator("this folder"{allow}).sample(64)\n```',
    ]
    return "\n".join([lines[0], "", lines[1], "", *lines[2:-1], "", lines[-1], ""])


def measure(folder: Path, count: int, device: torch.device | None = None) -> "tuple[FinalScores, Floor | None]":
    """Measures a generator that `export` wrote into `folder`, and writes `scores.json` there.

    The protocol is that of the search, except for the number of images.

    Args:
        folder: The folder of an export.
        count: How many images to generate.
        device: Where to generate and measure; None takes a GPU where there is one.

    Returns:
        The scores, and the search's floor, None where the search has none.

    Raises:
        UserError: The folder holds no export or can't be written, the data or the weights have changed since the
            search, or a generated image is not finite.
    """
    from gansearch.metrics.final import final_scores  # imports torch-fidelity, which takes as long as torch does

    device = device or best_device()
    generator = load_generator(folder, str(device))
    exported = Exported.load(folder)
    scores = final_scores(generator.config, generator.scored(count), count, device, exported.protocol)
    record = {name: value for name, value in asdict(scores).items() if name != "missing"}
    record |= {
        "protocol": scores.protocol.to_record(),
        "floor": None if exported.floor is None else asdict(exported.floor),
        "run": exported.run,
        "trial_id": exported.trial_id,
    }

    def write(path: Path) -> None:
        path.write_text(json.dumps(record, indent=2, allow_nan=False))

    try:
        atomic_write(folder / SCORES, write)
    except OSError as error:
        raise UserError(f"can't write to {folder} ({one_line(error)}): name another --out") from None
    return scores, exported.floor
