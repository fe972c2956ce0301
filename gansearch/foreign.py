"""Code from outside the package: finds what a name `MODULE:NAME` stands for, if the user has permitted to run it.

The files of a run name such code, and a file may come from anybody. So a name is imported only where it was permitted
in this process: by the command line, by a space file, by the call, or with `--allow-code`.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from gansearch.cache import sha256
from gansearch.config import Source, reference
from gansearch.errors import UserError, kind_and_message

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_MAIN = "__main__"
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})

Allowed = bool | str | type | Iterable[str | type]
"""What a call may allow of the code that a file names: all (True), none (False), or certain names or classes."""

_permitted: set[str] = set()
_trusted: set[str] = set()  # names whose file may also say where their code lies
_sources: dict[str, tuple[ModuleType, Source]] = {}  # of a module as it was imported
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
        trusted = list(names) if allowed else []
        permit(trusted)
        _trusted.update(trusted)
    elif not isinstance(allowed, str | type | Iterable):
        raise UserError(f"allow_code={allowed!r}: give True, False, names or classes")
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
        elif isinstance(error, ModuleNotFoundError):
            reason = f"{kind_and_message(error)}; its module must be in this folder or installed"
        else:
            reason = kind_and_message(error)
        raise UserError(f"{what}={name} can't be imported ({reason})") from error


def _imported(module_name: str) -> ModuleType:
    _look_here()
    with _no_bytecode():
        return importlib.import_module(module_name)


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Lets Python leave no `__pycache__` beside the user's files."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _look_here() -> None:
    """Lets Python look for modules in the current folder first, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()  # a notebook may have written the module a moment ago


def load_file(path: Path, name: str) -> ModuleType:
    """Runs a Python file as the module `name` and returns the module."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _no_bytecode():
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def sources(module_names: Iterable[str]) -> dict[str, Source]:
    """Returns for each module that was imported its file and the hash of its source, for the files of a run.

    The hash covers the module and those modules beside it that it imports, directly or through others.
    """
    return {name: _source(name, _root_of(name)) for name in sorted(set(module_names))}


def require(code: Mapping[str, Source], names: Iterable[str]) -> None:
    """Compares the sources of those `names` that are permitted with the sources that a run recorded, before they run.

    A module that Python does not find is looked for where it lay when the run started, if the caller trusts the file
    that says so (`allow`).

    Raises:
        UserError: A source has changed since.
    """
    chosen = sorted(set(names) & _permitted)
    if chosen:
        _look_here()
    for name in chosen:
        module_name = name.partition(":")[0]
        recorded = code.get(module_name)
        if recorded is None or module_name == _MAIN:
            continue
        root = _root_of(module_name)
        if root is None and name in _trusted:
            root = _root(Path(recorded.file), module_name)
            if root is not None:
                sys.path.append(str(root))
        if root is not None and _source(module_name, root).sha256 != recorded.sha256:
            raise UserError(
                f"{recorded.file} has changed since the run started (module {module_name}): restore it or start a new "
                "run; to use it as it is now, remove it from `code` in the file that names it"
            )


def _root_of(module_name: str) -> Path | None:
    """Returns the folder from which Python imports, or has imported, a module with a source file; imports nothing."""
    file = getattr(sys.modules.get(module_name), "__file__", None)
    if file is not None:
        return _root(Path(file), module_name)
    return next((Path(folder) for folder in sys.path if _path_of(Path(folder), module_name)), None)


def _root(file: Path, module_name: str) -> Path | None:
    """Returns the folder from which Python imports `module_name` as `file`; None where it would not."""
    depth = module_name.count(".") + (file.name == "__init__.py")
    parents = file.absolute().parents
    root = parents[depth] if depth < len(parents) else None
    return root if root is not None and _path_of(root, module_name) == file.absolute() else None


def travelling(module_names: Iterable[str]) -> list[str]:
    """Returns the files and folders that a node needs to import these modules. Installed packages do not travel."""
    found: set[str] = set()
    for name in set(module_names) - {_MAIN}:
        root = _root_of(name)
        if root is not None and not _is_installed(root):
            tops = {root / other.partition(".")[0] for other in _files(name, root)}
            found.update(str(top if top.is_dir() else top.with_suffix(".py")) for top in tops)
    return sorted(found)


def objects(names: Iterable[str]) -> dict[str, Any]:
    """Returns what a script or a notebook has defined under these names: no other process could import it."""
    return {name: find("name", name) for name in names if name.startswith(f"{_MAIN}:")}


def receive(found: Mapping[str, Any]) -> None:
    """Takes over the `objects` of another process."""
    _received.update(found)


def _source(module_name: str, root: Path | None) -> Source:
    """Returns the source of a module that Python imports from `root`; one without a source file has no `root`."""
    if module_name == _MAIN:
        return Source(file=_MAIN, sha256=hashlib.sha256(_main_source().encode()).hexdigest())
    if root is None:
        return Source(file=module_name, sha256=hashlib.sha256(sys.version.encode()).hexdigest())
    module, known = sys.modules.get(module_name), _sources.get(module_name)
    if known is not None and known[0] is module is not None:
        return known[1]
    digest = hashlib.sha256()
    files = _files(module_name, root)
    for name, path in sorted(files.items()):
        digest.update(f"{name} {sha256(path)}\n".encode())
    file = files[module_name]
    is_here = file.is_relative_to(Path.cwd())
    source = Source(file=str(file.relative_to(Path.cwd()) if is_here else file), sha256=digest.hexdigest())
    if module is not None:
        _sources[module_name] = module, source
    return source


def _main_source() -> str:
    """Returns the source of a script, or of those cells of a notebook that define classes and functions."""
    main = sys.modules[_MAIN]
    if getattr(main, "__file__", None):
        return inspect.getsource(main)
    own = [value for value in vars(main).values() if getattr(value, "__module__", None) == _MAIN]
    functions = [part for value in own for part in [value, *vars(value).values()] if inspect.isfunction(part)]
    cells = {function.__code__.co_filename for function in functions}
    return "".join(sorted("".join(linecache.getlines(cell)) for cell in cells))


def _files(module_name: str, root: Path) -> dict[str, Path]:
    """Returns the source files, by module, of a module that lies below `root` and of those beside it that it imports.

    Of an installed package only the package's own modules count.
    """
    top = module_name.partition(".")[0] if _is_installed(root) else None
    found: dict[str, Path] = {}
    todo = [module_name]
    while todo:
        name = todo.pop()
        path = _path_of(root, name)
        if path is None or name in found or top not in {None, name.partition(".")[0]}:
            continue
        found[name] = path
        todo += [*_imports(path, name), *_parents(name)]
    return found


def _path_of(root: Path, name: str) -> Path | None:
    """Returns the source file of a module below a folder; None where there is none, or it is a part of gansearch."""
    if not name or name.partition(".")[0] == "gansearch":
        return None
    base = root.joinpath(*name.split("."))
    return next((path for path in (base.with_name(f"{base.name}.py"), base / "__init__.py") if path.is_file()), None)


def _parents(name: str) -> list[str]:
    return [name.rpartition(".")[0]] if "." in name else []


def _is_installed(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in _INSTALLED if folder)


def _imports(path: Path, name: str) -> Iterator[str]:
    """Yields the names of the modules that a source file, the module `name`, imports.

    A file that is no Python, or a name beyond the top package, imports nothing. Python itself says so if it gets there.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package or None)
            except ImportError:
                continue
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
