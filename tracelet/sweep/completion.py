"""Which jobs have ended, as they do: those that tell, and those that have to be asked."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

_POLL_SECONDS = (0.05, 1.0)
"""Shortest and longest pause between two looks at jobs that do not tell when they are done."""


class Jobs:
    """Jobs of an executor: futures, which tell, or others with ``done()``, such as submitit's.

    Args:
        submit: gives a place's job to the executor.
    """

    def __init__(self, submit: Callable[[int], Any]) -> None:
        self._submit = submit
        self._told: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.jobs: dict[int, Any] = {}
        self._asked: dict[int, Any] = {}
        self._left = 0

    def submit(self, place: int) -> None:
        """Submit the job of a place, for the first time or again."""
        job = self.jobs[place] = self._submit(place)
        self._left += 1
        if isinstance(job, Future):
            job.add_done_callback(functools.partial(self._tell, place))
        else:
            self._asked[place] = job

    def ended(self) -> Iterator[tuple[int, Any]]:
        """Yield each job when it has ended, until there is none left."""
        pause = _POLL_SECONDS[0]
        while self._left:
            done = [place for place, job in self._asked.items() if job.done()]
            for place in done:
                del self._asked[place]
                self._told.put(place)
            pause = _POLL_SECONDS[0] if done else min(pause * 1.5, _POLL_SECONDS[1])
            try:
                place = self._told.get(timeout=pause if self._asked else 1.0)
            except queue.Empty:
                continue
            self._left -= 1
            yield place, self.jobs[place]

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for job in self.jobs.values():
            job.cancel()

    def _tell(self, place: int, _: Future[Any]) -> None:
        self._told.put(place)
