"""Chunks: every image is in at most one, they are the same on every machine, and classes are mixed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gansearch.data.digits import Digits
from gansearch.metrics.reference import Chunking, draw_chunks


@given(images=st.integers(2, 400), seed=st.integers(0, 99), size=st.integers(2, 60))
def test_chunks_are_disjoint_parts_of_one_order(images: int, seed: int, size: int) -> None:
    count = images // size
    chunks = draw_chunks(images, seed, count, size)
    assert [len(chunk) for chunk in chunks] == [size] * count
    drawn = [index for chunk in chunks for index in chunk.tolist()]
    assert len(set(drawn)) == len(drawn) and set(drawn) <= set(range(images))
    assert all(chunk.tolist() == sorted(chunk.tolist()) for chunk in chunks)
    fewer = draw_chunks(images, seed, count // 2, size)
    assert all(torch.equal(*pair) for pair in zip(fewer, chunks, strict=False))


def test_the_order_is_pinned() -> None:
    # FIDs of one protocol are comparable between machines and versions as long as it stays.
    assert [chunk.tolist() for chunk in draw_chunks(8, 0, 2, 4)] == [[1, 2, 4, 6], [0, 3, 5, 7]]
    assert [chunk.tolist() for chunk in draw_chunks(8, 1, 2, 4)] == [[1, 3, 5, 6], [0, 2, 4, 7]]


def test_one_chunk_of_all_is_all_whatever_the_seed() -> None:
    for seed in range(3):
        (chunk,) = draw_chunks(50, seed, 1, 50)
        assert chunk.tolist() == list(range(50))


def test_images_sorted_by_class_are_mixed() -> None:
    labels = Digits().load("train").labels
    assert labels is not None
    for chunk in draw_chunks(len(labels), 0, 4, 300):
        counts = torch.bincount(labels.sort().values[chunk], minlength=10)
        assert counts.amin() > 10 and counts.amax() < 50


@pytest.mark.parametrize(
    ("real", "fake", "chunk", "chunking"),
    [
        (1437, 360, None, Chunking(1, 1437, 360)),
        (10_000, 5000, 1024, Chunking(4, 1024, 1024)),
        (1024, 5000, 1024, Chunking(1, 1024, 1024)),
        (1023, 5000, 1024, Chunking(0, 1024, 1024)),
    ],
)
def test_there_are_as_many_chunks_as_can_be_filled(real: int, fake: int, chunk: int | None, chunking: Chunking) -> None:
    assert Chunking.of(real, fake, chunk) == chunking
