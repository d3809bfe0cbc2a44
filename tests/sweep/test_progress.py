"""A bar is shown to who looks at a terminal, and to nobody else."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
import trainings

from tracelet import Sweep


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_a_terminal_shows_how_far_it_is(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    with ThreadPoolExecutor(1) as executor:
        Sweep().product(lr=[1, 2, 3]).set(at=2).run(trainings.fail_at, executor=executor)

    shown = stream.getvalue()
    assert ("fail_at, 1 failed" in shown and "3/3" in shown) is stream.isatty()
    assert "delivered" not in shown  # the reports of complete runs would be in its way
