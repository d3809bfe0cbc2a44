"""What the machine and a program's processes use, read with psutil; what is hidden is left out.

Nothing here changes what a program sees of psutil: the running totals that rates are made of are
kept here, not in psutil's own caches.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tracelet.courier.gpus import Gpus

log = logging.getLogger(__name__)

_MB = 1e6
_LOOPBACK = ("lo", "lo0", "Loopback")


class Readings:
    """Reads, each time it is asked, what was used since it was asked last.

    Args:
        pid: the process whose use, together with that of its descendants, is told apart.
        disk: a path on the disk whose filling is read.
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
        """Return what can be read now, by name; rates are means since the last time."""
        now = time.monotonic()
        seconds, self._at = now - self._at, now
        found: dict[str, float] = {}
        for read in (self._machine, self._processes, self._drives, self._network, self._gpus.read):
            found.update(self._of(read, seconds))
        return found

    def close(self) -> None:
        """Let go of the GPUs' driver."""
        self._gpus.close()

    def _of(
        self, read: Callable[[float], Iterator[tuple[str, float]]], seconds: float
    ) -> dict[str, float]:
        found: dict[str, float] = {}
        try:
            found.update(read(seconds))
        except Exception as error:  # noqa: BLE001 - a system that hides one thing shows others
            if read.__name__ not in self._failed:
                self._failed.add(read.__name__)
                log.warning(
                    "system metrics: %s cannot be read: %s", read.__name__.strip("_"), error
                )
        return found

    def _since(self, name: str, total: float) -> float:
        """Return how much a running total has grown; nothing at first, or if it began anew."""
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
        """Yield the process and its descendants, without this courier and what it runs."""
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
