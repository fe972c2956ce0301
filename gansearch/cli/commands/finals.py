"""`finals RUN`: the best configurations again, each with several seeds."""

import argparse
import json
import logging
import shlex

from gansearch.cli.arguments import add_allow_code, add_resources, add_run, add_timeout, given_resources, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import NO_FID, Parser, positive_int, samples_to
from gansearch.cli.results import conclude, failed_code, no_fid
from gansearch.cli.searching import train_finals
from gansearch.program import command, typed_words
from gansearch.run import load
from gansearch.run.finals import MOST_SEEDS
from gansearch.search.shutdown import GracefulShutdown

logger = logging.getLogger(__name__)


def _arguments(parser: Parser) -> None:
    add_run(parser)
    add_allow_code(parser)
    parser.add_argument("--top", metavar="K", type=positive_int, default=3, help="how many configurations (default: 3)")
    parser.add_argument(
        "--seeds", metavar="N", type=samples_to(MOST_SEEDS), default=5, help="seeds of each (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="print the finalists as JSON; draw and export nothing")
    add_resources(parser)
    add_timeout(parser)


def _run(args: argparse.Namespace) -> int:
    run = loaded_run(args)
    # Imports SciPy; below Ray and torch too.
    from gansearch.analysis.finals import finalists, judge
    from gansearch.analysis.finals_table import write_finals

    chosen = finalists(run.ledger, args.top)
    if not chosen:
        return no_fid(run.dir.path)
    again = shlex.join([*typed_words(), *args.words])
    shutdown = GracefulShutdown(lambda: logger.info("interrupted, everything is saved; continue with: %s", again))
    train_finals(run, chosen, args.seeds, given_resources(args), shutdown)
    run = load(run.dir)
    finals = judge(run, chosen, args.seeds)
    if shutdown.signal is not None:
        if not args.json:
            write_finals(finals, run.manifest.space.params)
        return shutdown.exit_code
    finals.save(run.dir)
    if args.json:
        print(json.dumps(finals.model_dump(mode="json")["finalists"], indent=2))
    if not finals.winner.fids:
        logger.info("%s: no final gave an FID; `%s` gives the reasons", run.dir.path, command("status", run.dir.path))
        return NO_FID
    run = load(run.dir)
    if args.json:
        return failed_code(run, again)
    with shutdown.handling():
        conclude(run)
        return failed_code(run, again)
    return shutdown.exit_code


COMMAND = Command(
    group="results",
    summary="tell which of the best configurations are ties: each trained again, with several seeds",
    arguments=_arguments,
    run=_run,
)
