"""The directions that imports may take between the rooms of the package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gansearch

ROOT = Path(gansearch.__file__).parent

# Lower rooms first. A room may import itself and what stands in a line before its own.
FLOORS = (
    ("errors", "logs", "program", "text"),
    ("config", "cache"),
    ("run",),
    ("foreign", "distributions", "device"),
    ("registry", "recipes"),
    ("data", "models", "losses"),
    ("metrics",),
    ("training",),
    ("search", "analysis", "export"),
    ("contracts",),
    ("cli",),
    ("door",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def _modules() -> dict[str, Path]:
    files = sorted(ROOT.rglob("*.py"))
    names = (".".join(("gansearch", *file.relative_to(ROOT).with_suffix("").parts)) for file in files)
    return {name.removesuffix(".__init__"): file for name, file in zip(names, files, strict=True)}


MODULES = _modules()


def imported(source: str) -> Iterator[str]:
    """All that a source imports, wherever in it: `a.b` for `import a.b`, `a.b` and `a.b.c` for `from a.b import c`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports(module: str) -> frozenset[str]:
    return frozenset(imported(MODULES[module].read_text()))


def reached(module: str) -> set[str]:
    """All modules, of the package or not, that a module imports, directly or through others of the package."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        for name in imports(todo.pop()) - seen:
            seen.add(name)
            # The package itself imports its parts when they are used, so it leads nowhere.
            todo += [name] if name in MODULES and name != "gansearch" else []
    return seen


def room(module: str) -> str:
    return module.split(".")[1]


def in_room(*rooms: str) -> list[str]:
    return [module for module in MODULES if module != "gansearch" and room(module) in rooms]


def foreign(module: str) -> set[str]:
    """The top names of what a module reaches outside the package."""
    return {name.partition(".")[0] for name in reached(module)} - {"gansearch"}


def test_imports_are_seen_wherever_they_stand() -> None:
    source = "import a.b\nif TYPE_CHECKING:\n    from c import d\ndef f():\n    from e.f import g as h\n"
    assert set(imported(source)) == {"a.b", "c", "c.d", "e.f", "e.f.g"}
    assert {"torch", "pydantic", "pyarrow"} <= foreign("gansearch.training.loop")
    assert {"ray", "optuna", "torch"} <= foreign("gansearch.search.search")


def test_every_room_stands_on_a_floor() -> None:
    assert {room(module) for module in MODULES if module != "gansearch"} == set(FLOOR)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"gansearch"}))
def test_imports_point_down_only(module: str) -> None:
    own = room(module)
    for name in imports(module):
        if name in MODULES and name != "gansearch" and room(name) != own:
            assert FLOOR[room(name)] < FLOOR[own], f"{module} imports {name}"


@pytest.mark.parametrize("module", in_room("training", "data", "models", "losses", "metrics", "registry", "export"))
def test_a_trial_needs_neither_ray_nor_optuna(module: str) -> None:
    assert not foreign(module) & {"ray", "optuna"}


@pytest.mark.parametrize("module", in_room("analysis"))
def test_analysis_needs_neither_ray_nor_torch(module: str) -> None:
    assert not foreign(module) & {"ray", "torch", "torchvision", "torch_fidelity"}
    rooms = {room(name) for name in reached(module) if name in MODULES and name != "gansearch"}
    assert rooms <= {
        "analysis",
        "errors",
        "logs",
        "program",
        "text",
        "run",
        "config",
        "cache",
        "registry",
        "foreign",
        "distributions",
    }


def test_all_that_imports_ray_lies_in_one_folder() -> None:
    direct = {module for module in MODULES if any(name.partition(".")[0] == "ray" for name in imports(module))}
    assert direct and all(module.startswith("gansearch.search.ray.") for module in direct)


@pytest.mark.parametrize("module", in_room("errors", "logs", "program", "text", "config", "run", "cache"))
def test_the_ground_floor_is_light(module: str) -> None:
    assert foreign(module) <= set(sys.stdlib_module_names) | {"pydantic", "filelock"}


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("import gansearch.run, gansearch.training.loop", {"ray", "optuna"}),
        (
            "from gansearch.training import feasibility; feasibility.check(feasibility.TrialConfig())",
            {"ray", "optuna", "torchvision", "torch_fidelity", "sklearn", "pandas"},
        ),
        ("import gansearch", {"ray", "optuna", "torch", "pandas", "matplotlib", "pydantic", "rich"}),
        ("import gansearch.door", {"ray", "optuna", "torch", "pandas", "matplotlib"}),
        (
            "import gansearch.cli.analyze, gansearch.cli.search, gansearch.analysis.plotting",
            {"ray", "torch", "optuna"},
        ),
    ],
)
def test_what_an_interpreter_has_loaded(command: str, heavy: set[str]) -> None:
    script = f"{command}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert "gansearch" in loaded and not loaded & heavy
