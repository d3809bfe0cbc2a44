"""A backend of a user's own, unpackaged and with an option, can keep the whole contract."""

from __future__ import annotations

from shelf import ShelfHarness

from tracelet.testing import BackendContract


class TestShelf(ShelfHarness, BackendContract):
    """Every check, with worker processes that are ended when they hang."""

    many_points = 5_000
    large_size = 1_000_000
    hang_bound = 1.0
