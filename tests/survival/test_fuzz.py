"""2,600 damages of a finished run, each in one place: no crash, no hang, no silent change."""

from __future__ import annotations

import os
import random

import pytest
from fuzzing import run_batch

SEED = 20_250
BATCHES, EACH = 4, 650
SOAK = int(os.environ.get("TRACELET_SOAK_MUTATIONS", "0"))
"""How many more mutations are made, of a seed that nobody knows before."""


@pytest.mark.parametrize("batch", range(BATCHES))
def test_damage_neither_crashes_nor_hangs_a_reader_nor_goes_unnoticed(batch: int) -> None:
    faults = run_batch(SEED, batch * EACH, (batch + 1) * EACH)
    assert not faults, "\n".join(faults[:20])


if SOAK:

    @pytest.mark.parametrize("batch", range(-(-SOAK // EACH)))
    def test_a_seed_that_nobody_knows(batch: int) -> None:
        seed = random.SystemRandom().randrange(2**31)
        faults = run_batch(seed, batch * EACH, (batch + 1) * EACH)
        assert not faults, "\n".join(faults[:20])
