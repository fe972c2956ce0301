"""`options [SECTION]`: every option of a trial. `docs/options.md` is what `--markdown` prints."""

import argparse
from collections.abc import Iterable, Iterator

from gansearch.analysis.table import Table
from gansearch.cli.command import Command
from gansearch.cli.option_docs import Block, option_blocks
from gansearch.cli.parser import OK, Parser

_COLUMNS = ("option", "type", "default", "domain")
_PREAMBLE = """# Options

Every option of a trial: `gansearch options [SECTION]` prints the same. Set one with `--set PATH=VALUE`, in a file that
`--config` names, or in the base of a space. `NAME.name` chooses a component; the options of a component apply only
where it is chosen. This page is written by `gansearch options --markdown > docs/options.md`."""


def _arguments(parser: Parser) -> None:
    parser.add_argument(
        "target", metavar="SECTION", nargs="?", help="as loss; or one component, loss.wgan; or one option, optim.g_lr"
    )
    parser.add_argument("--markdown", action="store_true", help="a page instead of a table")


def _run(args: argparse.Namespace) -> int:
    blocks = option_blocks(args.target)
    if args.markdown:
        print("\n\n".join(_page(blocks)))
    else:
        _table(blocks).write(wide=True)
    return OK


def _table(blocks: Iterable[Block]) -> Table:
    """Returns a row for each option, with the component whose option it is, and beneath it what it does."""
    table = Table((_COLUMNS[0], "of", *_COLUMNS[1:]))
    for block in blocks:
        for option in block.options:
            table.add(option.path, block.component, option.type, option.default, option.domain, details=option.help)
    return table


def _page(blocks: Iterable[Block]) -> Iterator[str]:
    """Yields the paragraphs of a page of Markdown."""
    yield _PREAMBLE
    for block in blocks:
        yield f"### `{block.section}.{block.component}`" if block.component else f"## {block.section}"
        if block.about:
            yield _escaped(block.about)
        if block.options:
            rows = [
                [f"`{option.path}`", option.type, option.default, option.domain, option.help]
                for option in block.options
            ]
            lines = [[*_COLUMNS, "what it does"], ["---"] * (1 + len(_COLUMNS)), *rows]
            yield "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    """Returns a text in which Markdown sees neither the end of a cell nor, outside of code, tags and emphasis."""
    parts = text.replace("|", r"\|").split("`")
    parts[::2] = [part.replace("<", r"\<").replace("*", r"\*") for part in parts[::2]]
    return "`".join(parts)


COMMAND = Command(
    group="what there is",
    summary="list every option: type, default, domain, what it does",
    arguments=_arguments,
    run=_run,
)
