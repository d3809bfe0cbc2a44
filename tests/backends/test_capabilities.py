"""What a backend declares of itself is checked when its class is made."""

from __future__ import annotations

import msgspec
import pytest

from tracelet.backends.base import Capabilities
from tracelet.errors import InvalidValueError


@pytest.mark.parametrize("restart", ["continue", "replay"])
def test_a_restart_is_one_of_two(restart: str) -> None:
    assert Capabilities.everything(restart=restart).restart == restart


def test_the_earlier_name_of_a_replay_is_an_error_that_says_the_new_one() -> None:
    with pytest.raises(InvalidValueError, match='"anew" is called "replay" now'):
        Capabilities(restart="anew")  # type: ignore[arg-type]


def test_no_other_restart_is_taken() -> None:
    with pytest.raises(InvalidValueError, match="restart='again'") as caught:
        msgspec.structs.replace(Capabilities(), restart="again")
    assert "anew" not in str(caught.value)
