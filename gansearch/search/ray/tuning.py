"""Sets up Ray Tune for the queue of a search, runs Tune, and handles the end."""

import logging
import os
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback

from gansearch import foreign
from gansearch.errors import TooManyFailures, UserError, one_line
from gansearch.search.health import Health
from gansearch.search.ray.callbacks import TrialEvents
from gansearch.search.ray.limits import Limits
from gansearch.search.ray.placement import Placement, bundle
from gansearch.search.ray.scheduler import RecordingScheduler
from gansearch.search.ray.searcher import QueueSearcher

if TYPE_CHECKING:
    from gansearch.search.search import Search

logger = logging.getLogger(__name__)

_MOST_PENDING = 1000  # trials; the searcher hands out as many as there are slots


def tune_trials(search: "Search") -> bool:
    """Lets Tune run the queue of a search, in the Ray of this process.

    Returns:
        Whether nothing is left to train. Else trials that run or wait stay unfinished.

    Raises:
        UserError: Rows or checkpoints can't be written.
        TooManyFailures: Trials fail for a reason that is not their own.
    """
    plan, recorder, queue = search.plan, search.recorder, search.queue
    health = Health(search.ledger, queue, search.cluster.broken)
    limits = Limits(plan, search.cluster.gpus, recorder, health, search.shutdown)
    placement = Placement(search.cluster, health, queue.count)
    events = TrialEvents(recorder, health, placement, plan.options.trial_timeout)
    tuner = _tuner(search, limits, placement, events)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(_MOST_PENDING)
    try:
        if not limits.stop_all():
            tuner.fit()
        if not limits.stop_all() and limits.reached is None:  # else other trials are left, for another driver
            events.settle()
    except Exception:
        if recorder.fault is None:
            raise
    placement.close()
    if recorder.fault is not None:
        raise UserError(f"can't write ({one_line(recorder.fault)}): fix that, then {search.how_to_continue}")
    if search.shutdown.signal:
        return False
    if health.ends is not None:
        raise TooManyFailures(f"{health.ends}; trials are unfinished: fix that, then {search.how_to_continue}")
    if _is_complete(search):
        if queue.promotes:
            recorder.end_waiting()
        return True
    if limits.reached is not None:
        logger.info("%s; to go on, %s with another budget", limits.reached, search.how_to_continue)
    return False


def _is_complete(search: "Search") -> bool:
    """Returns whether nothing is left to train."""
    queue = search.queue
    is_open = any(trial.is_unfinished and trial.is_final != queue.promotes for trial in search.ledger.values())
    return queue.is_empty and not is_open and not (queue.promotes and search.recorder.may_promote)


class _NoReport(tune.ProgressReporter):
    """Reports nothing. Tune's own reporter clears the output of a notebook's cell, however quiet it is to be."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: Any) -> None:
        pass


class _NoProgress(TrialProgressCallback):
    """Prints nothing. Tune adds the callback that this one replaces, which prints some ends of trials."""

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        pass

    on_trial_error = on_trial_complete = on_trial_result


def _tuner(search: "Search", limits: Limits, placement: Placement, events: TrialEvents) -> tune.Tuner:
    plan, cluster = search.plan, search.cluster
    constants = {
        "checkpoints": plan.checkpoints,
        "token": search.token,
        "cpus": cluster.cpus,
        "gpus": cluster.gpus,
        "objects": foreign.objects(plan.component_names),
    }
    trainable = tune.with_parameters(search.trainable, reference=search.reference)
    return tune.Tuner(
        tune.with_resources(trainable, bundle),
        tune_config=tune.TuneConfig(
            search_alg=QueueSearcher(search.queue, search.recorder, placement, limits, constants),
            scheduler=RecordingScheduler(search.recorder, events),
            num_samples=-1,  # the searcher says when there are no more
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.config["trial_id"],
            trial_dirname_creator=lambda trial: trial.config["trial_id"],
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(plan.run.ray.absolute()),
            stop=limits,
            callbacks=[events, _NoProgress()],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the trial saves by itself
            # A trial that fails has ended for Tune, whose count of failures is not that of a trial's processes. The
            # queue hands it out again.
            failure_config=tune.FailureConfig(max_failures=0),
            progress_reporter=_NoReport(),
            verbose=0,
        ),
    )
