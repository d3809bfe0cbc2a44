"""Calls a backend, and waits after a failure; the one place that meets foreign errors."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tracelet.backends.base import Backend
from tracelet.courier.answers import WrongAnswerError
from tracelet.courier.cursor import Health
from tracelet.courier.error_texts import full_text, one_line
from tracelet.courier.retry import DEGRADED_AFTER, backoff
from tracelet.errors import CheckpointLostError, TransientError

log = logging.getLogger(__name__)

LINGER_SECONDS = 600.0
"""How long after the end of the run a backend that keeps failing is tried before it is left."""

_OF_THE_RECORD = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)

_Result = TypeVar("_Result")

Failure = (Exception, SystemExit)
"""What can come out of a foreign call: SDKs call ``sys.exit``, too."""


class Interrupted(Exception):  # noqa: N818 - not an error
    """The delivery was asked to stop, or gave up."""


def may_pass(error: BaseException, backend: Backend | None = None) -> bool:
    """Tell a failure that a later try may cure from one that is the fault of what was sent."""
    if backend is not None and isinstance(error, Exception):
        answer = backend.is_transient(error)
        if answer is not None:
            return answer
    if isinstance(error, OSError) and not isinstance(error, TransientError):
        return not (isinstance(error, _OF_THE_RECORD) or error.errno == errno.ENAMETOOLONG)
    return isinstance(error, TransientError | SystemExit)


class Attempts:
    """The calls to one backend.

    Args:
        name: the backend's, for the log.
        bound: seconds that a call may take.
        wait: waits some seconds, or less if there may be news; returns True to end the delivery.
        watch: told the time bound in seconds when a call begins, and None when it has returned.
        run_is_over: whether the run has ended, so that a backend that keeps failing may be left.
        report: told health, last error and failures in a row when they change.
        linger: see :data:`LINGER_SECONDS`.
        backend: returns the backend, once there is one: it knows its SDK's errors.
    """

    def __init__(
        self,
        name: str,
        bound: float,
        *,
        wait: Callable[[float], bool],
        watch: Callable[[float | None], None],
        run_is_over: Callable[[], bool],
        report: Callable[[Health, str | None, int], None],
        linger: float,
        backend: Callable[[], Backend | None] = lambda: None,
    ) -> None:
        self._name = name
        self._bound = bound
        self._wait = wait
        self._watch = watch
        self._run_is_over = run_is_over
        self._report = report
        self._linger = linger
        self._backend = backend
        self._failures = 0
        self._failing_since = 0.0

    def once(self, call: Callable[[], _Result], *, extra: float = 0.0) -> _Result:
        """Call once; whatever it raises passes through.

        Args:
            call: the call.
            extra: seconds that this call may take beyond the time bound.
        """
        self._watch(self._bound + extra)
        try:
            result = call()
        except Failure:
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

    def until_it_works(self, call: Callable[[], _Result], *, blame: bool = False) -> _Result:
        """Call, and after a failure wait and call again.

        Args:
            call: the call.
            blame: let failures pass through that no later try can cure.

        Raises:
            Interrupted: asked to stop while waiting, or the run is over and nothing helps.
            CheckpointLostError: the backend has lost what it was given.
        """
        while True:
            try:
                return self.once(call)
            except (CheckpointLostError, WrongAnswerError):
                raise
            except Failure as error:
                if blame and not self.may_pass(error):
                    raise
                self.failed(error)

    def may_pass(self, error: BaseException) -> bool:
        """Tell whether a later try may cure a failure, which the backend may know."""
        return may_pass(error, self._backend())

    def failed(self, error: BaseException) -> None:
        """Note a failure and wait for the time to try again.

        Raises:
            Interrupted: asked to stop meanwhile, or the run is over and nothing helps.
        """
        now = time.monotonic()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        degraded = self._failures >= DEGRADED_AFTER
        said = one_line(error)
        if self._failures == 1:
            log.warning("%s fails, and is tried again: %s", self._name, full_text(error))
        else:
            log.debug("%s fails, and is tried again: %s", self._name, said)
        self._report("degraded" if degraded else "ok", said, self._failures)
        if now - self._failing_since > self._linger and self._run_is_over():
            self._report("gave up", said, self._failures)
            raise Interrupted
        self.pause(backoff(self._failures))

    def pause(self, seconds: float) -> None:
        """Wait, whatever news there is: whoever flushes must not make us knock more often.

        Only the end of the run ends the wait, once: somebody may be waiting for the last records.

        Raises:
            Interrupted: asked to stop meanwhile.
        """
        was_over = self._run_is_over()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._wait(left):
                raise Interrupted
            if not was_over and self._run_is_over():
                return
