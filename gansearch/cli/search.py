"""`run_search.py`: start | resume | extend | status | trial | doctor. Without an argument: start the default search."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
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
)
from gansearch.cli.resources import add_budget_options, add_resource_options, given_resources
from gansearch.recipes import RECIPES
from gansearch.run import Options, Plan, Run, RunDir, find_run, load, new_run
from gansearch.run.paths import DEFAULT_RUNS_DIR
from gansearch.run.rows import is_being_written

if TYPE_CHECKING:
    from gansearch.search.search import Search

logger = logging.getLogger(__name__)

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
        sub.add_argument("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, help="the folder of runs (default: runs)")
        return sub

    start = add("start", _start, "start a search")
    start.add_argument("space", metavar="SPACE", help="a name in search_spaces/, or a file")
    start.add_argument("--name", help="the run's name (default: the space's and the time)")
    start.add_argument("--trials", type=positive_int, help="how many trials (default: the space's)")
    start.add_argument("--seed", type=non_negative_int, default=0, help="the seed of all trials (default: 0)")
    add_resource_options(start)
    add_budget_options(start)
    start.add_argument("--storage", metavar="PATH|s3://...", help="where checkpoints go (default: the run's directory)")
    start.add_argument("--dry-run", action="store_true", help="check everything, print the plan, start nothing")
    _add_config_options(start)

    resume = add("resume", _resume, "continue a search that was interrupted or killed")
    resume.add_argument("run", metavar="RUN")
    add_resource_options(resume)
    add_budget_options(resume)
    resume.add_argument("--retry-failed", action="store_true", help="run failed trials again, as new trials")

    extend = add("extend", _extend, "give a search more trials, or train its best trials further")
    extend.add_argument("run", metavar="RUN")
    extend.add_argument("--trials", type=_more, default=0, metavar="+N", help="N more trials")
    extend.add_argument(
        "--max-kimg", type=positive_float, metavar="K", help="train the best trials, and new ones, to K kimg"
    )
    add_resource_options(extend)
    add_budget_options(extend)

    status = add("status", _status, "show how far a search is")
    status.add_argument("run", metavar="RUN")
    status.add_argument("--json", action="store_true")
    status.add_argument("--watch", action="store_true", help="repeat every two seconds while the search runs")

    trial = add("trial", _trial, "run one trial without Ray: to debug, to replay a config.json, to run a recipe")
    trial.add_argument("config", metavar="CONFIG.json|RECIPE")
    trial.formatter_class = argparse.RawDescriptionHelpFormatter
    trial.epilog = "recipes:\n" + "\n".join(f"  {name:<20}{known.about}" for name, known in RECIPES.items())
    trial.add_argument("--out", type=Path, metavar="DIR", help="the run's directory (default: runs/NAME-TIME)")
    _add_config_options(trial)

    doctor = add("doctor", _doctor, "check what a search needs, and estimate what it would cost")
    doctor.add_argument("space", metavar="SPACE", nargs="?", default=DEFAULT_SPACE)
    _add_config_options(doctor)
    return parser


def _add_config_options(parser: Parser) -> None:
    parser.add_argument("--max-kimg", type=positive_float, metavar="K", help="full length in thousands of real images")
    parser.add_argument("--data-dir", metavar="DIR", help="the image folder, or the folder of a data set")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="set an option, e.g. train.batch=32"
    )


def _more(text: str) -> int:
    if not text.startswith("+"):
        raise argparse.ArgumentTypeError(f"{text} might mean all trials: write +N for N more")
    return positive_int(text[1:])


def _dated(source: str) -> str:
    """Returns a name for a run of the space, recipe or file `source`."""
    return f"{Path(source).stem}-{datetime.now():%Y%m%d-%H%M%S}"


def _start(args: argparse.Namespace) -> int:
    run = new_run(args.name or _dated(args.space), args.runs_dir)
    plan = _plan(args, run)
    if args.dry_run:
        from gansearch.search.search import prepare

        prepare(plan)
        print(json.dumps(_described(plan), indent=2))
        return OK
    return _run_search(plan, lambda search: search.start())


def _plan(args: argparse.Namespace, run: RunDir) -> Plan:
    from gansearch.search.find_space import configure, find_space, parse_settings

    space = find_space(args.space)
    space = configure(space, parse_settings(args.set, args.data_dir), args.max_kimg)
    if args.max_kimg and space.base.train.max_kimg != args.max_kimg:
        length = space.base.train.max_kimg
        logger.info("length: %g kimg, the nearest with all evaluations at whole batches", length)
    storage = args.storage
    options: dict[str, Any] = {
        "trials": args.trials or space.trials,
        "seed": args.seed,
        "storage": str(Path(storage).absolute()) if storage and "://" not in storage else storage,
        **given_resources(args),
    }
    return Plan(run, space, Options(**options))


def _described(plan: Plan) -> dict[str, Any]:
    """Returns what `--dry-run` prints."""
    return {
        "run": str(plan.run.path),
        "options": asdict(plan.options),
        "max_kimg": plan.space.base.train.max_kimg,
        "rungs_kimg": [images / 1000 for images in plan.rungs],
        "space": plan.space.model_dump(mode="json"),
    }


def _resume(args: argparse.Namespace) -> int:
    plan = _known_plan(args)
    return _run_search(plan, lambda search: search.resume(retry_failed=args.retry_failed))


def _extend(args: argparse.Namespace) -> int:
    plan = _known_plan(args).extended(args.trials, args.max_kimg)
    return _run_search(plan, lambda search: search.extend())


def _known_plan(args: argparse.Namespace) -> Plan:
    """Returns the plan of a run that exists, with the resources and budgets of this command."""
    return load(find_run(args.run, args.runs_dir)).plan.with_options(given_resources(args))


def _run_search(plan: Plan, work: "Callable[[Search], None]") -> int:
    """Calls `work` with a search and shows the progress; then ranks, plots and exports the results."""
    from gansearch.cli.progress import Progress
    from gansearch.search.search import Search

    progress = Progress(lambda ledger: ledger.total(plan.options.trials), plan.space.base.train.max_kimg)
    search = Search(plan, progress.listen)
    with progress.shown():
        work(search)
    if search.shutdown.signal is not None:
        if search.is_saved:
            logger.info("interrupted, everything is saved; continue with: %s resume %s", PROG, plan.run.path)
        else:
            logger.info("interrupted before the first trial; nothing is left behind")
        return search.shutdown.exit_code
    if search.ledger.best is None:
        logger.info(
            "%s: no trial has a finite FID; `%s status %s` gives the reasons", plan.run.path, PROG, plan.run.path
        )
        return NO_FID
    _conclude(load(plan.run))
    if search.ledger.evaluation_share is not None:
        logger.info(share_text(search.ledger.evaluation_share))
    return OK


def _conclude(run: Run) -> None:
    from gansearch.analysis.plotting import plot
    from gansearch.analysis.rank import rank, write_table
    from gansearch.export import export

    write_table(rank(run), run.manifest.floor, top=10)
    plot(run)
    best = export(run)
    print(f"\nplots: {run.dir.plots}/\nbest generator: {best}/ (its sample grid: {best}/samples.png)")


def _status(args: argparse.Namespace) -> int:
    from gansearch.analysis.status import as_json, render_status

    paths = find_run(args.run, args.runs_dir)
    while True:
        run = load(paths)
        if args.json:
            print(json.dumps(as_json(run.ledger), allow_nan=False), flush=True)
        else:
            total = run.ledger.total(run.manifest.options.trials)
            render_status(run.ledger, total=total, max_kimg=run.manifest.max_kimg).write()
        if not args.watch or not is_being_written(paths.results):
            return OK
        time.sleep(2)


def _trial(args: argparse.Namespace) -> int:
    from gansearch.cli.trial import run_trial, trial_config

    config = trial_config(args.config, args.set, args.data_dir, args.max_kimg)
    run = new_run(args.out.name, args.out.parent) if args.out else new_run(_dated(args.config), args.runs_dir)
    known = RECIPES.get(args.config)
    code = run_trial(config, run, origin=f"baseline:{args.config}" if known else "replay")
    if code == OK and known and known.reported:
        logger.info("the source of %s gives FID %s, of another protocol: not comparable", args.config, known.reported)
    return code


def _doctor(args: argparse.Namespace) -> int:
    from gansearch.cli.doctor import examine
    from gansearch.search.find_space import configure, find_space, parse_settings

    space = configure(find_space(args.space), parse_settings(args.set, args.data_dir), args.max_kimg)
    return examine(space, args.runs_dir)
