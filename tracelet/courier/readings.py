"""Reads the use of the machine, of a program's processes and of its GPUs.

The readings come from psutil and, on machines with an NVIDIA GPU, from nvidia-ml-py. A value that
the system does not show is left out. Rates are computed from totals that are kept here, and not in
psutil's caches, which the program may use itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

log = logging.getLogger(__name__)

_MB = 1e6
_LOOPBACK = ("lo", "lo0")
_DRIVER = Path("/proc/driver/nvidia/version")


class Readings:
    """Takes readings; rates are since the last reading.

    Args:
        pid: the process to read; its descendants are added.
        disk: a path on the disk to read.
    """

    def __init__(self, pid: int, disk: Path) -> None:
        self._pid = pid
        self._disk = disk
        self._gpus = Gpus()
        self._failed: set[str] = set()
        self._at = 0.0
        self._totals: dict[str, float] = {}
        self._spent: dict[tuple[int, float], float] = {}
        self.take()

    def take(self) -> dict[str, float]:
        """Return the readings by name; rates are means since the last call."""
        now = time.monotonic()
        seconds, self._at = now - self._at, now
        found: dict[str, float] = {}
        for read in (self._machine, self._processes, self._drives, self._network, self._gpus.read):
            found.update(self._try_read(read, seconds))
        return found

    def close(self) -> None:
        """Release the GPUs' driver."""
        self._gpus.close()

    def _try_read(
        self, read: Callable[[float], Iterator[tuple[str, float]]], seconds: float
    ) -> dict[str, float]:
        found: dict[str, float] = {}
        try:
            found.update(read(seconds))
        except Exception as error:  # noqa: BLE001 - the other readings may work
            if read.__name__ not in self._failed:
                self._failed.add(read.__name__)
                log.warning(
                    "system metrics: %s cannot be read: %s", read.__name__.strip("_"), error
                )
        return found

    def _since(self, name: str, total: float) -> float:
        """Return how much a total has grown since the last call; 0 at first, or if it was reset."""
        before = self._totals.get(name, total)
        self._totals[name] = total
        return max(0.0, total - before)

    def _machine(self, seconds: float) -> Iterator[tuple[str, float]]:
        times = psutil.cpu_times()._asdict()
        for counted_twice in ("guest", "guest_nice"):  # in user and nice
            times.pop(counted_twice, None)
        every = self._since("cpu", sum(times.values()))
        idle = self._since("idle", times["idle"] + times.get("iowait", 0.0))
        if every:
            yield "cpu_percent", 100 * max(0.0, every - idle) / every
        memory = psutil.virtual_memory()
        yield "memory_percent", memory.percent
        yield "memory_used_mb", (memory.total - memory.available) / _MB

    def _processes(self, seconds: float) -> Iterator[tuple[str, float]]:
        spent: dict[tuple[int, float], float] = {}
        grown = resident = 0.0
        for process in self._family():
            try:
                key = process.pid, process.create_time()
                times = process.cpu_times()
                resident += process.memory_info().rss
            except psutil.Error:  # it has just ended
                continue
            spent[key] = times.user + times.system
            grown += spent[key] - self._spent.get(key, 0.0 if self._spent else spent[key])
        self._spent = spent
        if spent:
            yield "process_cpu_percent", 100 * grown / seconds
            yield "process_memory_mb", resident / _MB
            yield "process_count", len(spent)

    def _family(self) -> Iterator[psutil.Process]:
        """Yield the process and its descendants, without this courier and its descendants."""
        try:
            first = psutil.Process(self._pid)
            children = first.children(recursive=True)
        except psutil.Error:
            return
        yield first
        ours = {os.getpid()} - {self._pid}
        for child in children:  # parents come before their children
            try:
                if child.pid in ours or child.ppid() in ours:
                    ours.add(child.pid)
                    continue
            except psutil.Error:
                continue
            yield child

    def _drives(self, seconds: float) -> Iterator[tuple[str, float]]:
        usage = psutil.disk_usage(str(self._disk))
        yield "disk_percent", usage.percent
        yield "disk_free_mb", usage.free / _MB
        if (moved := psutil.disk_io_counters(nowrap=False)) is not None:
            yield "disk_read_mb_per_s", self._since("read", moved.read_bytes) / _MB / seconds
            yield "disk_write_mb_per_s", self._since("write", moved.write_bytes) / _MB / seconds

    def _network(self, seconds: float) -> Iterator[tuple[str, float]]:
        cards = psutil.net_io_counters(pernic=True, nowrap=False)
        outside = [card for name, card in cards.items() if not name.startswith(_LOOPBACK)]
        received = self._since("received", sum(card.bytes_recv for card in outside))
        sent = self._since("sent", sum(card.bytes_sent for card in outside))
        yield "network_received_mb_per_s", received / _MB / seconds
        yield "network_sent_mb_per_s", sent / _MB / seconds


class Gpus:
    """The GPUs that the run may use: those of ``CUDA_VISIBLE_DEVICES``, or all."""

    def __init__(self) -> None:
        self._nvml: Any = _nvidia_library()
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
        """Yield the use of each GPU; values that its model or driver does not have are left out."""
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
        """Release the driver."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
            self._nvml, self._handles = None, []

    def _is_ours(self, index: int, handle: Any) -> bool:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return True
        ids = [part.strip() for part in visible.split(",")]
        uuid = self._nvml.nvmlDeviceGetUUID(handle)
        return str(index) in ids or any(one and uuid.startswith(one) for one in ids)


def _nvidia_library() -> Any:
    """Return NVIDIA's library, initialised; None without a GPU, its driver, or the package."""
    if sys.platform == "linux" and not _DRIVER.exists() and not Path("/dev/dxg").exists():
        return None
    try:
        import pynvml  # an optional library
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
