"""Where a second derivative is wanted, and that it is not wanted afterwards."""

import pytest

from gansearch.derivatives import second_derivatives, second_wanted


def test_it_is_wanted_within_only() -> None:
    assert not second_wanted()
    with pytest.raises(KeyError), second_derivatives():
        with second_derivatives():
            assert second_wanted()
        assert second_wanted()
        raise KeyError
    assert not second_wanted()
