"""Runs many replays in several processes, with progress on stderr."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

Result = TypeVar("Result")


def replayed(run: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], processes: int) -> Iterator[Result]:
    """Yields `run(*job)` for each job, in their order. What a job gives does not depend on the process it is in."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that are started below
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=quiet) as pool:
        columns = zip(*jobs, strict=True)
        results = map(run, *columns) if processes == 1 else pool.map(run, *columns)
        for number, result in enumerate(results, 1):
            print(f"\r{number}/{len(jobs)} searches", end="\n" * (number == len(jobs)), file=sys.stderr, flush=True)
            yield result


def quiet() -> None:
    """Silences the messages that Ray and Optuna log once in every search."""
    logging.disable(logging.WARNING)
