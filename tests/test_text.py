"""FIDs and lengths as texts."""

import pytest

from gansearch.text import fid_text, kimg_text, result_text, rough_text, without_nul


@pytest.mark.parametrize(
    ("fid", "text"), [(None, "-"), (123.456, "123.46"), (1.0, "1.00"), (0.70349, "0.7035"), (-0.2, "-0.2000")]
)
def test_a_fid_below_one_has_four_decimals(fid: float | None, text: str) -> None:
    assert fid_text(fid) == text


def test_lengths_have_no_noise() -> None:
    assert [kimg_text(kimg) for kimg in (None, 6.4 * 3, 0.3, 1234567.0)] == ["-", "19.2", "0.3", "1234567"]
    assert result_text(0.70349, 6.4 * 3) == "FID 0.7035 at 19.2 kimg"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1234.5, "1,230"), (153.8, "154"), (2.5, "2.5"), (0.00001234, "0.0000123")]
)
def test_a_rough_number_has_no_exponent(value: float, text: str) -> None:
    assert rough_text(value) == text


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ("a\0", "a text"),
        ({"data": {"dir": "a\0b"}}, "data.dir"),
        ({"a": [1, {"b": ["c\0"]}]}, "a.b"),
        ({"a\0": 1}, r"'a\\x00'"),
    ],
)
def test_a_text_with_nul_is_refused_by_its_path(tree: object, path: str) -> None:
    with pytest.raises(ValueError, match=f"^{path} has NUL in it"):
        without_nul(tree)
    assert without_nul({"a": ["b", None, 1]}) == {"a": ["b", None, 1]}
