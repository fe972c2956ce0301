"""The program as the user has called it, so that every command that a message gives can be pasted."""

import shlex
import shutil
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# A program that knows a part of the commands, and the program beside it that knows all of them.
_WHOLE = {"analyze.py": "run_search.py", "gansearch-analyze": "gansearch"}


def typed_words() -> list[str]:
    """Returns the words by which this process was called, without arguments: `["python", "run_search.py"]`.

    A process that is none of the package's programs, such as a notebook, has `["gansearch"]`.
    """
    script = sys.argv[0] if sys.argv else ""
    path = Path(script)
    interpreter = sys.orig_argv[0] if sys.orig_argv else "python"
    match path.name:
        case "run_search.py" | "analyze.py" if path.resolve().parent == _PACKAGE.parent:
            return [interpreter, script]
        case "__main__.py" if path.resolve().parent == _PACKAGE:
            return [interpreter, "-m", _PACKAGE.name]
        case "gansearch" | "gansearch-analyze":
            # The system replaces a name that it has found on the PATH by the whole path.
            return [path.name if shutil.which(path.name) == script else script]
    return ["gansearch"]


def typed_program() -> str:
    """Returns the words by which this process was called as a text for a shell."""
    return shlex.join(typed_words())


def command(*words: str | Path) -> str:
    """Returns a command line that can be pasted into the user's shell: the program, and `words` as its arguments.

    The program is the one that the user has called, or, for a program that knows only a part of the commands, the one
    beside it that knows them all.
    """
    *before, program = typed_words()
    path = Path(program)
    whole = str(path.with_name(_WHOLE[path.name])) if path.name in _WHOLE else program
    return shlex.join([*before, whole, *map(str, words)])
