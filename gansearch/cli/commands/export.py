"""`export RUN`: a trial's best generator as files that stand alone, and how good it is."""

import argparse
import logging
from pathlib import Path

from gansearch.analysis.text import floor_text
from gansearch.cli.arguments import add_allow_code, add_run, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser, samples_to
from gansearch.cli.results import no_fid
from gansearch.config import MOST_FAKE
from gansearch.logs import show
from gansearch.text import fid_text

logger = logging.getLogger(__name__)


def _arguments(parser: Parser) -> None:
    add_run(parser)
    add_allow_code(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--trial",
        metavar="ID",
        help="which trial, as 7 or 0007 (default: the winner's final nearest to their mean, or the lowest FID)",
    )
    which.add_argument("--lowest", action="store_true", help="the trial with the lowest FID of all, finals included")
    parser.add_argument("--out", metavar="DIR", type=Path, help="the folder to write (default: RUN/best)")
    parser.add_argument(
        "--measure",
        metavar="N",
        type=samples_to(MOST_FAKE),
        help="also measure FID, FID at infinity and KID of N images",
    )


def _run(args: argparse.Namespace) -> int:
    # Imports torch.
    from gansearch.export import export

    run = loaded_run(args)
    if run.ledger.best is None:
        return no_fid(run.dir.path)
    folder = export(run, args.trial, args.out, lowest=args.lowest)
    show(folder)
    if args.measure is not None:
        _measure(folder, args.measure)
    return OK


def _measure(folder: Path, count: int) -> None:
    """Measures an exported generator. Scores go to stdout, one a line; scores that need more images are logged."""
    from gansearch.export import measure

    scores, floor = measure(folder, count)
    print(f"FID of {scores.protocol.num_fake:,} images: {fid_text(scores.fid)}")
    if scores.fid_infinity is not None:
        fid, error = scores.fid_infinity.fid, scores.fid_infinity.standard_error
        print(f"FID at infinity: {fid_text(fid)} +- {error:.{2 if abs(fid) >= 1 else 4}f} (error of the line)")
    if scores.kid is not None:
        print(f"KID: mean {scores.kid.mean:.6f}, standard deviation {scores.kid.std:.6f}")
    if floor is not None:
        print(floor_text(floor))
    for reason in scores.missing:
        logger.info("not measured: %s", reason)


COMMAND = Command(
    group="results",
    summary="write the best generator as files: weights, configuration, samples",
    arguments=_arguments,
    run=_run,
)
