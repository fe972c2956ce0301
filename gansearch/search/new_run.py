"""Writes the files that a run has from its start: `real.png` and `search.json`."""

from gansearch.cache import atomic_write
from gansearch.data.base import Images
from gansearch.errors import UserError, one_line
from gansearch.run.manifest import Manifest, Plan
from gansearch.run.protocol import Floor, Protocol
from gansearch.training import grids


def write_new_run(
    plan: Plan, images: Images, protocol: Protocol, floor: Floor | None, gpus_per_trial: float = 0.0
) -> Manifest:
    """Writes a grid of real images, to compare generated ones with, and then `search.json`.

    Args:
        plan: The plan of the run, whose folder exists.
        images: The training images.
        protocol: How the FIDs of the run are measured.
        floor: The FID of real images.
        gpus_per_trial: The share of a GPU that a trial has.

    Returns:
        The content of `search.json`.

    Raises:
        UserError: A file can't be written.
    """
    picture = grids.png(grids.real(images))
    try:
        atomic_write(plan.run.real, lambda staging: staging.write_bytes(picture))
    except OSError as error:
        raise UserError(f"can't write {plan.run.real} ({one_line(error)}): fix that first") from None
    manifest = plan.manifest(protocol, floor, gpus_per_trial, num_train=len(images))
    manifest.save(plan.run)
    return manifest
