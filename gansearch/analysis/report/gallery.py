"""The images of a report: what the best trials generate, beside real images, and how the winner came there."""

from typing import NamedTuple

from gansearch.analysis.report.answer import best_baseline
from gansearch.analysis.report.images import Picture, folder_of, grids, picture
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run
from gansearch.run.paths import GIF, attention_file, samples_file
from gansearch.text import fid_text, kimg_text


class Shown(NamedTuple):
    """Pictures, and sentences on those that are missing."""

    pictures: list[Picture]
    missing: list[str]


def generated(run: Run, leaders: list[TrialState]) -> Shown:
    """Returns the grids of some trials of the search, each at its lowest FID.

    A finalist is shown by the final that lies nearest to its mean, as `export` does.
    """
    if (missing := _out_of_reach(run)) is not None:
        return Shown([], [missing])
    real = "Real images, laid out as the generated ones"
    pictures, without = [one for one in [picture(run.dir.real, f"Grid of real images. {real}.", real)] if one], []
    for place, trial in enumerate(leaders, 1):
        shown = _stands_for(run, trial)
        found = _best_grid(run, shown, f"{place}. ", trial)
        if found is None:
            without.append(shown.trial_id)
        else:
            pictures.append(found)
    missing = f"No grids of samples are there for {_trials(without)}: {_why()}." if without else ""
    no_real = "" if run.dir.real.is_file() else "The run has no grid of real images to compare with."
    return Shown(pictures, [text for text in (missing, no_real) if text])


def side_by_side(run: Run, winner: TrialState) -> Shown:
    """Returns the winner and the best baseline at the greatest length at which both have a grid."""
    baseline, shown = best_baseline(run), _stands_for(run, winner)
    if baseline is None or baseline is winner or folder_of(run, shown.trial_id) is None:
        return Shown([], [])
    both = sorted(set(grids(run, shown.trial_id)) & set(grids(run, baseline.trial_id)))
    if not both:
        return Shown([], ["The winner and the best baseline have no grid of samples at the same length."])
    found = []
    for trial, who in ((shown, "The winner"), (baseline, f"The baseline {baseline.start.origin.partition(':')[2]}")):
        fid = run.ledger.fid_at(trial.trial_id, both[-1])
        text = f"{who} (trial {trial.trial_id}) at {kimg_text(both[-1] / 1000)} kimg: FID {fid_text(fid)}"
        found.append(_artifact(run, trial.trial_id, samples_file(both[-1]), f"Grid of generated images. {text}.", text))
    return Shown([one for one in found if one], [])


def attention(run: Run, winner: TrialState) -> list[Picture]:
    """Returns the attention maps of the winner's networks at its lowest FID; none without self-attention."""
    shown, found = _stands_for(run, winner), []
    if shown.best is None:
        return []
    for network, name, images in (("G", "generator", "generated"), ("D", "discriminator", "real")):
        caption = (
            f"Where the {name} of trial {shown.trial_id} looks, for four query points in each {images} image, "
            f"at {kimg_text(shown.best.kimg)} kimg"
        )
        file = attention_file(shown.best.images, network)
        found.append(_artifact(run, shown.trial_id, file, f"Attention maps. {caption}.", caption))
    return [one for one in found if one]


def animation(run: Run, winner: TrialState) -> tuple[Picture | None, Picture | None]:
    """Returns the animation of the winner's grids, and the grid that stands for it where nothing may move."""
    shown = _stands_for(run, winner)
    caption = f"The grids of trial {shown.trial_id} from the first evaluation to the last; the length stands on each"
    moving = _artifact(run, shown.trial_id, GIF, f"Animation. {caption}.", caption)
    return moving, _best_grid(run, shown, "", winner) if moving else None


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
    folder = folder_of(run, trial_id)
    return None if folder is None else picture(folder / file, alt, caption)


def _out_of_reach(run: Run) -> str | None:
    root = run.manifest.checkpoints
    return None if root is None or "://" not in root else f"The images lie in {root}, where this page does not reach."


def _why() -> str:
    return "the search wrote none (artifacts.samples), or the files are gone"


def _trials(ids: list[str]) -> str:
    return f"trial{'s' if len(ids) > 1 else ''} {', '.join(ids)}"
