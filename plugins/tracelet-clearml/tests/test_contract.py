"""Until the backend keeps the contract of all backends, it says so at once."""

from __future__ import annotations

import pytest

from tracelet.errors import BrokenPluginError, TraceletError
from tracelet_clearml.backend import ClearmlBackend


def test_a_backend_that_is_not_built_says_so_and_what_to_use_instead() -> None:
    with pytest.raises(BrokenPluginError) as raised:
        ClearmlBackend()

    assert isinstance(raised.value, TraceletError)
    message = str(raised.value)
    assert "ClearML backend is not built yet" in message
    assert 'backend="local"' in message
    assert "tracelet replay RUN --backend clearml" in message


@pytest.mark.parametrize("option", sorted(ClearmlBackend.options))
def test_a_documented_option_does_not_hide_the_reason(option: str) -> None:
    with pytest.raises(BrokenPluginError, match="not built yet"):
        ClearmlBackend(**{option: "value"})
