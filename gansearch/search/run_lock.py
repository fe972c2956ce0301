"""Takes the directory of a new run, and removes it again where the search does not start."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from gansearch.cache import without_empty_folders
from gansearch.errors import UserError, one_line
from gansearch.run.links import require_no_links
from gansearch.run.manifest import Plan
from gansearch.run.paths import PROBE, is_free, taken
from gansearch.run.rows import Writer
from gansearch.training.build import build_without_weights, likely_shape, weights_size
from gansearch.training.checkpoint import KEPT
from gansearch.training.storage import Storage


class RunLock:
    """Holds a new run's directory by the `writer` of its rows. The directory stays once `commit` was called."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.committed = False

    def commit(self) -> None:
        self.committed = True


@contextmanager
def locked_run(plan: Plan) -> Iterator[RunLock]:
    """Takes the directory of a new run. Without a `commit` all folders that were created are removed at the end.

    What a start has left that was killed is taken over. The lock of `results.jsonl`, which a process loses with its
    life, tells it from one that is still at work.

    Raises:
        UserError: The directory is in use, has links out of it or can't be written, the disk is too full for the
            checkpoints of the search, or the folder for checkpoints has those of another run.
    """
    run = plan.run
    checkpoints = Storage(plan.checkpoints)
    places = [run.path.absolute()] + ([Path(plan.checkpoints)] if "://" not in plan.checkpoints else [])
    if not is_free(run):
        raise taken(run)
    require_no_links(run, trials=True)
    with without_empty_folders(*places):
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            lock = RunLock(Writer(run.results))
        except OSError as error:
            raise UserError(f"can't write to {run.path} ({one_line(error)}): name another --runs-dir") from None
        try:
            if not checkpoints.is_empty():
                raise UserError(
                    f"{plan.checkpoints} holds another run's checkpoints: choose another --name or --storage"
                )
            check_room(plan, plan.options.trials)
            checkpoints.probe()
            yield lock
        finally:
            if not lock.committed:
                shutil.rmtree(run.path, ignore_errors=True)
            lock.writer.close()


def check_room(plan: Plan, trials: int | None) -> None:
    """Raises UserError where the disk can't be written or is too full for the checkpoints of `trials` more trials.

    Where a budget ends the search (None) it is room for one trial at a time that is asked for.
    """
    try:
        # A file without a name, or with a random one: a link of a known name could lead anywhere.
        with TemporaryFile(dir=plan.run.path, prefix=f".{PROBE}.", buffering=0) as probe:
            probe.write(bytes(2**16))
    except OSError as error:
        raise UserError(f"can't write to {plan.run.path} ({one_line(error)}): name another --runs-dir") from None
    trials = trials or 1
    needed = 2**20
    if plan.options.storage is None:
        needed += trials * checkpoint_bytes(plan)
    free = shutil.disk_usage(plan.run.path).free
    if free < needed:
        raise UserError(
            f"{plan.run.path.parent} has {free / 2**20:.0f} MiB free and {trials} trials "
            f"need about {needed / 2**20:.0f}: free some space, or name another --runs-dir or --storage"
        )


def checkpoint_bytes(plan: Plan) -> int:
    """Returns the approximate size of the checkpoints that a trial of the space's base keeps."""
    base = plan.space.base
    G, D = map(weights_size, build_without_weights(base, likely_shape(base)))
    replay = base.replay.capacity * 3 * base.data.resolution**2 * 2  # float16
    # In float32: G, the average of G's weights, now and at the best FID, and Adam's two moments; D and two moments.
    return KEPT * (5 * G + 3 * D + replay)
