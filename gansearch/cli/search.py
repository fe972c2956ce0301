"""`gansearch`, `run_search.py`, `python -m gansearch`: every command. Without an argument: start the default search."""

import sys
from collections.abc import Sequence

from gansearch.cli.arguments import DEFAULT_SPACE
from gansearch.cli.command import command_names, load_command, program_parser, run_command
from gansearch.errors import unknown
from gansearch.program import typed_program


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code (0, 2 wrong input, 3 no finite FID, 130/143 interrupted)."""
    words = list(sys.argv[1:] if argv is None else argv) or ["start", DEFAULT_SPACE]
    prog, (name, *arguments) = typed_program(), words
    if name in command_names():
        return run_command(f"{prog} {name}", load_command(name), arguments, words)
    parser = program_parser(
        prog,
        f"Hyperparameter search for image GANs. Without a COMMAND: start {DEFAULT_SPACE}.",
        "%(prog)s [COMMAND] [arguments]",
    )
    if name.startswith("-"):
        parser.parse_args([name])  # ends the program: with the help, the version or an error
    return parser.error(str(unknown("command", name, command_names())))
