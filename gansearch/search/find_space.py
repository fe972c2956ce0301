"""Finds the space of a name or path, and applies the options of the command line to that space."""

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gansearch.config import describe
from gansearch.errors import UserError, one_line, unknown
from gansearch.logs import warn_once
from gansearch.run.domain import Value, is_among
from gansearch.run.space import Clause, Condition, Parameter, Space
from gansearch.search.feasibility import baseline_params

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
    # A trial may run in another folder, or on another node.
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

    Conditions on a set parameter are decided, to any depth, and parameters that can no longer apply are removed. A
    conditional parameter that is set gets the fixed value in the trials to which the parameter applies. A ratio is
    removed where its first option is set, and is searched over a fixed second option where that is set. Forbidden
    combinations are decided too, and baselines that are forbidden now, or equal to another, are left out.

    Raises:
        UserError: A path is no option, a value lies outside its domain, or the changes are forbidden.
    """
    if "seed" in changes:
        raise UserError("--set seed: all trials of a search share its seed; give it with --seed")
    params: dict[str, Parameter] = {}  # what is still searched
    decided: dict[str, Any] = {}  # what is not, and applies
    fixed = dict(changes)
    for path in space.ordered:
        domain, when = space.params[path].domain, space.params[path].when
        if path in changes and not domain.contains(changes[path]):
            raise domain.outside(path, changes[path])
        numerator, is_ratio, _ = path.partition("/")
        if is_ratio and numerator in changes:
            decided[path] = changes[numerator]
            continue
        if when is not None and when.path in space.params:
            possible = [value for value in when.among if _can_have(when.path, value, params, decided)]
            if not possible:
                continue
            when = Condition(path=when.path, among=tuple(possible)) if when.path in params else None
        denominator = space.denominator(path)
        if denominator is not None and denominator not in params and denominator not in decided:
            continue
        if path in changes and when is None and not is_ratio:
            decided[path] = changes[path]
            continue
        if path in changes:  # the base may be a configuration to which the parameter does not apply
            domain = domain.fixed(fixed.pop(path))
        params[path] = Parameter(domain=domain, when=when)
    clauses = [_decided_clause(clause, space, params, {**changes, **decided}) for clause in space.forbidden]
    after = space.replaced(
        base=space.base.override(fixed, max_kimg),
        params={path: params[path] for path in space.params if path in params},
        forbidden=[clause for clause in clauses if clause is not None],
    )
    return after.replaced(baselines=_remaining_baselines(after)) if changes else after


def _can_have(path: str, value: Any, params: Mapping[str, Parameter], decided: Mapping[str, Any]) -> bool:
    """Returns whether the parameter at `path`, searched or decided, can have a value. One that is removed has none."""
    if path in params:
        return params[path].domain.contains(value)
    return path in decided and is_among(decided[path], [value])


def _decided_clause(
    clause: Clause, space: Space, params: Mapping[str, Parameter], decided: Mapping[str, Any]
) -> Clause | None:
    """Returns what is left of a forbidden combination when some options are decided; None where it can't occur.

    Raises UserError where it always occurs.
    """
    left: dict[str, tuple[Value, ...]] = {}
    base = space.base.flat()
    for path, values in clause.root.items():
        possible, name = values, f"{path.partition('.')[0]}.name"
        replaced = name in decided and decided[name] != base[name]  # and with the component, its options
        if path in decided or path in space.params or replaced:
            possible = tuple(value for value in values if _can_have(path, value, params, decided))
        if not possible:
            return None
        if path not in decided or path in params:
            left[path] = possible
    if not left:
        raise UserError(f"forbidden in this space: {clause}; set one of these to another value")
    return Clause(left)


def _remaining_baselines(space: Space) -> list[str]:
    """Returns the baselines of a changed space without those that are now forbidden, or equal to one before."""
    remaining: dict[str, dict[str, Any]] = {}
    for name in space.baselines:
        params = baseline_params(space, name)
        clause = space.violated(params)
        equal = next((other for other, values in remaining.items() if values == params), None)
        if clause is not None:
            warn_once(f"baseline {name} is left out: with these settings it is forbidden, by {clause}")
        elif equal is not None:
            warn_once(f"baseline {name} is left out: with these settings it equals {equal}")
        else:
            remaining[name] = params
    return list(remaining)
