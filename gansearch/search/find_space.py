"""Finds the space of a name, and applies the options of the command line to that space.

A space file is Python and is executed. What it names, it may also define.
"""

import json
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

import gansearch
from gansearch import foreign
from gansearch.cache import read_small
from gansearch.config import describe
from gansearch.errors import UserError, kind_and_message, one_line, unknown
from gansearch.logs import warn_once
from gansearch.run.domain import Value, is_among
from gansearch.run.space import Clause, Condition, Parameter, Space, faults
from gansearch.search.feasibility import baseline_params, check_choice, check_values
from gansearch.text import is_number

_FOLDER = "search_spaces"
_PATHS = ("data.dir", "metrics.weights", "metrics.statistics")


def find_space(name: str) -> Space:
    """Returns the space of a name and permits the code that this space names.

    Args:
        name: The path of a file that defines SPACE; a name under `search_spaces/` here or in the package, or among the
            entry points `gansearch.spaces` of installed packages; or `MODULE:NAME`.

    Raises:
        UserError: There is no such space, or a file and an installed package have one of that name.
    """
    if name.endswith(".py") or "/" in name:
        return permitted(name, getattr(module_of_file(name, f"space {name}"), "SPACE", None))
    if foreign.is_foreign(name):
        foreign.permit([name])
        return permitted(name, foreign.find("space", name))
    files = space_files()
    installed = installed_spaces()
    if name in files and name in installed:
        raise UserError(
            f"space {name} is taken twice, by {files[name]} and by {installed[name].value} of an installed package: "
            "give the file's path, or that MODULE:NAME"
        )
    if name in files:
        file = str(files[name])
        return permitted(name, getattr(module_of_file(file, f"space {file}"), "SPACE", None))
    if name in installed:
        return permitted(name, _run(f"space {installed[name].value}", installed[name].load))
    raise unknown("space", name, [*files, *installed])


def installed_spaces() -> dict[str, EntryPoint]:
    """Returns the spaces of installed packages by name."""
    return {entry.name: entry for entry in entry_points(group="gansearch.spaces")}


def space_files() -> dict[str, Path]:
    """Returns the files of all spaces by name. A file under ./search_spaces/ hides the package's file of that name."""
    package = Path(gansearch.__file__).parent
    # In a wheel the folder lies in the package, in a source tree beside it.
    folders = (package / _FOLDER, package.parent / _FOLDER, Path(_FOLDER))
    return {
        path.stem: path for folder in folders for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")
    }


def _run(where: str, load: Callable[[], Any], file: Path | None = None) -> Any:
    """Returns what `load` returns; where it raises an error, a UserError names the line of `file`."""
    try:
        with warnings.catch_warnings():
            # Optuna lowers the end of a range that its steps do not meet, and says so in three lines.
            warnings.filterwarnings("error", message="The distribution is specified by", category=UserWarning)
            return load()
    except (Exception, SystemExit) as error:  # a space is the user's code: whatever is wrong in it is the user's to fix
        if isinstance(error, ValidationError):
            message = faults(error) if error.title == Space.__name__ else f"{error.title}: {describe(error)}"
        else:
            message = one_line(error) if isinstance(error, UserError) else kind_and_message(error)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        raise UserError(f"{where}: {f'line {lines[-1]}: ' if lines else ''}{message}") from error


def module_of_file(name: str, where: str) -> ModuleType:
    """Runs a Python file as the module of its name, so that a space can name what the file defines.

    Args:
        name: The path of the file.
        where: How messages name the file.

    Raises:
        UserError: There is no such file, it is no Python file, or it fails.
    """
    path = Path(name).absolute()
    if not path.exists():
        raise UserError(f"{where}: there is no such file; check the path")
    if not path.is_file() or path.suffix != ".py":
        raise UserError(f"{where} is no Python file: name a file that ends in .py")
    try:
        read_small(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: {one_line(error)}; name a file of Python") from None
    if str(path.parent) not in sys.path:  # as for a script
        sys.path.insert(0, str(path.parent))
    known = sys.modules.get(path.stem)
    is_other = known is not None and getattr(known, "__file__", None) != str(path)
    return _run(where, lambda: foreign.load_file(path, f"space_{path.stem}" if is_other else path.stem), path)


def permitted(name: str, space: Any) -> Space:
    """Returns a space after permitting the code that it names; raises UserError for what is no space."""
    if not isinstance(space, Space):
        raise UserError(f"space {name} defines no SPACE = Space(...); see search_spaces/digits.py")
    foreign.permit(space.component_names)
    return space


def parse_settings(settings: Sequence[str], data_dir: str | None) -> dict[str, Any]:
    """Returns the options of `--set path=value ...` and `--data-dir`. A value is JSON where possible, else text.

    Raises:
        UserError: A setting has no `=`, or a number that is not written as one, or the folder is given twice.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write path.to.option=value")
        changes[path] = _value(text)
    if data_dir is not None:
        if "data.dir" in changes:
            raise UserError("--data-dir and --set data.dir set one option: give one")
        changes["data.dir"] = data_dir
    return with_absolute_paths(changes)


def with_absolute_paths(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options whose paths are absolute: a trial may run in another folder, or on another node."""
    return {
        path: str(Path(v).expanduser().absolute()) if path in _PATHS and isinstance(v, str) else v
        for path, v in changes.items()
    }


def permit_named(changes: Mapping[str, Any]) -> None:
    """Permits the code that the user has named in options: as the name of a component, or as an artifact."""
    foreign.permit(value for path, value in changes.items() if path.endswith(".name") and isinstance(value, str))
    foreign.permit(path.removeprefix("artifacts.") for path in changes if path.startswith("artifacts."))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        float(text)
    except ValueError:
        return text
    if not is_number(text):
        raise UserError(f"{text} is no number of an option: write it as 1000, 0.5 or 1e-4")
    return text


def configure(space: Space, changes: Mapping[str, Any], max_kimg: float | None) -> Space:
    """Returns a copy of a space with options set in the base. A parameter that is set is not searched any more.

    Conditions on a set parameter are decided, to any depth, and parameters that can no longer apply are removed. A
    conditional parameter that is set gets the fixed value in the trials to which the parameter applies. A ratio is
    removed where its first option is set, and is searched over a fixed second option where that is set. Forbidden
    combinations are decided too, and baselines that are forbidden now, or equal to another, are left out.

    Raises:
        UserError: A path is no option, a value lies outside its domain, or the changes are forbidden; or the space
            itself has a parameter of one value, or a condition or a forbidden combination on a value outside a domain.
    """
    if "seed" in changes:
        raise UserError("--set seed: all trials of a search share its seed; give it with --seed")
    check_choice(space)  # below, a conditional parameter that is set keeps one value
    check_values(space)  # below, values that are not possible any more are left out
    params: dict[str, Parameter] = {}  # what is still searched
    decided: dict[str, Any] = {}  # what is not, and applies
    fixed = dict(changes)
    for path in space.ordered:
        domain, when = space.params[path].domain, space.params[path].when
        # Any component may be chosen: whether there is one of that name is for the registry to say.
        is_free = path.endswith(".name") and when is None
        if path in changes and not is_free and not domain.contains(changes[path]):
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
