"""What NVIDIA's GPUs use, read with nvidia-ml-py, which only machines with such a GPU need."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_MB = 1e6
_DRIVER = Path("/proc/driver/nvidia/version")


class Gpus:
    """The GPUs that the run may use: those of ``CUDA_VISIBLE_DEVICES``, or all."""

    def __init__(self) -> None:
        self._nvml: Any = _library()
        self._handles: list[tuple[int, Any]] = []
        if self._nvml is not None:
            count = self._nvml.nvmlDeviceGetCount()
            handles = [self._nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
            self._handles = [
                (index, handle)
                for index, handle in enumerate(handles)
                if self._is_ours(index, handle)
            ]

    def read(self, seconds: float = 0.0) -> Iterator[tuple[str, float]]:
        """Yield what each of them uses now; what its model or driver cannot tell is left out."""
        for index, handle in self._handles:
            name = f"gpu{index}"
            with contextlib.suppress(self._nvml.NVMLError):
                yield f"{name}_percent", self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu
            with contextlib.suppress(self._nvml.NVMLError):
                memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
                yield f"{name}_memory_percent", 100 * memory.used / memory.total
                yield f"{name}_memory_used_mb", memory.used / _MB
            with contextlib.suppress(self._nvml.NVMLError):
                sensor = self._nvml.NVML_TEMPERATURE_GPU
                yield f"{name}_celsius", self._nvml.nvmlDeviceGetTemperature(handle, sensor)
            with contextlib.suppress(self._nvml.NVMLError):
                yield f"{name}_watts", self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000

    def close(self) -> None:
        """Let go of the driver."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
            self._nvml, self._handles = None, []

    def _is_ours(self, index: int, handle: Any) -> bool:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return True
        known = [word.strip() for word in visible.split(",")]
        uuid = self._nvml.nvmlDeviceGetUUID(handle)
        return str(index) in known or any(word and uuid.startswith(word) for word in known)


def _library() -> Any:
    """Return NVIDIA's library, begun; None without a GPU, its driver, or the package."""
    if sys.platform == "linux" and not _DRIVER.exists() and not Path("/dev/dxg").exists():
        return None
    try:
        import pynvml
    except ImportError:
        if _DRIVER.exists():
            log.warning(
                "the GPUs are left out of the system metrics; this installs what reads them:  "
                "python -m pip install 'tracelet[gpu]'"
            )
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.info("the GPUs are left out of the system metrics: %s", error)
        return None
    return pynvml
