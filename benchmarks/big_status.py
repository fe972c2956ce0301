"""How the time of `status` and `rank` grows: ten times the trials must not take much more than ten times the time.

    python -m benchmarks.big_status

Both runs are read in turn, so that whatever else the machine does slows both. Times are those of the processor, without
that to import the package, and the lowest of the repetitions. Beside them stands the ratio to what Python's parser
takes for the rows as plain JSON.
"""

import argparse
import io
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.big_run import big_run
from gansearch.analysis.noise import noisy_rungs
from gansearch.analysis.rank import rank, to_json
from gansearch.analysis.rank_table import TOP, write_ranking
from gansearch.analysis.status import as_json, render_status
from gansearch.run import RunDir, load


def _status(paths: RunDir) -> None:
    run = load(paths)
    total = run.ledger.total(run.manifest.options.trials)
    render_status(run.ledger, total=total, max_kimg=run.manifest.max_kimg, rows=TOP).write(io.StringIO())
    noisy_rungs(run)


def _parse(paths: RunDir) -> None:
    for line in paths.results.read_bytes().splitlines():
        json.loads(line)


_COMMANDS: dict[str, Callable[[RunDir], object]] = {
    "load": load,
    "status": _status,
    "status --json": lambda paths: json.dumps(as_json(load(paths).ledger)),
    "rank": lambda paths: write_ranking(load(paths), file=io.StringIO()),
    "rank --json": lambda paths: to_json(rank(load(paths))),
}


def _seconds(command: Callable[[RunDir], object], paths: RunDir) -> float:
    begun = time.process_time()
    command(paths)
    return time.process_time() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20_000, metavar="N")
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small, big = (big_run(Path(folder, f"{size}"), size, finals=True) for size in (args.trials // 10, args.trials))
        parse = math.nan
        for name, command in {"json.loads": _parse, **_COMMANDS}.items():
            times = [(_seconds(command, small), _seconds(command, big)) for _ in range(args.repeat)]
            few, many = map(min, zip(*times, strict=True))
            parse = many if command is _parse else parse
            growth = f"{many / few:5.1f} times, for 10 times the trials"
            print(f"{name:<14}{few:6.2f} s  {many:6.2f} s  {growth}; {many / parse:.2f} of json.loads", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
