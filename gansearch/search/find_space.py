"""Finds the space of a name or path, and applies the options of the command line to that space."""

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gansearch.config import TrialConfig, describe
from gansearch.errors import UserError, one_line, unknown
from gansearch.run.space import Choices, Domain, Parameter, Space

_PATHS = ("data.dir", "metrics.weights")


def find_space(name: str) -> Space:
    """Returns the SPACE of a file: `name` is a path, or a name under `search_spaces/` here or in the installed package.

    Raises:
        UserError: There is no such file, or the file defines no space.
    """
    if name.endswith(".py") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UserError(f"space {name}: there is no such file; check the path")
        return _load(path)
    files = space_files()
    if name not in files:
        raise unknown("space", name, files)
    return _load(files[name])


def space_files() -> dict[str, Path]:
    """Returns the files of all spaces by name. A file under ./search_spaces/ hides the package's file of that name."""
    installed = importlib.util.find_spec("search_spaces")
    folders = [Path(folder) for folder in (installed.submodule_search_locations or [])] if installed else []
    return {
        path.stem: path
        for folder in [*folders, Path("search_spaces")]
        for path in sorted(folder.glob("*.py"))
        if not path.stem.startswith("_")
    }


def _load(path: Path) -> Space:
    spec = importlib.util.spec_from_file_location(f"gansearch_space_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no __pycache__ beside the user's file
    try:
        spec.loader.exec_module(module)
    except ValidationError as error:
        raise UserError(f"space {path}: {error.title}: {describe(error)}") from error
    except (Exception, SystemExit) as error:  # a space is the user's code: whatever is wrong in it is the user's to fix
        raise UserError(f"space {path}: {type(error).__name__}: {one_line(error)}") from error
    finally:
        sys.dont_write_bytecode = writes_bytecode
    space = getattr(module, "SPACE", None)
    if not isinstance(space, Space):
        raise UserError(f"space {path} defines no SPACE = Space(...); see search_spaces/digits.py")
    return space


def parse_settings(settings: Sequence[str], data_dir: str | None) -> dict[str, Any]:
    """Returns the options of `--set path=value ...` and `--data-dir`. A value is JSON where possible, else text.

    Raises:
        UserError: A setting has no `=`.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write path.to.option=value")
        changes[path] = _value(text)
    if data_dir is not None:
        changes["data.dir"] = data_dir
    return with_absolute_paths(changes)


def with_absolute_paths(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options whose paths are absolute: a trial may run in another folder, or on another node."""
    return {
        path: str(Path(v).expanduser().absolute()) if path in _PATHS and isinstance(v, str) else v
        for path, v in changes.items()
    }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def configure(space: Space, changes: Mapping[str, Any], max_kimg: float | None) -> Space:
    """Returns a copy of a space with options set in the base. A parameter that is set is not searched any more.

    Conditions on a set parameter are decided, and parameters that can no longer apply are removed. A conditional
    parameter that is set gets the fixed value in the trials to which the parameter applies.

    Raises:
        UserError: A path is no option, or a value lies outside its domain.
    """
    if "seed" in changes:
        raise UserError("--set seed: all trials of a search share its seed; give it with --seed")
    params, fixed = dict(space.params), dict(changes)
    for path, value in changes.items():
        parameter = params.pop(path, None)
        if parameter is None:
            continue
        if not parameter.domain.contains(value):
            raise parameter.domain.outside(path, value)
        when = parameter.when
        if when is not None and when.path not in changes:  # the base may be a configuration to which it does not apply
            domain = Domain(name="CategoricalDistribution", attributes=Choices(choices=(fixed.pop(path),)))
            params[path] = Parameter(domain=domain, when=when)
    base: TrialConfig = space.base.override(fixed, max_kimg)
    for path, parameter in list(params.items()):
        when = parameter.when
        if when is not None and when.path in changes:
            if changes[when.path] == when.equals:
                params[path] = Parameter(domain=parameter.domain)
            else:
                del params[path]
    return space.replaced(base=base, params=params)
