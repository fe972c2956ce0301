"""`run_search.py`: start | resume | extend | status | trial | doctor. Without an argument: start the default search."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansearch.analysis.text import share_text
from gansearch.cli.parser import (
    NO_FID,
    OK,
    Parser,
    call,
    non_negative_int,
    positive_float,
    positive_int,
    say,
)
from gansearch.cli.resources import add_budget_options, add_resource_options, given_resources
from gansearch.recipes import RECIPES
from gansearch.run.ledger import Ledger
from gansearch.run.paths import DEFAULT_RUNS_DIR, RunDir, find_run, new_run
from gansearch.run.rows import is_being_written, read

if TYPE_CHECKING:
    from gansearch.run.protocol import Protocol
    from gansearch.search.interrupt import Interruption
    from gansearch.search.plan import Plan

PROG = "gansearch"
DEFAULT_SPACE = "digits"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code (0, 2 wrong input, 3 no finite FID, 130/143 interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv) or ["start", DEFAULT_SPACE]
    parsed = _parser().parse_args(arguments)
    return call(PROG, lambda: parsed.command(parsed))


def _parser() -> Parser:
    parser = Parser(prog=PROG, description="Hyperparameter search for image GANs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(name: str, command: Callable[[argparse.Namespace], int], summary: str) -> Parser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(command=command)
        sub.add_argument("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, help="where runs lie (default: runs)")
        return sub

    start = add("start", _start, "start a search")
    start.add_argument("space", metavar="SPACE", help="a name in search_spaces/, or a file")
    start.add_argument("--name", help="the run's name (default: the space's and the time)")
    start.add_argument("--trials", type=positive_int, help="how many trials (default: the space's)")
    start.add_argument("--seed", type=non_negative_int, default=0)
    add_resource_options(start)
    add_budget_options(start)
    start.add_argument("--storage", metavar="PATH|s3://...", help="where checkpoints go (default: into the run)")
    start.add_argument("--dry-run", action="store_true", help="check everything, print the plan, start nothing")
    _add_config_options(start)

    resume = add("resume", _resume, "continue a search that was interrupted or killed")
    resume.add_argument("run", metavar="RUN")
    add_resource_options(resume)
    add_budget_options(resume)
    resume.add_argument("--retry-failed", action="store_true", help="run failed trials again, as new trials")

    extend = add("extend", _extend, "give a search more trials, or its trials more length")
    extend.add_argument("run", metavar="RUN")
    extend.add_argument("--trials", type=_more, default=0, metavar="+N", help="N more trials")
    extend.add_argument(
        "--max-kimg", type=positive_float, metavar="K", help="train the best further, and new ones as far, to K"
    )
    add_resource_options(extend)
    add_budget_options(extend)

    status = add("status", _status, "how far a search is")
    status.add_argument("run", metavar="RUN")
    status.add_argument("--json", action="store_true")
    status.add_argument("--watch", action="store_true", help="again every two seconds while the search runs")

    trial = add("trial", _trial, "one trial without Ray: to debug, to replay a config.json, to run a recipe")
    trial.add_argument("config", metavar="CONFIG.json|RECIPE")
    trial.formatter_class = argparse.RawDescriptionHelpFormatter
    trial.epilog = "recipes:\n" + "\n".join(f"  {name:<20}{known.about}" for name, known in RECIPES.items())
    trial.add_argument("--out", type=Path, metavar="DIR", help="its run directory (default: runs/NAME-TIME)")
    _add_config_options(trial)

    doctor = add("doctor", _doctor, "what is here, what is missing, what a search would cost")
    doctor.add_argument("space", metavar="SPACE", nargs="?", default=DEFAULT_SPACE)
    _add_config_options(doctor)
    return parser


def _add_config_options(parser: Parser) -> None:
    parser.add_argument("--max-kimg", type=positive_float, metavar="K", help="full length in thousands of real images")
    parser.add_argument("--data-dir", metavar="DIR", help="the image folder, or where a data set is kept")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="set an option, e.g. train.batch=32"
    )


def _more(text: str) -> int:
    if not text.startswith("+"):
        raise argparse.ArgumentTypeError(f"{text} might be the whole number: write +N for N more")
    return positive_int(text[1:])


def _dated(source: str) -> str:
    """A name for a run of the space, recipe or file `source`."""
    return f"{Path(source).stem}-{datetime.now():%Y%m%d-%H%M%S}"


def _start(args: argparse.Namespace) -> int:
    run = new_run(args.name or _dated(args.space), args.runs_dir)
    plan = _plan(args, run)
    if args.dry_run:
        from gansearch.search.launch import prepare
        from gansearch.search.plan import describe

        prepare(plan)
        print(json.dumps(describe(plan), indent=2))
        return OK
    from gansearch.search.launch import start

    return _searched(plan, lambda listener: start(plan, listener, say))


def _plan(args: argparse.Namespace, run: RunDir) -> "Plan":
    from gansearch.search.find_space import configure, find_space, parse_settings
    from gansearch.search.plan import Options, Plan

    space = find_space(args.space)
    space = configure(space, parse_settings(args.set, args.data_dir), args.max_kimg)
    if args.max_kimg and space.base.train.max_kimg != args.max_kimg:
        say(f"length: {space.base.train.max_kimg:g} kimg, the nearest with all evaluations at whole batches")
    storage = args.storage
    options: dict[str, Any] = {
        "trials": args.trials or space.trials,
        "seed": args.seed,
        "storage": str(Path(storage).absolute()) if storage and "://" not in storage else storage,
        **given_resources(args),
    }
    return Plan(run, space, Options(**options))


def _resume(args: argparse.Namespace) -> int:
    run = find_run(args.run, args.runs_dir)
    from gansearch.search.launch import resume

    plan, protocol = _known_plan(run, args)
    return _searched(plan, lambda listener: resume(plan, protocol, listener, say, retry_failed=args.retry_failed))


def _extend(args: argparse.Namespace) -> int:
    run = find_run(args.run, args.runs_dir)
    from gansearch.search.launch import extend

    plan, protocol = _known_plan(run, args)
    plan = plan.extended(args.trials, args.max_kimg)
    return _searched(plan, lambda listener: extend(plan, protocol, listener, say))


def _known_plan(run: RunDir, args: argparse.Namespace) -> "tuple[Plan, Protocol]":
    """What `load_plan` gives, with the resources of this command; refuses rows of several protocols, and says why."""
    from gansearch.analysis.load import load
    from gansearch.search.plan import load_plan

    load(run)
    plan, protocol = load_plan(run)
    return replace(plan, options=replace(plan.options, **given_resources(args))), protocol


def _searched(plan: "Plan", search: "Callable[[Callable], tuple[Ledger, Interruption]]") -> int:
    """Runs a search under a progress display; then ranks, plots and exports what it found."""
    from gansearch.cli.progress import Progress

    progress = Progress(lambda ledger: ledger.total(plan.options.trials), plan.space.base.train.max_kimg)
    with progress.shown():
        ledger, interruption = search(progress.listen)
    if interruption.signal is not None:
        if _is_saved(plan):
            say(f"interrupted, everything is saved; continue with: {PROG} resume {plan.run.path}")
        else:
            say("interrupted before the first trial; nothing is left behind")
        return interruption.exit_code
    if ledger.best is None:
        say(f"{plan.run.path}: no trial has a finite FID; `{PROG} status {plan.run.path}` gives the reasons")
        return NO_FID
    _conclude(plan.run)
    if ledger.evaluation_share is not None:
        say(share_text(ledger.evaluation_share))
    return OK


def _is_saved(plan: "Plan") -> bool:
    """Whether the run is there, and as long and as many trials as `plan` says."""
    from gansearch.search.plan import load_plan

    if not plan.run.search_json.exists():
        return False
    saved, _ = load_plan(plan.run)
    return (saved.space.base.train, saved.options.trials) == (plan.space.base.train, plan.options.trials)


def _conclude(run: RunDir) -> None:
    from gansearch.analysis.load import load
    from gansearch.analysis.plots import plot
    from gansearch.analysis.rank import print_ranking
    from gansearch.export import export

    print_ranking(run)
    plot(load(run))
    best = export(run)
    print(f"\nplots: {run.plots}/\nbest generator: {best}/ (its sample grid: {best}/samples.png)")


def _status(args: argparse.Namespace) -> int:
    from rich.console import Console

    from gansearch.analysis.load import load
    from gansearch.analysis.status import as_json, render_status

    run = find_run(args.run, args.runs_dir)
    while True:
        budget = load(run).search.budget
        ledger = Ledger(read(run.results))
        if args.json:
            print(json.dumps(as_json(ledger), allow_nan=False), flush=True)
        else:
            Console(width=None if sys.stdout.isatty() else 120).print(
                render_status(ledger, total=ledger.total(budget.trials), max_kimg=budget.max_kimg)
            )
        if not args.watch or not is_being_written(run.results):
            return OK
        time.sleep(2)


def _trial(args: argparse.Namespace) -> int:
    from gansearch.cli.trial import run_trial, trial_config

    config = trial_config(args.config, args.set, args.data_dir, args.max_kimg)
    run = new_run(args.out.name, args.out.parent) if args.out else new_run(_dated(args.config), args.runs_dir)
    known = RECIPES.get(args.config)
    code = run_trial(config, run, origin=f"baseline:{args.config}" if known else "replay")
    if code == OK and known and known.reported:
        say(f"the source of {args.config} gives FID {known.reported}: measured otherwise, not comparable with ours")
    return code


def _doctor(args: argparse.Namespace) -> int:
    from gansearch.cli.doctor import examine
    from gansearch.search.find_space import configure, find_space, parse_settings

    space = configure(find_space(args.space), parse_settings(args.set, args.data_dir), args.max_kimg)
    return examine(space, args.runs_dir)
