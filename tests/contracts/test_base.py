"""Contracts are found in their folder; a verdict names what does not hold, under which option."""

from typing import Any, Literal

import pytest

from gansearch import registry
from gansearch.contracts import base
from gansearch.contracts.base import holds, kind_of, kinds, properties, require, variants, verdicts
from gansearch.errors import UserError
from gansearch.losses.bce import BCE
from gansearch.losses.hinge import Hinge
from gansearch.models.dcgan import DCGAN
from gansearch.registry import component


def test_every_kind_of_component_has_a_contract_and_every_property_a_sentence_of_its_own() -> None:
    assert {*registry.KINDS, "space"} <= set(kinds())
    for kind in kinds():
        sentences = [each.sentence for each in properties(kind)]
        assert sentences and len(set(sentences)) == len(sentences)
        assert all(sentence.endswith(".") and "\n" not in sentence for sentence in sentences)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_component_s_kind_is_known_by_its_class(kind: registry.Kind) -> None:
    assert {kind_of(cls) for cls in registry.classes(kind).values()} == {kind}
    assert kind_of(BCE()) == "loss" and kind_of("bce") is None and kind_of(int) is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown kind of component 'los'; did you mean .*loss"):
        properties("los")


def test_variants_change_one_option_at_a_time() -> None:
    changes = dict(variants(DCGAN(spectral_norm=True)))
    assert list(changes) == [
        "",
        *(f"conditioning={how}" for how in ("concat", "projection", "acgan")),
        *(f"attention_at={rows}" for rows in (8, 16, 32)),
        "spectral_norm=False",
        *(f"d_norm={norm}" for norm in ("none", "batch")),
        "init=glorot",
    ]
    assert changes["init=glorot"] == DCGAN(spectral_norm=True, init="glorot")


@component
class Optional(Hinge):
    mode: Literal["a", "b"] | None = None
    flag: bool = True


def test_a_verdict_names_the_option_under_which_a_property_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(component: Any) -> None:
        if component.flag is False:
            raise ZeroDivisionError("two\nlines")

    found = [
        holds("Holds.", each_option=True)(lambda component: None),
        holds("Holds under all options.", each_option=True)(lambda component: require(component.mode != "b", "no b")),
        holds("Holds as it is.")(lambda component: require(component.mode != "b", "no b")),
        holds("Does not raise.", each_option=True)(fragile),
    ]
    monkeypatch.setattr(base, "properties", lambda kind: found)
    assert [(verdict.ok, verdict.reason) for verdict in verdicts("loss", Optional())] == [
        (True, None),
        (False, "mode=b: no b"),
        (True, None),
        (False, "flag=False: ZeroDivisionError: two lines"),
    ]
