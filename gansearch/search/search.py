"""The driver of a search: starts, resumes or extends a run, or trains finals."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace

import torch

from gansearch import foreign, registry
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics.reference import Reference, protocol_of, reference_of
from gansearch.program import command
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.links import require_no_links
from gansearch.run.loaded import Run, load
from gansearch.run.manifest import Manifest, Plan
from gansearch.run.paths import join
from gansearch.run.protocol import Protocol
from gansearch.run.rows import Row, Writer, is_being_written
from gansearch.search.decisions import policy_of
from gansearch.search.feasibility import check_components, check_space, check_space_data, check_variety
from gansearch.search.loggers.base import Listener
from gansearch.search.loggers.opened import open_loggers
from gansearch.search.new_run import require_own_storage, write_new_run
from gansearch.search.queue import TrialQueue, finals_queue, search_queue
from gansearch.search.ray.cluster import Cluster, this_machine
from gansearch.search.ray.inspection import Look, inspected
from gansearch.search.ray.joining import check_address
from gansearch.search.ray.measuring import Measuring
from gansearch.search.ray.noise import measure_noise
from gansearch.search.ray.session import ray_session
from gansearch.search.ray.token import written_token
from gansearch.search.ray.trainable import GANTrial
from gansearch.search.ray.tuning import tune_trials
from gansearch.search.recorder import Recorder
from gansearch.search.remaining import Remaining, TimeLeft
from gansearch.search.run_lock import check_room, locked_run
from gansearch.search.shutdown import GracefulShutdown
from gansearch.text import kimg_text, rough_text
from gansearch.training.card import look
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.storage import Storage

logger = logging.getLogger(__name__)


class Search:
    """The work of one driver on one run. Call `start`, `resume`, `extend` or `finals`, once: each returns at the end.

    Instead of `start`, `rehearse` goes as far as to the first trial.

    Args:
        plan: The run, the space and the options. For an existing run they come from the manifest, but for the cluster,
            the resources and the budgets, which may be others.
        listener: Called with each new row and the ledger that contains the row.
        shutdown: What ends the search on a signal.
        trainable: What trains a trial, in a process of Ray.
        look: What looks at a GPU before the first trial, in a process of Ray.
    """

    recorder: Recorder
    protocol: Protocol
    reference: Reference
    cluster: Cluster
    token: str
    _manifest: Manifest

    def __init__(
        self,
        plan: Plan,
        listener: Listener,
        shutdown: GracefulShutdown | None = None,
        trainable: type = GANTrial,
        look: Look = look,
    ) -> None:
        self.plan, self.ledger, self.queue = plan, Ledger(), TrialQueue()
        foreign.require(plan.space.base.code, plan.component_names)
        policy_of(plan)  # a scheduler that can't be built is refused before anything is written
        self.shutdown = shutdown or GracefulShutdown()
        self.how_to_continue = f"run `{command('resume', plan.run.path, *plan.search_flags)}`"
        self._listener, self.trainable, self._look = listener, trainable, look
        self._remaining: Remaining | None = None

    def start(self) -> None:
        """Runs a new search. A UserError is raised before the first trial, and then the run's directory is removed."""
        run = self.plan.run
        with self.shutdown.handling(), locked_run(self.plan) as lock:
            self._check_address()
            self._prepare()
            with self._session():
                measuring = self._measure()
                floor = measuring.floor(self.reference)
                self.plan = replace(self.plan, space=self.cluster.with_precision(self.plan.space))
                images = load_images(self.plan.space.base.data, "train")
                manifest = write_new_run(self.plan, images, self.protocol, floor, self.cluster.gpus)
                with self._listeners(Run(run, manifest, self.ledger)) as listen:
                    lock.commit()
                    self.recorder = Recorder(self.plan, lock.writer, self.ledger, listen)
                    self.queue = search_queue(self.plan, self.ledger)
                    self._log_start("")
                    self._train()

    def _check_address(self) -> None:
        """Refuses an address of no cluster before anything is measured."""
        if self.plan.options.address is not None:
            check_address(self.plan.options.address)

    def _prepare(self) -> None:
        """Makes all checks of a new search; the plan then has the sources of its code."""
        self.protocol = prepare(self.plan)
        base = registry.with_code(self.plan.space.base, self.plan.component_names)
        self.plan = replace(self.plan, space=self.plan.space.replaced(base=base))

    def rehearse(self, *, is_started: bool = False) -> None:
        """Checks what `start` checks, or `resume` for a run that `is_started`, and leaves nothing on the disk.

        No logger is opened. A cluster at an address is joined. Without an address no Ray is started: this machine's
        resources are counted. Raises the same errors as they do.
        """
        with self.shutdown.handling(), nullcontext() if is_started else locked_run(self.plan):
            self._check_address()
            if is_started:
                require_no_links(self.plan.run, trials=True)
                if is_being_written(self.plan.run.results):
                    raise UserError(f"{self.plan.run.results} is being written by another process: it goes on already")
                self._read_run()
                self._require_format()
            else:
                self._prepare()
            if self.plan.options.address is None:
                self.cluster = Cluster.fit(self.plan, [this_machine()])
                return
            with self._session():
                pass

    def resume(self, *, retry_failed: bool = False) -> None:
        """Continues a run that was interrupted or killed.

        Raises:
            UserError: New FIDs would not be comparable, or trials lie outside the space, as it was changed.
        """
        self._continue(lambda: search_queue(self.plan, self.ledger, retry_failed=retry_failed))

    def extend(self) -> None:
        """Continues the run under an extended plan (`Plan.extended`), which is saved as the run's plan.

        The best of the trials that were completed at the former length go on, as many as ASHA promotes at a rung.

        Raises:
            UserError: New FIDs would not be comparable, the GPU hours are used up, or there is nothing to do.
        """
        plan = self.plan

        def queue() -> TrialQueue:
            used, budget = self.ledger.gpu_hours(self._manifest.gpus_per_trial), plan.options.gpu_hours
            if budget is not None and used >= budget:
                raise UserError(f"--gpu-hours {budget:g}: the search has used {rough_text(used)} already; give more")
            queue = search_queue(plan, self.ledger)
            if queue.is_empty:
                raise UserError(
                    f"{plan.run.path}: no trial was completed that could go on: extend with --trials +N too"
                )
            return queue

        self._continue(queue, amend=True)

    def finals(self, finalists: Sequence[TrialState], seeds: int) -> None:
        """Trains the parameters of each of the run's `finalists` again, with `seeds` other seeds."""
        self.how_to_continue = "run the same command again"
        self._continue(lambda: finals_queue(self.plan, self.ledger, finalists, seeds))

    def _continue(self, queue: Callable[[], TrialQueue], *, amend: bool = False) -> None:
        """Runs the trials that `queue` returns once the ledger is read. With `amend` the plan is saved."""
        run = self.plan.run
        require_no_links(run, trials=True)
        # The writer is opened first of all: it refuses while another driver is at work.
        with self.shutdown.handling(), closing(Writer(run.results)) as writer, ExitStack() as stack:
            loaded = self._read_run()
            listen = stack.enter_context(self._listeners(loaded))
            self.recorder = Recorder(self.plan, writer, self.ledger, listen)
            # An extended search has longer trials: those of the length so far are complete, and others follow them.
            self.recorder.catch_up(self._manifest.space.base.train.max_images if amend else None)
            self.queue = queue()
            if self.queue.is_empty and not (self.queue.promotes and self._has_waiting_trials()):
                return
            check_room(self.plan, self.queue.new_trials())
            self._require_format()
            with self._session():
                self._measure()
                if amend:
                    self.plan.amended(self._manifest).save(run)
                self._log_start(f"{len(self.ledger)} trials known, ")
                if loaded.finals is not None and self.queue.promotes:
                    again = command("finals", run.path, *self.plan.search_flags)
                    logger.info("the finals are void once the search goes on: `%s` again at its end", again)
                self._train()

    def _read_run(self) -> Run:
        """Reads the run; UserError where its trials can't go on here as they were begun."""
        loaded = load(self.plan.run)
        loaded.require_its_space()
        require_own_storage(loaded)
        if (other := loaded.manifest.other_versions) is not None:
            logger.warning("%s", other)
        self._manifest, self.ledger = loaded.manifest, loaded.ledger
        self.protocol = prepare(self.plan, self._manifest.protocol)
        return loaded

    def _require_format(self) -> None:
        """Raises UserError where the run's checkpoints have another format: one is looked at, all have the same."""
        for trial in self.ledger.values():
            root = join(self.plan.checkpoints, trial.trial_id)
            if trial.evals and CheckpointDir(root, patience=0).require_format():
                return

    def _measure(self) -> Measuring:
        """Sets the reference, and returns what has measured it."""
        found = Measuring(self.plan.space.base, self.protocol, self.cluster, self.plan.component_names)
        self.reference = found.reference()
        return found

    def _train(self) -> None:
        """Runs the queue. After that it measures how noisy the FIDs of the best are, except for finals."""
        cluster = self.cluster
        self._remaining = Remaining(self.plan, self.ledger, self.queue, cluster.slots, cluster.gpus, time.time())
        if not tune_trials(self) or not self.queue.promotes:
            return
        try:
            measure_noise(self)
        except KeyboardInterrupt:
            if self.shutdown.signal != signal.SIGINT:
                raise
            self.shutdown.reset()  # the search is complete: only the noise is not measured
            logger.info("the noise of FIDs was not measured")

    def time_left(self) -> TimeLeft | None:
        """Returns how long this driver still works; None where nothing is known yet. It may be called often."""
        return None if self._remaining is None else self._remaining.at(time.time())

    def _has_waiting_trials(self) -> bool:
        """Whether a trial is to be promoted, or has no end yet."""
        is_open = any(trial.end is None and not trial.is_final for trial in self.ledger.values())
        return is_open or self.recorder.may_promote

    @contextmanager
    def _session(self) -> Iterator[None]:
        """Starts or joins Ray within the block, with the code from outside the package, and sets `cluster`."""
        checkpoints = self.plan.checkpoints
        with ray_session(self.plan.options.address, foreign.travelling(self.plan.space.base.code)) as kill:
            self.shutdown.install()  # Ray has replaced the signal handlers
            self.shutdown.abandon = kill
            self.cluster = Cluster.fit(self.plan)
            with written_token(checkpoints) as token:
                self.token = token
                self.cluster.check_shared(checkpoints, token)
                self.cluster = inspected(self.cluster, self.plan.space.base.train, self._look)
                yield

    @contextmanager
    def _listeners(self, run: Run) -> Iterator[Listener]:
        """Opens the loggers of the run; yields a function that calls the driver's listener and then the loggers."""
        with ExitStack() as stack:
            loggers = [self._listener, *(stack.enter_context(opened) for opened in open_loggers(run))]

            def listen(row: Row, ledger: Ledger) -> None:
                for logger in loggers:
                    logger(row, ledger)

            yield listen

    def _log_start(self, known: str) -> None:
        length, slots, new = self.plan.space.base.train.max_kimg, self.cluster.slots, self.queue.new_trials()
        count = (
            "trials until the budget is spent, each"
            if new is None
            else f"{new + len(self.queue.unfinished)} trials to go"
        )
        logger.info("%s: %s%s to %s kimg, %d at once", self.plan.run.path, known, count, kimg_text(length), slots)

    @property
    def is_saved(self) -> bool:
        """Whether `search.json` has the space and the trials of this search, so that `resume` continues the search."""
        if not self.plan.run.search_json.exists():
            return False
        saved = Manifest.load(self.plan.run)
        return (saved.space, saved.options.trials) == (self.plan.space, self.plan.options.trials)


def prepare(plan: Plan, before: Protocol | None = None) -> Protocol:
    """Checks space, data, weights and storage, and returns the protocol for the FIDs of the search.

    Args:
        plan: The plan of the search.
        before: The protocol of the run's earlier FIDs, None for a new run.

    Raises:
        UserError: Something is wrong or missing, or FIDs would now have another protocol than `before`.
    """
    Storage(plan.checkpoints)  # raises UserError where this is no storage
    check_space(plan.space)
    check_components(plan)
    if before is None:
        check_variety(plan)
    base = plan.space.base
    check_space_data(plan.space, load_images(base.data, "train"))
    images = load_images(base.data, base.metrics.split)
    protocol = protocol_of(base.metrics, images)
    if before is not None:
        before.require(protocol, f"{plan.run.path} measured FID otherwise", "start a new run")
    if base.metrics.statistics is not None:
        reference_of(base.metrics, images, torch.device("cpu"))  # which reads the file
    return protocol
