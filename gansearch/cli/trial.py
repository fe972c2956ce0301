"""The work of `trial`: runs one trial in this process, without Ray, and writes a run of one trial."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gansearch import foreign
from gansearch.analysis.status import describe
from gansearch.analysis.text import share_text
from gansearch.cache import read_small
from gansearch.cli.parser import NO_FID, OK
from gansearch.config import TrialConfig, from_json
from gansearch.data.loader import load_images
from gansearch.device import best_device, best_precision, is_out_of_memory
from gansearch.errors import UserError, one_line
from gansearch.logs import show
from gansearch.metrics.floor import floor_of
from gansearch.program import command
from gansearch.recipes import RECIPES, recipe
from gansearch.run import Ledger, Options, Plan, RunDir, Space
from gansearch.run.rows import Eval, Evaluation, Row
from gansearch.search.new_run import write_new_run
from gansearch.search.queue import Proposal
from gansearch.search.recorder import Recorder
from gansearch.search.run_lock import locked_run
from gansearch.search.shutdown import GracefulShutdown
from gansearch.text import result_text
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Diverged, Trainer, run

logger = logging.getLogger(__name__)


def trial_config(
    source: str, changes: Mapping[str, Any], max_kimg: float | None, *, allow_code: bool = False
) -> TrialConfig:
    """Returns the resolved configuration of a trial's config.json or of a recipe, with options changed.

    `train.precision=auto` is decided here, for this machine, so that the run records the precision. Code from outside
    the package that the file names runs with `allow_code` only.

    Raises:
        UserError: There is no such file or recipe, or an option is wrong.
    """
    if source.endswith(".json") or "/" in source:
        try:
            text = read_small(Path(source))
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(RECIPES)
            raise UserError(f"{source}: {one_line(error)}; give a trial's config.json or one of {known}") from None
        if _is_of_an_export(text):
            raise UserError(f"{source} is the config.json of an export: give a trial's, RUN/trials/ID/config.json")
        config = from_json(text)
    else:
        config = recipe(source).config
    foreign.allow(allow_code, config.component_names)
    config = config.override(changes, max_kimg)
    if config.train.precision == "auto":
        config = config.override({"train.precision": best_precision(best_device())})
    return check(config)


def _is_of_an_export(text: str) -> bool:
    try:
        return "trial" in json.loads(text).keys() - TrialConfig.model_fields
    except (ValueError, AttributeError, RecursionError):  # no JSON, or no object: for `from_json` to say
        return False


def run_trial(config: TrialConfig, run_dir: RunDir, origin: str) -> int:
    """Trains a resolved `config` to the end and prints the best FID. Returns the exit code."""
    plan = Plan(run_dir, Space(base=config, params={}, trials=1), Options(trials=1, seed=config.seed))
    device = best_device()

    def farewell() -> None:
        if run_dir.search_json.exists():
            logger.info("interrupted; continue with: %s", command("resume", run_dir.path, *plan.code_flag))

    shutdown = GracefulShutdown(farewell)
    with shutdown.handling(), locked_run(plan) as lock:
        try:
            trainer = Trainer(config, device)
            floor = floor_of(config, trainer.reference, device)
            write_new_run(plan, load_images(config.data, "train"), trainer.reference.protocol, floor)
            lock.commit()
            recorder = Recorder(plan, lock.writer, Ledger(), _log)
            return _train(trainer, recorder, Proposal({}, origin, config.seed), run_dir)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            reason = one_line(error)
        raise UserError(f"out of memory ({reason}): set train.batch, model.features or data.resolution lower")
    return shutdown.exit_code


def _train(trainer: Trainer, recorder: Recorder, proposal: Proposal, run_dir: RunDir) -> int:
    started = recorder.start(proposal)
    assert started is not None, "its parameters are given"
    state, config = started
    folder = run_dir.trial(state.trial_id)
    checkpoints, artifacts = CheckpointDir(folder), Artifacts(str(folder), config.artifacts)

    def report(evaluation: Evaluation) -> None:
        recorder.evaluation(state.trial_id, evaluation)

    try:
        run(trainer, report, checkpoints, artifacts)
        recorder.end(state.trial_id, "completed", None)
    except Diverged as divergence:
        recorder.end(state.trial_id, "diverged", str(divergence), divergence.kimg)
    if state.best is None:
        logger.info("%s: %s", run_dir.path, describe(state, recorder.ledger))
        return NO_FID
    if recorder.ledger.evaluation_share is not None:
        logger.info(share_text(recorder.ledger.evaluation_share))
    show(f"best {result_text(state.best.fid, state.best.kimg)}; run: {run_dir.path}")
    return OK


def _log(row: Row, ledger: Ledger) -> None:
    if isinstance(row, Eval):
        logger.info("%s, %.0f images/s", describe(ledger[row.trial_id], ledger), row.images_per_second)
