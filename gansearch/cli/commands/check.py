"""`check TARGET`: holds your own components against the contracts that the package's own hold."""

import argparse
from pathlib import Path

from gansearch.cli.arguments import add_set
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, WRONG_INPUT, Parser
from gansearch.errors import UserError
from gansearch.logs import show


def _arguments(parser: Parser) -> None:
    parser.add_argument(
        "target", metavar="FILE|MODULE:CLASS", help="a Python file, which is run, with its components and its SPACE"
    )
    add_set(parser, "set an option of the component, e.g. loss.clip=0.02 or data.dir=photos")


def _run(args: argparse.Namespace) -> int:
    # Imports torch, Ray and Optuna.
    from gansearch.contracts.targets import targets
    from gansearch.search.find_space import parse_settings

    broken = 0
    found = targets(args.target, parse_settings(args.set, None))
    if not found:
        raise UserError(f"{Path(args.target)} has neither a component nor a SPACE: name a file that defines one")
    for target in found:
        show(f"{target.name} ({target.kind})")
        for verdict in target.verdicts():
            broken += not verdict.ok
            show(f"  ok    {verdict.sentence}" if verdict.ok else f"  FAIL  {verdict.sentence} {verdict.reason}")
    return WRONG_INPUT if broken else OK


COMMAND = Command(
    group="what there is",
    summary="hold your own loss, model, data set, space, ... against its contract",
    arguments=_arguments,
    run=_run,
)
