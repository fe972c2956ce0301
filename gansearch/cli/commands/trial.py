"""`trial CONFIG.json|RECIPE`: one trial without Ray."""

import argparse
import logging
from pathlib import Path

from gansearch.cli.arguments import add_runs_dir, add_settings, given_settings
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser
from gansearch.errors import UserError
from gansearch.recipes import RECIPES
from gansearch.run import new_run
from gansearch.run.paths import dated

logger = logging.getLogger(__name__)


def _arguments(parser: Parser) -> None:
    parser.add_argument("source", metavar="CONFIG.json|RECIPE", help="a trial's config.json, or a recipe's name")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "recipes:\n" + "\n".join(f"  {name:<20}{known.about}" for name, known in RECIPES.items())
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's directory (default: runs/NAME-TIME)")
    parser.add_argument("--describe", action="store_true", help="print G, D, loss and optimiser, and train nothing")
    add_runs_dir(parser)
    add_settings(parser)


def _run(args: argparse.Namespace) -> int:
    from gansearch.cli.describe import print_description
    from gansearch.cli.trial import run_trial, trial_config

    if args.describe and args.out:
        raise UserError("--describe writes no run: leave --out away")
    config = trial_config(args.source, given_settings(args), args.max_kimg, allow_code=args.allow_code)
    if args.describe:
        print_description(config)
        return OK
    run = new_run(args.out.name, args.out.parent) if args.out else new_run(dated(args.source), args.runs_dir)
    known = RECIPES.get(args.source)
    code = run_trial(config, run, origin=f"baseline:{args.source}" if known else "replay")
    if code == OK and known and known.reported:
        logger.info("the source of %s gives FID %s, of another protocol: not comparable", args.source, known.reported)
    return code


COMMAND = Command(
    group="searches",
    summary="run one trial without Ray: to debug, to replay a config.json, to run a recipe",
    arguments=_arguments,
    run=_run,
)
