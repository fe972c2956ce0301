"""Code from outside the package: finds what a name `MODULE:NAME` stands for, if the user has permitted to run it.

The files of a run name such code, and a file may come from anybody. So a name is imported only where it was permitted
in this process: by the command line, by a space file, by the call, or with `--allow-code`.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from gansearch.cache import sha256
from gansearch.config import Source, reference
from gansearch.errors import UserError, one_line

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_MAIN = "__main__"
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})

Allowed = bool | str | type | Iterable[str | type]
"""What a call may allow of the code that a file names: all (True), none (False), or certain names or classes."""

_permitted: set[str] = set()
_received: dict[str, Any] = {}  # what a script or a notebook has defined, by name, in a process of Ray


def is_foreign(name: str) -> bool:
    """Returns whether a name has the form of code from outside the package."""
    return ":" in name


def permit(names: Iterable[str]) -> None:
    """Lets this process import the code of these names; names of other forms have no effect."""
    _permitted.update(filter(is_foreign, names))


def allow(allowed: Allowed, names: Iterable[str]) -> None:
    """Permits those of the `names` in a file that the caller allows: all of them, or the given names and classes."""
    if isinstance(allowed, bool):
        permit(names if allowed else ())
    else:
        permit(map(reference, [allowed] if isinstance(allowed, str | type) else allowed))


def find(what: str, name: str) -> Any:
    """Returns the object that `name` stands for. Python looks for its module in the current folder first.

    Args:
        what: The option that has the name, for messages.
        name: `MODULE:NAME`.

    Raises:
        UserError: The name has another form, is not permitted, or can't be imported.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{what}={name}: write MODULE:NAME, two names without spaces, as in my_parts:LSGAN")
    if name not in _permitted:
        raise UserError(f"{what}={name} is code that a file names: read that code, then run it with --allow-code")
    if name in _received:
        return _received[name]
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(_imported(module_name), attribute)
    except (Exception, SystemExit) as error:  # a module is the user's code: whatever is wrong in it is theirs to fix
        if module_name == _MAIN:
            reason = "it was defined in a script or a notebook: define it here too, or move it into a module"
        else:
            reason = f"{type(error).__name__}: {one_line(error)}; its module must be in this folder or installed"
        raise UserError(f"{what}={name} can't be imported ({reason})") from error


def _imported(module_name: str) -> ModuleType:
    _look_here()
    return importlib.import_module(module_name)


def _look_here() -> None:
    """Lets Python look for modules in the current folder first, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()  # a notebook may have written the module a moment ago


def load_file(path: Path, name: str) -> ModuleType:
    """Runs a Python file as the module `name` and returns the module; writes no bytecode beside the file."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.dont_write_bytecode = writes_bytecode
    return module


def sources(module_names: Iterable[str]) -> dict[str, Source]:
    """Returns for each module that was imported its file and the hash of its source, for the files of a run.

    The hash covers the module and those modules beside it that it imports, directly or through others.
    """
    return {name: _source(name) for name in sorted(set(module_names))}


def require(code: Mapping[str, Source], names: Iterable[str]) -> None:
    """Imports the modules of those `names` that are permitted, and compares them with the sources that a run recorded.

    A module that Python does not find is looked for where it lay when the run started.

    Raises:
        UserError: A source has changed since.
    """
    for module_name in sorted({name.partition(":")[0] for name in set(names) & _permitted} - {_MAIN}):
        recorded = code.get(module_name)
        if recorded is None:
            continue
        _look_here()
        if not _is_found(module_name):
            sys.path.append(str(_root(Path(recorded.file), module_name)))
        if not _is_found(module_name):
            continue  # `find` raises, with the option that has the name
        _imported(module_name)
        if _source(module_name).sha256 != recorded.sha256:
            raise UserError(
                f"{recorded.file} has changed since the run started (module {module_name}): restore it or start a new "
                "run; to use it as it is now, remove it from `code` in the file that names it"
            )


def _is_found(module_name: str) -> bool:
    if module_name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module_name) is not None
    except ModuleNotFoundError:  # the package of a module is missing
        return False


def _root(file: Path, module_name: str) -> Path:
    """Returns the folder from which Python imports `module_name` as `file`."""
    return file.absolute().parents[module_name.count(".") + (file.name == "__init__.py")]


def travelling(module_names: Iterable[str]) -> list[str]:
    """Returns the files and folders that a node needs to import these modules. Installed packages do not travel."""
    found: set[str] = set()
    for name in module_names:
        for other in _with_imported(name) if name != _MAIN else ():
            file = _file(sys.modules[other.partition(".")[0]])
            if not _is_installed(file):
                found.add(str(file.parent if file.name == "__init__.py" else file))
    return sorted(found)


def objects(names: Iterable[str]) -> dict[str, Any]:
    """Returns what a script or a notebook has defined under these names: no other process could import it."""
    return {name: find("name", name) for name in names if name.startswith(f"{_MAIN}:")}


def receive(found: Mapping[str, Any]) -> None:
    """Takes over the `objects` of another process."""
    _received.update(found)


def _source(module_name: str) -> Source:
    if module_name == _MAIN:
        return Source(file=_MAIN, sha256=hashlib.sha256(_main_source().encode()).hexdigest())
    digest = hashlib.sha256()
    for name in _with_imported(module_name):
        digest.update(f"{name} {sha256(_file(sys.modules[name]))}\n".encode())
    file = _file(sys.modules[module_name])
    is_here = file.is_relative_to(Path.cwd())
    return Source(file=str(file.relative_to(Path.cwd()) if is_here else file), sha256=digest.hexdigest())


def _main_source() -> str:
    """Returns the source of a script, or of the classes and functions that a notebook has defined."""
    main = sys.modules[_MAIN]
    if getattr(main, "__file__", None):
        return inspect.getsource(main)
    own = [value for value in vars(main).values() if getattr(value, "__module__", None) == _MAIN]
    functions = [part for value in own for part in [value, *vars(value).values()] if inspect.isfunction(part)]
    return "".join(map(inspect.getsource, functions))


def _with_imported(module_name: str) -> list[str]:
    """Returns a module and the modules beside it that it imports, directly or through others, sorted by name."""
    found: set[str] = set()
    todo = [module_name]
    while todo:
        name = todo.pop()
        module = sys.modules.get(name)
        if name not in found and module is not None and _is_beside(module, module_name):
            found.add(name)
            todo += [*_imports(module), name.rpartition(".")[0]]
    return sorted(found)


def _is_beside(module: ModuleType, module_name: str) -> bool:
    """Returns whether a module is of the same package, or lies below the same folder and is not installed."""
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py") or module.__name__.partition(".")[0] == "gansearch":
        return False
    top = module_name.partition(".")[0]
    if module.__name__.partition(".")[0] == top:
        return True
    own = _file(sys.modules[top])
    root = _root(own, top)
    return not _is_installed(own) and not _is_installed(Path(file)) and Path(file).is_relative_to(root)


def _file(module: ModuleType) -> Path:
    assert module.__file__ is not None
    return Path(module.__file__)


def _is_installed(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in _INSTALLED if folder)


def _imports(module: ModuleType) -> Iterator[str]:
    """Yields the names of the modules that a module's source imports."""
    for node in ast.walk(ast.parse(_file(module).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package or None)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
