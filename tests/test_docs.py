"""Every Python block of README.md and docs/ runs as it is written, and what it defines holds its contract.

A block whose first line is a comment with a file's name, `# mine.py`, can be imported by the other blocks of its page.
Blocks that name `runs/NAME` find a run there: one short trial that was exported.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import gansearch
from gansearch.cli.trial import run_trial
from gansearch.config import TrialConfig
from gansearch.contracts.base import kind_of, verdicts
from gansearch.export import export
from gansearch.run import RunDir, load
from gansearch.training.feasibility import check
from tests.sleeping import sleeping_trials

ROOT = Path(gansearch.__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (\w+)\.py\n")


class Block(NamedTuple):
    page: Path
    line: int
    source: str

    @property
    def module(self) -> str:
        """The name of the module that the block is imported as."""
        named = _NAMED.match(self.source)
        return named[1] if named else f"{self.page.stem}_line_{self.line}"


def blocks(page: Path, text: str) -> list[Block]:
    return [Block(page, text[: found.start()].count("\n") + 1, found[1]) for found in _BLOCK.finditer(text)]


BLOCKS = [block for page in PAGES for block in blocks(page, page.read_text())]


@pytest.fixture(scope="module")
def folder(tiny: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of one trial, `runs/NAME`."""
    folder = tmp_path_factory.mktemp("docs")
    run = RunDir(folder / "runs" / "NAME")
    assert run_trial(check(tiny), run, "recipe:dcgan") == 0
    export(load(run))
    return folder


@pytest.fixture
def importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes `folder` the current one; modules that are imported from it are forgotten."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]
    for path in folder.glob("*.py"):
        path.unlink()


def imported(block: Block) -> dict[str, Any]:
    """Runs a block as a file in the current folder, beside the other blocks of its page that are named."""
    for other in [*blocks(block.page, block.page.read_text()), block]:
        if other is block or _NAMED.match(other.source):
            Path(f"{other.module}.py").write_text(other.source)
    importlib.invalidate_caches()
    return vars(importlib.import_module(block.module))


def components(names: dict[str, Any]) -> list[Any]:
    """Returns what a module defines itself that has a contract and can be built without an option."""
    own = [
        value for value in names.values() if getattr(value, "__module__", None) == names["__name__"] and kind_of(value)
    ]
    classes = [value for value in own if inspect.isclass(value) and not inspect.isabstract(value)]
    built = [cls() for cls in classes if all(field.default is not MISSING for field in fields(cls))]
    return [*built, *(value for name, value in names.items() if name == "SPACE")]


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block,
            id=f"{block.page.relative_to(ROOT)}:{block.line}",
            marks=[pytest.mark.slow] if "gs.search(" in block.source else [],
        )
        for block in BLOCKS
    ],
)
def test_a_python_block_of_the_docs_runs_as_it_is_written(block: Block) -> None:
    with sleeping_trials():  # the notebook of the docs has a search that trains
        names = imported(block)
    for component in components(names):
        kind = kind_of(component)
        assert kind is not None
        assert [verdict for verdict in verdicts(kind, component) if not verdict.ok] == []


def test_blocks_are_found() -> None:
    text = "Text:\n\n```python\n# mine.py\nx = 1\n```\n\n```\npython run_search.py\n```\n```python\ny = 2\n```\n"
    found = blocks(Path("page.md"), text)
    assert [(block.line, block.source) for block in found] == [(3, "# mine.py\nx = 1\n"), (11, "y = 2\n")]
    assert [block.module for block in found] == ["mine", "page_line_11"]
    assert {block.page.name for block in BLOCKS} >= {"README.md", "extend.md", "fid.md"}


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("source", ["import no_such_module\n", "x = 1 / 0\n", "def f(:\n"])
def test_a_block_that_does_not_run_is_found(source: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```python\n{source}```\n")
    (block,) = blocks(page, page.read_text())
    with pytest.raises((ImportError, ZeroDivisionError, SyntaxError)):
        imported(block)


@pytest.mark.usefixtures("importable")
def test_what_a_block_defines_is_held_against_its_contract() -> None:
    (block,) = (block for block in BLOCKS if block.module == "mine")
    upside_down = block._replace(source=block.source.replace("return -fake.mean()", "return fake.mean()"))
    (loss,) = components(imported(upside_down))
    assert kind_of(loss) == "loss" and not all(verdict.ok for verdict in verdicts("loss", loss))
