"""Compares the best FID of a search with the FID of the DCGAN paper's recipe, trained to the same full length.

    python -m benchmarks.search_against_recipe [--seeds 3] [--out FOLDER]

Both sides alternate, seed by seed, through the programs that a user starts.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.spread import report

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> float:
    """Runs one command of run_search.py; returns its seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, ROOT / "run_search.py", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def best_fid(run_dir: Path) -> float:
    ranked = subprocess.run(
        [sys.executable, ROOT / "analyze.py", "rank", run_dir, "--json", "--top", "1"],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(ranked.stdout)[0]["best_fid"]


def compare(seeds: int, folder: Path) -> None:
    ratios = []
    for seed in range(seeds):
        recipe, search = folder / f"recipe-{seed}", folder / f"search-{seed}"
        run("trial", "dcgan", "--out", str(recipe), "--set", f"seed={seed}")
        seconds = run("start", "digits", "--runs-dir", str(folder), "--name", search.name, "--seed", str(seed))
        ratios.append(best_fid(search) / best_fid(recipe))
        print(
            f"seed {seed}: search {best_fid(search):.2f} in {seconds:.0f} s, recipe {best_fid(recipe):.2f}, "
            f"ratio {ratios[-1]:.2f}",
            flush=True,
        )
    report("ratio", ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="the folder for the runs (default: a temporary one)")
    args = parser.parse_args()
    if args.out:
        compare(args.seeds, args.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(args.seeds, Path(folder))


if __name__ == "__main__":
    main()
