"""The command-line options for resources and budgets."""

import argparse
from typing import Any

from gansearch.cli.parser import Parser, non_negative_float, positive_float, positive_int

_NAMES = ("time_budget", "gpu_hours", "max_concurrent", "cpus_per_trial", "gpus_per_trial", "address")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_resource_options(parser: Parser) -> None:
    parser.add_argument("--max-concurrent", type=positive_int, metavar="N", help="at most N trials at once")
    parser.add_argument("--cpus-per-trial", type=positive_float, metavar="C", help="cores (default: 1)")
    parser.add_argument(
        "--gpus-per-trial",
        type=non_negative_float,
        metavar="G",
        help="0.25: four trials on a GPU (default: 1 if there is a GPU, else 0)",
    )
    parser.add_argument(
        "--address", metavar="auto|HOST:PORT", help="an existing Ray cluster (default, or local: start a new one)"
    )


def add_budget_options(parser: Parser) -> None:
    parser.add_argument("--time-budget", type=_duration, metavar="8h", help="end this command after 90s, 30m, 8h, 2d")
    parser.add_argument("--gpu-hours", type=positive_float, metavar="H", help="end when trials have used H GPU hours")


def given_resources(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields of `Options` that the command line sets. `--address local` asks for a new Ray."""
    given = {name: value for name in _NAMES if (value := getattr(args, name, None)) is not None}
    return {**given, "address": None} if given.get("address") == "local" else given


def _duration(text: str) -> float:
    unit = _UNITS.get(text[-1:])
    if unit is None:
        raise argparse.ArgumentTypeError(f"{text} is no time: write 90s, 30m, 8h or 2d")
    return positive_float(text[:-1]) * unit
