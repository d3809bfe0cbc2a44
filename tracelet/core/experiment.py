"""The experiment: the user's handle of one run. What it accepts, it has normalised and journaled.

Promises:

- A call that returns has put what it logged into the journal, where the death of the process, of a
  backend or of the courier does not reach it. No call waits for a backend, but ``flush`` and
  ``stop``.
- A call that raises has written nothing.
- Values, iterations and order are the same in every backend; what one cannot hold is reported.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import msgspec

from tracelet.core.content_calls import ContentCalls
from tracelet.core.metric_calls import MetricCalls
from tracelet.core.names import name_of
from tracelet.core.parameter_calls import foreign_params
from tracelet.core.parameters import Parameters
from tracelet.errors import NotRunningError
from tracelet.records import RunInfo, RunLink, Status
from tracelet.redaction import Redactor
from tracelet.settings import ExperimentConfig, Settings, resolve

if TYPE_CHECKING:
    from tracelet.backends.base import Backend
    from tracelet.core.artifacts import PathLike
    from tracelet.core.capturing import Capture
    from tracelet.core.session import Session
    from tracelet.courier.report import DeliveryReport

__all__ = ["Experiment", "ExperimentConfig"]


class Experiment(MetricCalls, ContentCalls):
    """One run being logged.

    ``tracelet.start_logging`` makes and starts one; used directly, call :meth:`start`, or use it
    as a context manager.

    Args:
        name: the run's name; runs may share it.
        config: an :class:`ExperimentConfig`, a mapping of settings, or the path of a file of them.
        backend: a backend's name, ``"module:Class"``, a class, an instance, or a list of such.
        resume: a run id to go on with, or True for the latest run of this name.
        run_id: the id of a new run, unless one is to be made up.
        tags, params: logged at the start.
        settings: any other setting of :class:`ExperimentConfig`, such as ``project``.

    Raises:
        SettingsError: for a setting that is unknown or of the wrong type.
    """

    def __init__(
        self,
        name: str | None = None,
        config: ExperimentConfig | Mapping[str, Any] | PathLike | None = None,
        backend: Any = None,
        *,
        resume: str | bool | None = None,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Any = None,
        **settings: Any,
    ) -> None:
        self._set_up(
            resolve(config, name=name, backend=backend, **settings), resume, run_id, tags, params
        )

    @classmethod
    def _of(cls, settings: Settings, *first: Any) -> Self:
        """Return an experiment with the settings that were decided for another one."""
        exp = cls.__new__(cls)
        exp._set_up(settings, *first)  # noqa: SLF001 - of this class
        return exp

    def _set_up(
        self,
        settings: Settings,
        resume: str | bool | None = None,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Any = None,
    ) -> None:
        super().__init__()
        self.settings: Settings = settings
        self._resume = resume
        self._wanted_id = run_id
        self._first_tags = {**settings.tags, **self._given_tags(tags)}
        self._first_params = params
        self._session: Session | None = None
        self._capture: Capture | None = None
        self._run: RunInfo | None = None
        self._status: Status | None = None
        self._report: DeliveryReport | None = None
        self._redactor = Redactor.of(self.settings.redact)
        self._params = Parameters(
            self._write,
            policy=self.settings.on_param_conflict,
            redactor=self._redactor,
            foreign=foreign_params,
        )
        self._append: Any = self._not_running
        self._stops: Callable[[], bool] | None = None

    def start(self) -> Self:
        """Start the run; harmless if it runs. A run that was stopped is resumed.

        Raises:
            UnknownBackendError: a backend is not known, or not installed.
            RunNotFoundError: there is no run to resume.
        """
        if not self.is_running:
            from tracelet.core import lifetime  # the courier's side; import tracelet stays cheap

            lifetime.start(self)
        return self

    def stop(
        self,
        status: Status | None = None,
        *,
        timeout: float | None = None,
        wait: bool = True,
    ) -> DeliveryReport:
        """End the run, and wait until its backends have everything.

        Args:
            status: ``finished``, ``failed`` or ``killed``; None: ``finished``, or as the exception
                says that is being handled while this is called, as in a ``finally`` block; or, in
                a function that is called at exit, as the program has ended.
            timeout: seconds to wait for the backends; None: the setting ``drain_timeout``. After
                that the courier is left running, and delivers what is left.
            wait: False returns at once.

        Returns:
            What became of everything that was logged.

        Raises:
            NotRunningError: the run is not running.
            DeliveryError: with ``strict=True``, something was not delivered.
        """
        self._check_running()
        return self._stop(status, timeout=timeout, wait=wait)

    def should_stop(self) -> bool:
        """Whether the run is not worth going on with: then end the training.

        A search asks its pruner, with the metrics that were logged so far; a run that is no trial
        of one is never stopped.
        """
        return self._stops is not None and self._stops()

    def stop_when(self, asked: Callable[[], bool] | None) -> None:
        """Set what :meth:`should_stop` asks; None: nothing."""
        self._stops = asked

    def flush(self, timeout: float = 10.0) -> bool:
        """Sync the journal to the disk and wait for the backends; connected objects are read again.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether every healthy backend has everything that was logged before the call.
        """
        self._check_running()
        with self._connections.read_again():
            return self._session is None or self._session.flush(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self.is_running:
            from tracelet.core.endings import ending_of

            status, reason = ending_of(error, self._redactor)
            self._stop(status, reason=reason, raises=error is None)

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process it is what it is here: to be started, a handle of the run, or over.
        if self._status is None:
            first = (self._resume, self._wanted_id, self._first_tags, self._first_params)
            return (self._of, (self.settings, *first))
        from tracelet.core import lifetime

        # It delivers nothing there: backends that are objects need not be such as can be pickled.
        names = tuple(one for one in self.settings.backend if isinstance(one, str))
        settings = msgspec.structs.replace(self.settings, backend=names)
        if self.is_running:
            return (lifetime.attach, (str(self.dir) if self.dir else None, settings))
        state = (self._run, self._status, self._report, self.params.flat())
        return (lifetime.ended, (settings, *state))

    def __repr__(self) -> str:
        return f"<Experiment {self.name!r} run_id={self.run_id!r} {self.status}>"

    @property
    def is_running(self) -> bool:
        """Whether calls are accepted."""
        return bool(self._append != self._not_running)

    @property
    def owns_run(self) -> bool:
        """Whether this process began the run; its child processes only add to it."""
        return self._session is not None and self._session.owner and self._session.is_ours

    @property
    def run_id(self) -> str | None:
        """The run's id, unique in its project; None before the start."""
        return self._run.run_id if self._run is not None else None

    @property
    def name(self) -> str:
        """The run's name."""
        return self._run.name if self._run is not None else name_of(self.settings)

    @property
    def project(self) -> str:
        """The project of the run."""
        return self._run.project if self._run is not None else self.settings.project

    @property
    def dir(self) -> Path | None:
        """The run's directory; None before the start, and for a rank that writes nothing."""
        if self._session is not None:
            return self._session.run_dir.path
        has_ended = self._status not in (None, "running")
        return Path(self._run.dir) if has_ended and self._run is not None else None

    @property
    def status(self) -> Status | None:
        """``running``, or the ending; None before the start."""
        return self._status

    @property
    def links(self) -> dict[str, RunLink]:
        """Where the run is in each backend that has opened it by now."""
        return self._session.links() if self._session is not None else {}

    @property
    def report(self) -> DeliveryReport | None:
        """What became of everything, once the run was stopped."""
        return self._report

    def backend(self, name: str) -> Backend | None:
        """Return a backend's live object; None if it lives in another process.

        Raises:
            UnknownBackendError: the run has no backend of that name.
            NotRunningError: the run was never started.
        """
        if self._status is None:
            self._not_running()
        return self._session.backend(name) if self._session is not None else None

    def _stop(self, status: Status | None, **how: Any) -> DeliveryReport:
        from tracelet.core import lifetime

        try:
            with self._connections.read_again():
                return lifetime.stop(self, status, **how)
        finally:
            if not self.is_running:
                self._connections.end()

    def _check_running(self) -> None:
        if not self.is_running:
            self._not_running()

    def _not_running(self, *_: Any) -> NoReturn:
        state = "was stopped" if self._status is not None else "is not started"
        raise NotRunningError(
            f"the experiment {self.name!r} {state}; start_logging() begins a new run, "
            f"start() goes on with this one"
        )
