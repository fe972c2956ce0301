"""Losses and FID as TensorBoard events at each evaluation: `curves/events.out.tfevents.000057600`."""

import struct
import time
from collections.abc import Iterator, Mapping, Sequence

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from gansearch.registry import component
from gansearch.run.paths import curves_file
from gansearch.run.rows import Evaluation
from gansearch.training.artifacts.base import Artifact, File, Point, Snapshot

LOSSES = ("Loss/real_discriminator", "Loss/fake_discriminator", "Loss/generator")
FID = "FID"


@component
class Curves(Artifact):
    """TensorBoard scalars: the losses and FID."""

    def files(self, snapshot: Snapshot) -> Iterator[File]:
        yield curves_file(snapshot.evaluation.images), events(snapshot.curve, snapshot.evaluation)


def events(curve: Sequence[Point], evaluation: Evaluation) -> bytes:
    """Returns an event file of the losses before an evaluation that has just ended, and of the FID.

    The steps of the events are images shown.
    """
    trained = time.time() - evaluation.eval_seconds

    def event(images: int, scalars: Mapping[str, float]) -> Event:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        moment = trained - (evaluation.images - images) / evaluation.images_per_second
        return Event(wall_time=moment, step=images, summary=Summary(value=values))

    first = curve[0][0] if curve else evaluation.kimg
    written = [Event(wall_time=event(round(first * 1000), {}).wall_time, file_version="brain.Event:2")]
    for kimg, *losses in curve:
        written.append(event(round(kimg * 1000), dict(zip(LOSSES, losses, strict=True))))
    written.append(event(evaluation.images, {FID: evaluation.fid}))
    return b"".join(map(_record, written))


def _record(event: Event) -> bytes:
    """Returns an event in the TFRecord format: its length and its bytes, each followed by a checksum."""
    content = event.SerializeToString()
    length = struct.pack("<Q", len(content))
    return length + struct.pack("<I", masked_crc32c(length)) + content + struct.pack("<I", masked_crc32c(content))
