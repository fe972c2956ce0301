"""GPUs that Ray counts and torch does not have: what a look at one finds is pretended, all else is real.

`python -m tests.pretended FAULTY ARGUMENTS...` is `gansearch ARGUMENTS...` with trials that sleep, on cards of which
FAULTY, for example `1` or `none`, does not compute.
"""

import sys
from functools import partial

import ray
import torch

from gansearch.cli.search import main
from gansearch.config import TrainConfig
from gansearch.errors import UserError
from gansearch.training.card import Card
from tests.sleeping import sleeping_trials

CPU = torch.device("cpu")
GIB = 2**30


def look(faulty: str, train: TrainConfig) -> Card:
    """Finds a card of 80 GiB with units for bf16, or no driver for the one that is faulty."""
    if faulty in map(str, ray.get_gpu_ids()):
        raise UserError("torch finds no GPU here (the driver is too old; driver 535.104.05): install another one")
    return Card("Pretended 80GB", "driver 580.95.05", 80 * GIB, 79 * GIB, bf16=True)


if __name__ == "__main__":
    faulty, *arguments = sys.argv[1:]
    with sleeping_trials(look=partial(look, faulty)):
        sys.exit(main(arguments))
