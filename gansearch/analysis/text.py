"""Writes numbers and parameters for tables, log lines and plots."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gansearch.run.domain import Domain, as_typed
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.protocol import Floor
from gansearch.run.rows import Relation
from gansearch.run.space import Condition
from gansearch.text import fid_text, kimg_text

_RELATIONS: dict[Relation, str] = {"retry": "retry of", "continuation": "continues", "final": "of"}


def value_text(value: Any) -> str:
    """Returns a parameter's value: a float with three digits, a boolean as in JSON."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Returns a short name for each path: its last part, or its section for a name: `loss`, `clip`, `d_lr/g_lr`.

    Where two paths would have the same name, both keep their sections.
    """
    found = {path: "/".join(map(_short, path.split("/"))) for path in paths}
    count = Counter(found.values())
    return {path: name if count[name] == 1 else path for path, name in found.items()}


def _short(path: str) -> str:
    section, _, key = path.rpartition(".")
    return section if key == "name" and section else key


def differing(paths: Iterable[str], shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the paths whose values differ among some parameters; a value that does not apply differs from all."""
    return [path for path in paths if any(params.get(path) != shown[0].get(path) for params in shown)]


def domain_text(domain: Domain) -> str:
    """Returns the values of a domain: `bce | wgan`, or `0.0001 to 0.01, log`."""
    if domain.is_categorical:
        return " | ".join(map(as_typed, domain.choices))
    low, high, step = domain.range.low, domain.range.high, domain.range.step
    whole = ", whole" if domain.name == "IntDistribution" else ""
    steps = f", step {step:g}" if step not in {None, 1} else ""
    return f"{low:g} to {high:g}{whole}{steps}{', log' if domain.range.log else ''}"


def conditions_text(conditions: Iterable[Condition]) -> str:
    """Returns conditions on one line: `model.name = sagan and loss.name = wgan or wgan-gp`."""
    return " and ".join(f"{when.path} = {' or '.join(map(value_text, when.among))}" for when in conditions)


def origin_text(origin: str, parent: str | None, relation: Relation | None) -> str:
    """Returns who proposed a trial, and which earlier trial the trial follows."""
    return origin if relation is None else f"{origin} ({_RELATIONS[relation]} {parent})"


def reason_text(trial: TrialState, ledger: Ledger) -> str | None:
    """Returns why a trial has ended, waits or went on, on one line; None where nothing is to say.

    A trial that waits is compared with all that came to its rung by now.
    """
    if trial.end and trial.end.reason:
        return flat_text(trial.end.reason)
    if not trial.decisions:
        return None
    row = trial.decisions[-1]
    ended = trial.status == "stopped"
    waits = "was not promoted" if ended else "waits"
    what = {"waits": waits, "stops": "stopped", "goes on": "went on"}[row.verdict]
    line = f"{what} at {kimg_text(row.kimg)} kimg"
    if row.fid is None:
        return line
    newest = ledger.comparisons[row.kimg] if row.verdict == "waits" else row
    line += f": FID {fid_text(row.fid)}, "
    if newest.compared == 1:
        return f"{line}the first trial there"
    if newest.cut is None:
        return f"{line}no cut among {newest.compared} trials yet"
    line += f"cut {fid_text(newest.cut)} among {newest.compared} trials"
    if newest.behind:
        line += f", {newest.behind} of which trained less"
    if row.verdict == "waits" and row.fid < newest.cut:
        line += ", but the search ended" if ended else ", so it may go on when a slot is free"
    return line


def flat_text(text: str) -> str:
    """Returns a text on one line."""
    return " ".join(text.split())


def floor_text(floor: Floor) -> str:
    """Returns a line with the FID of real images, which a perfect generator would have."""
    return f"floor: real {floor.split} images score {fid_text(floor.fid)} ({floor.images} images)"


def share_text(share: float) -> str:
    """Returns a line with the share of the trials' time that evaluations took."""
    return f"FID and artifacts took {share:.1%} of the trials' time"
