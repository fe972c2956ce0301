"""`spaces [NAME]`: the search spaces that are here, or the parameters of one of them."""

import argparse
import ast
from pathlib import Path

from gansearch.analysis.table import Table
from gansearch.analysis.text import domain_text
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser
from gansearch.errors import UserError, one_line
from gansearch.run import Space
from gansearch.text import MISSING


def _arguments(parser: Parser) -> None:
    parser.add_argument("space", metavar="SPACE", nargs="?", help="a name or a file: list its parameters")


def _run(args: argparse.Namespace) -> int:
    # Imports Optuna, with the first space file.
    from gansearch.search.find_space import find_space, installed_spaces, space_files

    if args.space:
        _write_parameters(find_space(args.space))
        return OK
    table = Table(("space", "parameters", "trials", "baselines"), {"parameters", "trials"})
    abouts = {name: entry.value for name, entry in installed_spaces().items()}
    abouts |= {name: _about(path) for name, path in space_files().items()}
    for name, about in sorted(abouts.items()):
        try:
            space = find_space(name)
        except UserError as error:
            table.add(name, MISSING, MISSING, MISSING, details=about)
            table.notes.append(one_line(error))
            continue
        baselines = ", ".join(space.baselines) or MISSING
        table.add(name, str(len(space.params)), str(space.trials), baselines, details=about)
    table.write(wide=True)
    return OK


def _about(path: Path) -> str:
    """Returns the first line of a space file's docstring; empty where there is none, or the file is no Python."""
    try:
        docstring = ast.get_docstring(ast.parse(path.read_bytes()))
    except (OSError, SyntaxError, ValueError):
        return ""
    return (docstring or "").partition("\n")[0]


def _write_parameters(space: Space) -> None:
    table = Table(("parameter", "domain", "applies when"))
    for path, parameter in space.params.items():
        conditions = " and ".join(map(str, space.conditions(path)))
        table.add(path, domain_text(parameter.domain), conditions or MISSING)
    table.notes += [f"forbidden: {clause}" for clause in space.forbidden]
    table.notes.append(f"{space.trials} trials; baselines: {', '.join(space.baselines) or 'none'}")
    table.write(wide=True)


COMMAND = Command(
    group="what there is", summary="list the search spaces, or the parameters of one", arguments=_arguments, run=_run
)
