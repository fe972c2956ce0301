"""The images of a report: what the best trials generate, beside real images, and how the winner came there."""

from typing import NamedTuple

from gansearch.analysis.info.comparison import comparison_info
from gansearch.analysis.info.trials import lowest
from gansearch.analysis.report.answer import best_baseline
from gansearch.analysis.report.images import Picture, grids, picture
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run
from gansearch.run.paths import GIF, attention_file, samples_file
from gansearch.text import fid_text, kimg_text


class Shown(NamedTuple):
    """Pictures, and sentences to read with them."""

    pictures: list[Picture]
    notes: list[str]


def generated(run: Run, leaders: list[TrialState]) -> Shown:
    """Returns the grids of some trials of the search, each at its lowest FID.

    A finalist is shown by the final that lies nearest to its mean, as `export` does.
    """
    if run.elsewhere is not None:
        return Shown([], [f"The images lie in {run.elsewhere}, where this page does not reach."])
    real = "Real images, laid out as the generated ones"
    pictures, without = [one for one in [picture(run.dir.real, f"Grid of real images. {real}.", real)] if one], []
    for place, trial in enumerate(leaders, 1):
        best = run.ledger[lowest(run, trial).trial_id]
        shown = _stands_for(run, best)
        found = _best_grid(run, shown, f"{place}. ", best)
        if found is None:
            without.append(shown.trial_id)
        else:
            pictures.append(found)
    missing = f"No grids of samples are there for {_trials(without)}: {_why()}." if without else ""
    no_real = "" if run.dir.real.is_file() else "The run has no grid of real images to compare with."
    return Shown(pictures, [text for text in (missing, no_real) if text])


def side_by_side(run: Run, shown: TrialState) -> Shown:
    """Returns a trial and the best baseline at the greatest length at which both have a grid."""
    baseline = best_baseline(run)
    if baseline is None or baseline.params_key == shown.params_key:
        return Shown([], [])
    info = comparison_info(run, shown, baseline)
    found = []
    for trial, side in zip((shown, baseline), info.sides, strict=True):
        if side.samples is not None:
            name = f"Trial {trial.trial_id}" if trial is shown else f"The baseline {side.curve.baseline}"
            text = f"{name}: FID {fid_text(side.fid)} at {kimg_text(info.kimg)} kimg"
            found.append(picture(side.samples, f"Grid of generated images. {text}.", text))
    differing = ", ".join(f"{path} ({own} / {other})" for path, own, other in info.differing)
    notes = [f"Against the best baseline, trial {baseline.trial_id}, it differs in {differing}."] if differing else []
    if not found:
        notes.append("The two have no grid of samples at the same length.")
    return Shown([one for one in found if one], notes)


def attention(run: Run, shown: TrialState) -> list[Picture]:
    """Returns the attention maps of a trial's networks at its lowest FID; none without self-attention."""
    found = []
    for network, name, images in (("G", "generator", "generated"), ("D", "discriminator", "real")):
        if shown.best is not None:
            caption = f"Where the {name} looks, for four query points in each {images} image"
            file = attention_file(shown.best.images, network)
            found.append(_artifact(run, shown.trial_id, file, f"Attention maps. {caption}.", caption))
    return [one for one in found if one]


def animation(run: Run, shown: TrialState) -> tuple[Picture | None, Picture | None]:
    """Returns the animation of a trial's grids, and the grid that stands for it where nothing may move."""
    caption = f"The grids of trial {shown.trial_id} from the first evaluation to the last; the length stands on each"
    moving = _artifact(run, shown.trial_id, GIF, f"Animation. {caption}.", caption)
    return moving, _best_grid(run, shown, "", shown) if moving else None


def _stands_for(run: Run, trial: TrialState) -> TrialState:
    finalist = run.finalist(trial)
    return trial if finalist is None or finalist.nearest is None else run.ledger[finalist.nearest]


def _best_grid(run: Run, shown: TrialState, before: str, trial: TrialState) -> Picture | None:
    """Returns the grid of a trial at its lowest FID, or the last one before that."""
    if shown.best is None:
        return None
    images = max((one for one in grids(run, shown.trial_id) if one <= shown.best.images), default=None)
    if images is None:
        return None
    fid = run.ledger.fid_at(shown.trial_id, images)
    name = f"Trial {trial.trial_id}" + ("" if shown is trial else f", by its final {shown.trial_id}")
    text = f"{before}{name}: FID {fid_text(fid)} at {kimg_text(images / 1000)} kimg"
    return _artifact(run, shown.trial_id, samples_file(images), f"Grid of generated images. {text}.", text)


def _artifact(run: Run, trial_id: str, file: str, alt: str, caption: str) -> Picture | None:
    folder = run.artifacts(trial_id)
    return None if folder is None else picture(folder / file, alt, caption)


def _why() -> str:
    return "the search wrote none (artifacts.samples), or the files are gone"


def _trials(ids: list[str]) -> str:
    return f"trial{'s' if len(ids) > 1 else ''} {', '.join(ids)}"
