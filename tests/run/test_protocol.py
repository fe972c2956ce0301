"""The hash of a protocol: stable, and different as soon as a field differs."""

from dataclasses import fields, replace

import pytest

from gansearch.run.protocol import Protocol

PROTOCOL = Protocol(
    extractor="digits-classifier",
    weights_sha256="a" * 64,
    data="b" * 64,
    split="train",
    num_real=1437,
    num_fake=1024,
    resolution=32,
    resize="bicubic-antialias",
    dtype="float32",
    seed=0,
    estimator="standard",
)


def test_the_hash_is_pinned() -> None:
    # Every results file holds the hash: a change of the computation makes old runs incomparable.
    assert PROTOCOL.hash == "070f8b5dcbb3"


@pytest.mark.parametrize("name", [field.name for field in fields(Protocol)])
def test_every_field_changes_the_hash(name: str) -> None:
    value = getattr(PROTOCOL, name)
    other = replace(PROTOCOL, **{name: value + 1 if isinstance(value, int) else f"c{value[1:]}"})
    assert other.hash != PROTOCOL.hash
    assert PROTOCOL.difference(other).startswith(f"{name} ")


def test_to_dict_and_from_dict_are_inverse() -> None:
    again = Protocol.from_dict(PROTOCOL.to_dict())
    assert again == PROTOCOL and again.hash == PROTOCOL.hash and PROTOCOL.difference(again) == ""


def test_the_estimator_is_part_of_it() -> None:
    chunked = replace(PROTOCOL, estimator="chunked-1024")
    assert chunked.hash != PROTOCOL.hash and Protocol.from_dict(chunked.to_dict()) == chunked
    assert PROTOCOL.difference(chunked) == "estimator standard / chunked-1024"


def test_the_difference_is_short_and_complete() -> None:
    other = replace(PROTOCOL, num_fake=5000, data="d" * 64)
    assert PROTOCOL.difference(other) == "data bbbbbbbbbbbb... / dddddddddddd..., num_fake 1024 / 5000"


def test_a_dict_that_is_not_a_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="colour, seed"):
        Protocol.from_dict({k: v for k, v in PROTOCOL.to_dict().items() if k != "seed"} | {"colour": 1})
