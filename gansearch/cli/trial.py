"""`run_search.py trial`: one trial in this process, without Ray. It leaves a run of one trial."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from gansearch.analysis.status import describe
from gansearch.analysis.text import share_text
from gansearch.cli.parser import NO_FID, OK, say
from gansearch.config import TrialConfig, from_json
from gansearch.errors import UserError, one_line
from gansearch.metrics.floor import floor_of
from gansearch.recipes import RECIPES, recipe
from gansearch.run.ledger import Ledger
from gansearch.run.paths import RunDir
from gansearch.run.rows import Eval, Evaluation, Row, Writer
from gansearch.search.agenda import Proposal
from gansearch.search.claim import claimed
from gansearch.search.find_space import parse_settings
from gansearch.search.interrupt import Interruption, interruptible
from gansearch.search.plan import Options, Plan
from gansearch.search.recorder import Recorder
from gansearch.search.space import Space
from gansearch.search.study import Study
from gansearch.training.artifacts import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.device import best_device
from gansearch.training.feasibility import check
from gansearch.training.loop import Diverged, Trainer, run


def trial_config(source: str, settings: Sequence[str], data_dir: str | None, max_kimg: float | None) -> TrialConfig:
    """The configuration of a trial's config.json or of a recipe, with options set; UserError where it is wrong."""
    if source.endswith(".json") or "/" in source:
        try:
            config = from_json(Path(source).read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{source}: {one_line(error)}; give a trial's config.json or one of {_known()}") from None
    else:
        config = recipe(source).config
    return check(config.override(parse_settings(settings, data_dir), max_kimg))


def _known() -> str:
    return ", ".join(RECIPES)


def run_trial(config: TrialConfig, run_dir: RunDir, origin: str) -> int:
    """Trains `config` to its end, reporting on stderr; the best FID goes to stdout."""
    plan = Plan(run_dir, Space(base=config, params={}, trials=1), Options(trials=1, seed=config.seed))
    device = best_device()
    interruption = Interruption()
    with interruptible(interruption), claimed(plan) as claim:
        trainer = Trainer(config, device)
        plan.save(trainer.reference.protocol, floor_of(config, trainer.reference, device))
        claim.keep = True
        with closing(Writer(run_dir.results)) as writer:
            return _train(trainer, plan, writer, origin)
    if run_dir.search_json.exists():
        say(f"interrupted; continue with: gansearch resume {run_dir.path}")
    return interruption.exit_code


def _train(trainer: Trainer, plan: Plan, writer: Writer, origin: str) -> int:
    ledger = Ledger()
    study = Study(plan.run.study_journal, plan.run.name, plan.space, ledger, plan.options.seed)
    recorder = Recorder(plan.run, writer, ledger, study, _tell)
    state = recorder.start(Proposal({}, origin, trainer.config.seed), plan.space.config)
    folder = plan.run.trial(state.trial_id)
    checkpoints, artifacts = CheckpointDir(folder), Artifacts(str(folder), trainer.config.artifacts)

    def report(evaluation: Evaluation) -> None:
        recorder.evaluation(state.trial_id, evaluation)

    try:
        run(trainer, report, checkpoints, artifacts)
        recorder.end(state.trial_id, "completed", None)
    except Diverged as divergence:
        recorder.end(state.trial_id, "diverged", str(divergence), divergence.kimg)
    if state.best is None:
        say(f"{plan.run.path}: {describe(state)}")
        return NO_FID
    if ledger.evaluation_share is not None:
        say(share_text(ledger.evaluation_share))
    print(f"best FID {state.best.fid:.2f} at {state.best.kimg:g} kimg; run: {plan.run.path}")
    return OK


def _tell(row: Row, ledger: Ledger) -> None:
    if isinstance(row, Eval):
        say(f"{describe(ledger[row.trial_id])}, {row.images_per_second:.0f} images/s")
