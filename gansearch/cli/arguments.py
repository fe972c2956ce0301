"""The arguments that several commands share, each group with what reads it from the parsed command line."""

import argparse
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gansearch import foreign
from gansearch.cli.parser import (
    Parser,
    int_from_two,
    non_negative_float,
    positive_float,
    positive_int,
)
from gansearch.run import Run, find_run, load
from gansearch.run.manifest import RESOURCES
from gansearch.run.paths import DEFAULT_RUNS_DIR

DEFAULT_SPACE = "digits"

# Arguments that are fields of `gansearch.run.Options` under the same name.
_SCHEDULING = ("eta", "first_rung", "sampler", "scheduler", "loggers")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_runs_dir(parser: Parser) -> None:
    parser.add_argument(
        "--runs-dir", metavar="DIR", type=Path, default=DEFAULT_RUNS_DIR, help="the folder of runs (default: runs)"
    )


def add_run(parser: Parser) -> None:
    """Adds the RUN that a command works on."""
    parser.add_argument("run", metavar="RUN", help="a run's directory, or its name under runs/")
    add_runs_dir(parser)


def loaded_run(args: argparse.Namespace) -> Run:
    """Reads the RUN of the command line, and permits the code that it names where `--allow-code` is given.

    Raises:
        UserError: There is no such run, or it is damaged.
    """
    run = load(find_run(args.run, args.runs_dir))
    gc.freeze()  # the rows, of which a large run has a hundred thousand, stay: no collection has to go through them
    foreign.allow(getattr(args, "allow_code", False), run.plan.component_names)
    return run


def add_allow_code(parser: Parser) -> None:
    parser.add_argument("--allow-code", action="store_true", help="run code from outside the package that files name")


def add_trials(parser: Parser) -> None:
    parser.add_argument(
        "--trials",
        type=positive_int,
        metavar="N",
        help="how many trials (default: until a budget is spent; the space's number without one)",
    )


def add_space(parser: Parser, *, optional: bool = False) -> None:
    more: dict[str, Any] = {"nargs": "?", "default": DEFAULT_SPACE} if optional else {}
    default = f" (default: {DEFAULT_SPACE})" if optional else ""
    parser.add_argument("space", metavar="SPACE", help=f"a name that `spaces` lists, or a file{default}", **more)


def add_set(parser: Parser, help: str) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help=help)


def add_settings(parser: Parser) -> None:
    """Adds what sets options of a trial, in the order in which the later one wins."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="set the options of a YAML or JSON file; --set wins"
    )
    add_set(parser, "set an option, e.g. train.batch=32")
    add_allow_code(parser)
    parser.add_argument("--data-dir", metavar="DIR", help="the image folder, or the folder of a data set")
    parser.add_argument("--max-kimg", type=positive_float, metavar="K", help="full length in thousands of real images")


def given_settings(args: argparse.Namespace) -> Mapping[str, Any]:
    """Returns the options that `--config`, `--set` and `--data-dir` set, by dotted path; UserError for a wrong one."""
    from gansearch.cli.config_file import overridden, read_config
    from gansearch.search.find_space import parse_settings, permit_named

    settings = parse_settings(args.set, args.data_dir)
    permit_named(settings)  # what stands on the command line may run, what stands in a file may not
    if args.config is not None:
        settings = overridden(read_config(args.config), settings)
        permit_named(settings if args.allow_code else {})
    return settings


def add_scheduling(parser: Parser) -> None:
    """Adds what proposes trials, what decides which go on, and what hands their rows on."""
    parser.add_argument("--sampler", metavar="NAME", help="what proposes trials (default: tpe), or MODULE:CLASS")
    parser.add_argument(
        "--scheduler", metavar="NAME|none", help="what lets trials go on (default: asha), or MODULE:CLASS; none: all do"
    )
    parser.add_argument(
        "--logger", metavar="NAME", action="append", dest="loggers", help="hand rows on to NAME, or MODULE:CLASS"
    )
    parser.add_argument("--eta", type=int_from_two, metavar="N", help="one trial in N passes a rung (default: 3)")
    parser.add_argument(
        "--first-rung", type=positive_int, metavar="N", help="N evaluations before the first rung (default: a 27th)"
    )


def given_scheduling(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields of `Options` that the arguments of `add_scheduling` set."""
    return _given(args, _SCHEDULING)


def add_resources(parser: Parser) -> None:
    """Adds the cluster, and how many trials share it."""
    add_slots(parser)
    parser.add_argument(
        "--address", metavar="auto|HOST:PORT", help="an existing Ray cluster (default, or local: start a new one)"
    )


def add_slots(parser: Parser) -> None:
    """Adds what decides how many trials run at once."""
    parser.add_argument("--max-concurrent", type=positive_int, metavar="N", help="at most N trials at once")
    parser.add_argument("--cpus-per-trial", type=positive_float, metavar="C", help="cores (default: 1)")
    parser.add_argument(
        "--gpus-per-trial",
        type=non_negative_float,
        metavar="G",
        help="0.25: four trials on a GPU (default: 1 if there is a GPU, else 0)",
    )


def add_budgets(parser: Parser) -> None:
    parser.add_argument("--time-budget", type=_duration, metavar="8h", help="end this command after 90s, 30m, 8h, 2d")
    parser.add_argument("--gpu-hours", type=positive_float, metavar="H", help="end when trials have used H GPU hours")
    add_timeout(parser)


def add_timeout(parser: Parser) -> None:
    parser.add_argument(
        "--trial-timeout",
        type=_duration,
        metavar="1h",
        help="try a trial again that gives no evaluation for so long (default: 10 times the longest, at least 15m)",
    )


def given_resources(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields of `Options` for resources and budgets that the command line sets."""
    return _given(args, RESOURCES)


def _given(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def _duration(text: str) -> float:
    unit = _UNITS.get(text[-1:])
    if unit is None:
        raise argparse.ArgumentTypeError(f"{text} is no time: write 90s, 30m, 8h or 2d")
    return positive_float(text[:-1]) * unit
