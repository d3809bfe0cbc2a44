"""Captures the hardware of the machine: processors, memory, GPUs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from tracelet.capture.base import CaptureSource, Recorder
from tracelet.hookspecs import hookimpl

GPUS = Path("/proc/driver/nvidia/gpus")
"""NVIDIA's driver for Linux has a folder for each GPU here."""


def machine() -> dict[str, Any]:
    """Return the facts of the machine; unknown ones are left out."""
    found: dict[str, Any] = {"cpus": os.cpu_count()}
    with contextlib.suppress(OSError, ValueError):  # the system does not have these values
        pages = os.sysconf("SC_PHYS_PAGES")
        found["memory_mb"] = pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    if gpus := list(gpu_names(GPUS)):
        found["gpus"] = gpus
    return {name: value for name, value in found.items() if value is not None}


def gpu_names(directory: Path) -> Iterator[str]:
    """Yield the model of each GPU in the driver's directory."""
    for file in sorted(directory.glob("*/information")):
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() == "Model":
                yield value.strip()


class Machine(CaptureSource):
    """Adds the hardware to the facts of the run."""

    name: ClassVar[str] = "machine"

    def start(self, recorder: Recorder) -> None:
        recorder.facts(machine())

    def stop(self) -> None:
        """Do nothing: everything is reported at the start."""


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    return Machine
