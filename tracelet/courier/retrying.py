"""Calls a backend, and handles the errors of its calls.

- After a transient error the call is made again, with backoff, as long as the run lives.
- A bug of the adapter or its SDK is not the fault of a record: nothing is rejected, the backend is
  **broken**, and the records stay in the journal until it is mended. While the run lives the call
  is made again; after its end the delivery gives up at once, because a process does not load a
  mended module again. ``tracelet sync`` starts a new one.
- Any other error is permanent: the batch has a bad record. The batch is split until that record is
  found, and the record is split, too: of many parameters only the bad one is rejected.

:meth:`Attempts.is_transient` decides first, then :func:`is_bug` and, for errors that a record may
cause, too, :meth:`Attempts.refused`.
"""

from __future__ import annotations

import errno
import logging
import random
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from tracelet.courier.calls import (
    Batch,
    DamagedContentError,
    InvalidReturnError,
    SourceMissingError,
    split_record,
)
from tracelet.courier.cursor import Health
from tracelet.courier.error_texts import full_text, one_line
from tracelet.courier.progress import Rejection
from tracelet.errors import CheckpointLostError, TransientError
from tracelet.records import Artifact, Deliverable
from tracelet.wire import to_wire

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
DEGRADED_AFTER = 3
"""Failures in a row after which a backend is degraded."""
LINGER_SECONDS = 600.0
"""How long after the end of the run a failing backend is tried before the delivery gives up."""
SAME_REFUSALS = 5
"""Records in a row, none accepted between, after which the same refusal is not about a record."""
_BUGS = (AttributeError, NameError, ImportError)
_PERHAPS_BUGS = (TypeError, LookupError, ArithmeticError, AssertionError, NotImplementedError,
                 RecursionError)  # fmt: skip
"""A value of a record may cause them, too. Errors of other types are reasons of the tracker."""
_WRONG_CALL = re.compile(
    r"missing \d+ required |unexpected keyword argument|takes .* arguments?\b.* given|"
    r"(object is|are) not (callable|subscriptable|iterable)|"
    r"Can't instantiate abstract class|multiple values for"
)
"""What Python says of a call that is wrong whatever its values are."""
SLOWEST_UPLOAD = 1_000_000
"""Bytes a second. The time bound of an artifact grows with its size."""

BACKEND_ERRORS = (Exception, SystemExit)
"""The errors of a backend's call: SDKs call ``sys.exit``, too."""
_FILE_ERRORS = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)

_Result = TypeVar("_Result")


class Interrupted(Exception):  # noqa: N818 - not an error
    """The delivery was stopped, or gave up."""


def backoff(failures: int) -> float:
    """Return the seconds to wait after the ``failures``-th failure in a row.

    The wait doubles from 1 s to 60 s. Half of it is random, so that not all runs try at once.
    """
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest / 2 + random.uniform(0, longest / 2)


def is_transient_by_type(error: BaseException) -> bool:
    """Return whether an error is transient by its type, without asking the backend.

    Transient are errors of the system, e.g. of the network, unless they are about one file;
    ``TransientError``; and ``sys.exit``.
    """
    if isinstance(error, OSError) and not isinstance(error, TransientError):
        return not (isinstance(error, _FILE_ERRORS) or error.errno == errno.ENAMETOOLONG)
    return isinstance(error, TransientError | SystemExit)


def is_bug(error: BaseException) -> bool:
    """Return whether an error is a bug of the adapter or its SDK, whatever the record."""
    return isinstance(error, _BUGS) or (
        isinstance(error, TypeError) and _WRONG_CALL.search(one_line(error)) is not None
    )


class Attempts:
    """Makes the calls to one backend, and waits after those that fail.

    Args:
        name: the backend's name, for the log.
        time_bound: seconds that a call may take.
        ask_backend: the backend's ``is_transient``.
        wait: waits some seconds, or less if there may be new records; returns True to end the
            delivery.
        watch: called with the seconds that a call may take when it begins, with None when it has
            returned.
        run_is_over: returns whether the run has ended, so that the delivery may give up.
        report: called with health, last error and failures in a row when they change.
        linger: see :data:`LINGER_SECONDS`.
    """

    def __init__(
        self,
        name: str,
        time_bound: float,
        *,
        ask_backend: Callable[[Exception], bool | None],
        wait: Callable[[float], bool],
        watch: Callable[[float | None], None],
        run_is_over: Callable[[], bool],
        report: Callable[[Health, str | None, int], None],
        linger: float,
    ) -> None:
        self._name = name
        self._time_bound = time_bound
        self._ask_backend = ask_backend
        self._wait = wait
        self._watch = watch
        self._run_is_over = run_is_over
        self._report = report
        self._linger = linger
        self._failures = 0
        self._failing_since = 0.0
        self._refusals = 0  # in a row, none accepted between
        self._same_refusals = 0
        self._last_refusal = ""
        self._is_asking_broken = False
        self._retry_requested = threading.Event()

    def is_transient(self, error: BaseException) -> bool:
        """Return whether a later try may succeed after this error of a call.

        The backend's ``is_transient`` decides first: it recognises the errors of its SDK. If it
        returns None or raises, :func:`is_transient_by_type` decides.
        """
        answer = None
        if isinstance(error, Exception) and not isinstance(
            error, SourceMissingError | DamagedContentError
        ):
            try:
                answer = self._ask_backend(error)
            except BACKEND_ERRORS as reason:
                if not self._is_asking_broken:
                    self._is_asking_broken = True
                    log.warning("is_transient() of %s fails: %s", self._name, full_text(reason))
        return answer if isinstance(answer, bool) else is_transient_by_type(error)

    def once(
        self, call: Callable[[], _Result], *, extra: float = 0.0, limit: float | None = None
    ) -> _Result:
        """Call once; errors pass through.

        Args:
            call: the call.
            extra: the seconds that this call may take beyond the time bound.
            limit: the seconds after which the worker is killed; None: twice the time bound.
        """
        self._watch(2 * (self._time_bound + extra) if limit is None else limit)
        try:
            result = call()
        except BACKEND_ERRORS:
            raise
        except BaseException as error:
            if threading.current_thread() is threading.main_thread():  # it may be Ctrl-C
                raise
            raise RuntimeError(one_line(error)) from error
        finally:
            self._watch(None)
        if self._failures:
            log.info("%s works again after %d failures", self._name, self._failures)
            self._failures = 0
            self._report("ok", None, 0)
        return result

    def until_it_works(
        self,
        call: Callable[[], _Result],
        *,
        raise_permanent: bool = False,
        limit: float | None = None,
    ) -> _Result:
        """Call, and after a failure wait and call again.

        Args:
            call: the call.
            raise_permanent: raise errors that are not transient.
            limit: as for :meth:`once`.

        Raises:
            Interrupted: ``wait`` returned True, or the run has ended and the backend keeps failing.
            CheckpointLostError: the backend has lost its data.
            InvalidReturnError: the backend returned an invalid value.
        """
        while True:
            try:
                return self.once(call, limit=limit)
            except (CheckpointLostError, InvalidReturnError):
                raise
            except BACKEND_ERRORS as error:
                is_transient = self.is_transient(error)
                if not is_transient and is_bug(error):
                    self.wait_for_mending(error)
                elif raise_permanent and not is_transient:
                    raise
                else:
                    self.wait_after(error)

    @property
    def refuses_all(self) -> bool:
        """Whether the last records were all refused, none accepted between."""
        return self._refusals >= SAME_REFUSALS

    def accepted(self) -> None:
        """Note that the backend has taken a record."""
        if self.refuses_all:
            self._report("ok", None, 0)
        self._refusals = self._same_refusals = 0

    def refused(self, error: BaseException) -> bool:
        """Note that the backend refuses a record; return whether it refuses all for a bug."""
        message = one_line(error)
        self._same_refusals = self._same_refusals + 1 if message == self._last_refusal else 1
        self._last_refusal = message
        self._refusals += 1
        if self._refusals == SAME_REFUSALS:
            self._report("degraded", message, self._failures)
        return self._same_refusals >= SAME_REFUSALS and isinstance(error, _PERHAPS_BUGS)

    def wait_for_mending(self, error: BaseException) -> None:
        """Report a bug, and wait until it is time to try again.

        Raises:
            Interrupted: ``wait`` returned True, or the run has ended: a new process is needed.
        """
        self._failures += 1
        message = f"broken: {one_line(error)}; all records are kept: mend it, then: tracelet sync"
        if self._failures == 1:
            log.error("%s is broken, and gets its records once it is mended: %s",
                      self._name, full_text(error))  # fmt: skip
        self._report("broken", message, self._failures)
        if self._run_is_over():
            raise Interrupted
        self.pause(backoff(self._failures))

    def wait_after(self, error: BaseException) -> None:
        """Count and report a failure, and wait until it is time to try again.

        Raises:
            Interrupted: ``wait`` returned True, or the run has ended and the backend keeps failing.
        """
        now = time.monotonic()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        message = one_line(error)
        if self._failures == 1:
            log.warning("%s fails, and is tried again: %s", self._name, full_text(error))
        else:
            log.debug("%s fails, and is tried again: %s", self._name, message)
        health: Health = "degraded" if self._failures >= DEGRADED_AFTER else "ok"
        self._report(health, message, self._failures)
        if now - self._failing_since > self._linger and self._run_is_over():
            self._report("gave up", message, self._failures)
            raise Interrupted
        self.pause(backoff(self._failures))

    def retry_now(self) -> None:
        """End the present pause, or the next one; called by another thread, which ends the wait."""
        self._retry_requested.set()

    def pause(self, seconds: float) -> None:
        """Wait the full time, also when new records come.

        A request to retry ends the wait early. So does the end of the run, once: the program may
        wait for the last records.

        Raises:
            Interrupted: ``wait`` returned True.
        """
        was_over = self._run_is_over()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._wait(left):
                raise Interrupted
            if self._retry_requested.is_set():
                self._retry_requested.clear()
                return
            if not was_over and self._run_is_over():
                return


def deliver_batch(
    batch: Batch,
    send: Callable[[Batch], None],
    attempts: Attempts,
    *,
    before_waiting: Callable[[], None],
) -> list[Rejection]:
    """Deliver a batch to a backend; a bad record does not affect the others.

    Args:
        batch: the records, in order.
        send: calls the backend with records of the batch.
        attempts: makes the calls, and waits between them.
        before_waiting: called before each wait as long as the backend has taken nothing of this
            batch.

    Returns:
        The records that the backend has rejected.

    Raises:
        Interrupted: the delivery was stopped while it waited, or gave up.
        CheckpointLostError: the backend has lost its data.
    """
    rejections: list[Rejection] = []
    waiting = [batch]
    has_begun = False
    refused: list[tuple[Deliverable, int]] = []  # in a row, and the rejections before each
    while waiting:
        part = waiting.pop()
        size = part[0].size if isinstance(part[0], Artifact) else 0
        try:
            attempts.once(partial(send, part), extra=size / SLOWEST_UPLOAD)
        except CheckpointLostError:
            raise
        except BACKEND_ERRORS as error:
            if attempts.is_transient(error):
                waiting.append(part)
                if not has_begun:  # else the backend's checkpoint would be ahead of the cursor
                    before_waiting()
                attempts.wait_after(error)
            elif is_bug(error):
                waiting.append(part)
                if not has_begun:
                    before_waiting()
                attempts.wait_for_mending(error)
            elif len(part) > 1 and attempts.refuses_all:  # then each is called once
                waiting += [[record] for record in reversed(part)]
            elif len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                has_begun = True
                refused.append((part[0], len(rejections)))
                rejections += _reject(part[0], error, send, attempts)
                if attempts.refused(error):
                    del rejections[refused[0][1] :]
                    waiting += [[record] for record, _ in reversed(refused)]
                    refused.clear()
                    attempts.wait_for_mending(error)
        else:
            has_begun = True
            refused.clear()
            attempts.accepted()
    return rejections


def _reject(
    record: Deliverable, error: BaseException, send: Callable[[Batch], None], attempts: Attempts
) -> list[Rejection]:
    """Deliver the good parts of a bad record; return the rejection of the others, if any."""
    left = [(record, error)]
    if len(parts := split_record(record)) > 1:
        left = []
        for part in parts:
            try:
                attempts.until_it_works(partial(send, [part]), raise_permanent=True)
            except (Interrupted, CheckpointLostError):
                raise
            except BACKEND_ERRORS as reason:
                left.append((part, reason))
    lines = [_dead_letter(part, reason) for part, reason in left]
    return [Rejection(lines, left[-1][1])] if left else []


def _dead_letter(record: Deliverable, reason: BaseException) -> bytes:
    line = {"record": msgspec.to_builtins(record), "reason": one_line(reason)}
    return msgspec.json.encode(to_wire(line)) + b"\n"
