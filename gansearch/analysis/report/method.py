"""How the FIDs of a run were measured, and how its search was run, as lists of facts."""

from collections.abc import Iterator
from typing import NamedTuple

from gansearch.analysis.report.answer import Fact
from gansearch.analysis.text import conditions_text, domain_text, floor_text, share_text, value_text
from gansearch.run.loaded import Run
from gansearch.text import kimg_text, rough_text

_HOUR = 3600


class Searched(NamedTuple):
    """A parameter of the space: its path, its domain, and when it applies."""

    path: str
    domain: str
    condition: str


def measuring(run: Run) -> list[Fact]:
    """Returns how an FID of the run was measured."""
    data = run.manifest.space.base.data
    return [
        Fact("FID", _fid_in_words(run)),
        Fact("Data set", "; ".join(f"{name} = {value_text(value)}" for name, value in data.model_dump().items())),
        Fact("Floor", "not known: the data set has one split" if run.manifest.floor is None else _floor(run)),
    ]


def protocol(run: Run) -> list[Fact]:
    """Returns every field of the protocol, and its hash first. FIDs with another hash can't be compared."""
    return [Fact(name.replace("_", " "), str(value)) for name, value in run.manifest.protocol.to_record().items()]


def _fid_in_words(run: Run) -> str:
    protocol = run.manifest.protocol
    return (
        f"between {protocol.num_fake:,} generated and {protocol.real}, "
        f"at {protocol.resolution} x {protocol.resolution}, on the features of {protocol.extractor}; "
        "of the averaged generator; lower is better, and only FIDs of one protocol can be compared"
    )


def _floor(run: Run) -> str:
    assert run.manifest.floor is not None
    return floor_text(run.manifest.floor).removeprefix("floor: ") + ", which a perfect generator would score"


def searching(run: Run) -> list[Fact]:
    """Returns how the search was run: its budget, what proposed and what stopped trials, seeds and versions."""
    return list(_searching(run))


def _searching(run: Run) -> Iterator[Fact]:
    manifest, options, ledger = run.manifest, run.manifest.options, run.ledger
    train = manifest.space.base.train
    yield Fact("Trials", "as many as the budget allows" if options.trials is None else f"{options.trials} proposed")
    yield Fact("Length of a trial", f"{kimg_text(manifest.max_kimg)} kimg with {train.evaluations} evaluations")
    yield Fact("Proposed by", options.sampler.name)
    if options.scheduler is None:
        yield Fact("Stopped by", "nothing: all trials were to be trained to their full length")
    else:
        rungs = ", ".join(map(kimg_text, manifest.rungs_kimg))
        yield Fact("Stopped by", f"{options.scheduler.name}, one in {options.eta} goes on; rungs at {rungs} kimg")
    if options.time_budget is not None:
        yield Fact("Time budget", f"{rough_text(options.time_budget / _HOUR)} h")
    if options.gpu_hours is not None:
        yield Fact("Budget of GPU hours", f"{options.gpu_hours:g}")
    seconds = sum(row.train_seconds + row.eval_seconds for trial in ledger.values() for row in trial.evals)
    hours = f"{rough_text(seconds / _HOUR)} h of all trials together"
    if manifest.gpus_per_trial:
        hours += f", {rough_text(ledger.gpu_hours(manifest.gpus_per_trial))} GPU hours of the search"
    if ledger.evaluation_share is not None:
        hours += f"; {share_text(ledger.evaluation_share)}"
    yield Fact("Time used", hours)
    yield Fact("Seed", str(manifest.seed))
    yield Fact("Baselines", ", ".join(manifest.space.baselines) or "none")
    yield Fact("Fingerprint of space, seed and protocol", manifest.fingerprint)
    yield Fact("Versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items()))
    yield Fact("Source", f"commit {manifest.git_commit}" if manifest.git_commit else "an installed package")
    yield Fact("Started", manifest.created)
    if manifest.extended:
        yield Fact("Extended", ", ".join(manifest.extended))


def searched(run: Run) -> list[Searched]:
    """Returns the parameters of the space, in its order."""
    space = run.manifest.space
    return [
        Searched(path, domain_text(parameter.domain), conditions_text(space.conditions(path)) or "always")
        for path, parameter in space.params.items()
    ]
