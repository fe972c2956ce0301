"""Every extractor whose weights are here holds its contract, and broken ones are caught."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansearch import registry
from gansearch.contracts.base import Property, properties, verdicts
from gansearch.metrics.extractors.base import Extractor
from gansearch.registry import component
from tests.contracts.holding import hold

NAMES = sorted(registry.classes("metrics"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("each", properties("metrics"), ids=lambda each: each.check.__name__)
def test_an_extractor_holds_its_contract(each: Property, name: str) -> None:
    extractor = registry.classes("metrics")[name]()
    missing = extractor.missing()
    if missing is not None:
        pytest.skip(missing)
    hold(each, extractor)


class Means(nn.Module):
    """The mean colour of each image, and what `spoil` makes of it."""

    def __init__(self, spoil: Any) -> None:
        super().__init__()
        self.spoil = spoil

    def forward(self, images: Tensor) -> Tensor:
        return self.spoil(images.float().mean((2, 3)))


@component
class Own(Extractor):
    name: str = "own"

    def weights_hash(self) -> str:
        return "a" * 64

    def build(self) -> nn.Module:
        return Means(lambda features: features)


def test_an_extractor_without_weights_will_do() -> None:
    assert [verdict for verdict in verdicts("metrics", Own()) if not verdict.ok] == []


def spoilt(spoil: Any) -> Extractor:
    return component(type("Broken", (Own,), {"build": lambda self: Means(spoil)}))()


BROKEN: list[tuple[str, Extractor, str]] = [
    (
        "not finite",
        spoilt(lambda x: x / 0),
        r"Features are finite.*: for images of 1 x 16 x 16 the features are not fin",
    ),
    ("all the same", spoilt(lambda x: 0 * x + 1), r"Other images .*: all images have the same features"),
    ("of the batch", spoilt(lambda x: x - x.mean(0)), r"do not depend .*: an image alone has other features"),
    ("noisy", spoilt(lambda x: x + torch.randn_like(x)), r"repeat themselves.*: the same images have other features"),
    ("one number", spoilt(lambda x: x[:, 0]), r"Features are finite.*: UserError: own returned"),
    ("a name for a hash", component(type("Named", (Own,), {"weights_hash": lambda self: "v1"}))(), r"v1 is no SHA-256"),
]


@pytest.mark.parametrize(("extractor", "reason"), [pytest.param(*rest, id=name) for name, *rest in BROKEN])
def test_a_broken_extractor_is_caught_in_one_line(extractor: Extractor, reason: str) -> None:
    faults = [f"{verdict.sentence}: {verdict.reason}" for verdict in verdicts("metrics", extractor) if not verdict.ok]
    assert any(re.search(reason, fault) for fault in faults), faults
