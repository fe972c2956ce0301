"""Writes the files that a run has from its start, and finds the storage of its checkpoints again."""

from gansearch.cache import atomic_write
from gansearch.data.base import Images
from gansearch.errors import UserError, one_line
from gansearch.run.loaded import Run
from gansearch.run.manifest import Manifest, Plan
from gansearch.run.paths import token_file
from gansearch.run.protocol import Floor, Protocol
from gansearch.training import grids
from gansearch.training.storage import Storage


def write_new_run(
    plan: Plan, images: Images, protocol: Protocol, floor: Floor | None, gpus_per_trial: float = 0.0
) -> Manifest:
    """Writes a grid of real images, to compare generated ones with, the token of a storage, and then `search.json`.

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
    if plan.options.storage is not None and manifest.storage_token is not None:
        try:
            Storage(plan.options.storage).write(token_file(plan.run.name), manifest.storage_token.encode())
        except OSError as error:
            raise UserError(f"can't use {plan.options.storage} ({one_line(error)}): fix that first") from None
    manifest.save(plan.run)
    return manifest


def require_own_storage(run: Run) -> None:
    """Raises UserError where a run has checkpoints outside its folder, and the place is not the one where it began.

    `search.json` may come from anybody, and trials write and delete where it says.
    """
    storage = run.manifest.options.storage
    if storage is None:
        return
    file = token_file(run.dir.name)
    try:
        found: bytes | None = Storage(storage).read(file)
    except FileNotFoundError:
        found = None
    except OSError as error:
        raise UserError(f"can't use {storage} ({one_line(error)}): fix that first") from None
    if found is None or found != (run.manifest.storage_token or "").encode():
        raise UserError(
            f"{storage} has no {file} of this run, so the run has not begun there and must not write there: bring the "
            "storage back as it was, or start a new run"
        )
