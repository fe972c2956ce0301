"""A driver whose trials sleep: `python -m benchmarks.chaos.driver RUN [--address A] [--trials N] ...`.

Starts the run, or resumes it where it exists. All but the trial is what `run_search.py start` has.
"""

import argparse
import sys
from pathlib import Path
from unittest.mock import patch

from optuna.distributions import FloatDistribution

from benchmarks.chaos.sleeping import SleepingTrial
from gansearch.cli.arguments import add_budgets, add_resources, given_resources
from gansearch.cli.parser import OK, Parser, call, positive_int
from gansearch.config import TrialConfig
from gansearch.run import RunDir, Space, load
from gansearch.search.planning import plan_search
from gansearch.search.search import Search

SPACE = Space(
    base=TrialConfig().override({"train.max_kimg": 14.4, "train.evaluations": 9, "train.precision": "float32"}),
    params={"optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True)},
)


def run(args: argparse.Namespace) -> int:
    directory, resources = RunDir(args.run), given_resources(args)
    if directory.search_json.exists():
        plan = load(directory).plan.with_resources(resources)
    else:
        plan = plan_search(SPACE, directory, {}, trials=args.trials, seed=args.seed, **resources)
    search = Search(plan, lambda row, ledger: print(row.event, row.trial_id, flush=True), trainable=SleepingTrial)
    with patch("gansearch.search.search.measure_noise"):  # there are no generators
        if directory.search_json.exists():
            search.resume(retry_failed=args.retry_failed)
        else:
            search.start()
    return search.shutdown.exit_code if search.shutdown.signal else OK


def main() -> int:
    parser = Parser(prog="chaos.driver", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--trials", type=positive_int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--retry-failed", action="store_true")
    add_resources(parser)
    add_budgets(parser)
    args = parser.parse_args()
    return call("chaos.driver", lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
