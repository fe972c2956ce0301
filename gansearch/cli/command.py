"""What a command is, and how a program finds and runs one.

A command is one file in `commands/`: the file has its name and holds a `COMMAND`. No list names it elsewhere. Such a
file is light to import, since `--help` imports them all: torch, Ray and Optuna are imported where it works.
"""

import argparse
import importlib
import pkgutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import gansearch
from gansearch.cli import commands
from gansearch.cli.parser import Parser, call

Group = Literal["searches", "results", "what there is"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the command line.

    Args:
        group: Where the help lists the command. `analyze.py` has the commands of `results`.
        summary: What the command does, in half a line that begins with a verb.
        arguments: Adds the command's arguments to a parser.
        run: Does the work and returns the exit code. The namespace has the arguments, and in `words` the whole command
            line as the user has typed it, without the program.
    """

    group: Group
    summary: str
    arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], int]


def command_names() -> list[str]:
    """Returns the names of all commands; imports none of them."""
    return sorted(info.name for info in pkgutil.iter_modules(commands.__path__))


def load_command(name: str) -> Command:
    """Imports the command of that name, which is one of `command_names`."""
    return importlib.import_module(f"{commands.__name__}.{name}").COMMAND


def run_command(prog: str, command: Command, arguments: Sequence[str], words: Sequence[str]) -> int:
    """Parses `arguments` and runs a command; returns its exit code.

    Args:
        prog: The program, and the command, as messages name them.
        command: The command to run.
        arguments: The words after the command.
        words: All words that the user has typed after the program.
    """
    parser = Parser(prog=prog, description=f"{command.summary[0].upper()}{command.summary[1:]}.")
    command.arguments(parser)
    args = parser.parse_args(arguments)
    args.words = tuple(words)
    return call(prog, lambda: command.run(args))


def program_parser(prog: str, description: str, usage: str, groups: Collection[Group] = get_args(Group)) -> Parser:
    """Returns a parser of `--help` and `--version` alone; the help lists the commands of some groups."""
    found = {name: load_command(name) for name in command_names()}
    lines = [description]
    for group in groups:
        members = {name: command for name, command in found.items() if command.group == group}
        lines += ["", f"{group}:", *(f"  {name:<9}{command.summary}" for name, command in members.items())]
    lines += ["", f"`{prog} COMMAND --help` lists the arguments of a command."]
    parser = Parser(
        prog=prog,
        usage=usage,
        description="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gansearch {gansearch.__version__}")
    return parser
