"""The call that runs a sweep; what it needs is imported when it is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from tracelet.errors import InvalidValueError, ValueTypeError
from tracelet.sweep.configuration import Configuration
from tracelet.sweep.factors import Product
from tracelet.sweep.given import whole_number
from tracelet.sweep.saving import saved
from tracelet.sweep.targets import Target

if TYPE_CHECKING:
    from tracelet.sweep.results import Results


class RunCalls(ABC):
    """What a sweep can do beside being described."""

    _product: Product
    _target: Target

    @abstractmethod
    def __iter__(self) -> Iterator[Configuration]: ...

    def run(
        self,
        train: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        project: str | None = None,
        backend: Any = None,
        executor: Any = None,
        max_workers: int | None = None,
        on_error: Literal["collect", "raise"] = "collect",
        retry_failed: bool = False,
        config: Any = None,
        **settings: Any,
    ) -> Results:
        """Call a training with every configuration, each as a run of its own, in parallel.

        The runs share a group, and inside each ``tracelet.get_active_experiment()`` is its run,
        which has the configuration as its parameters. What becomes of each configuration is kept
        in the sweep's directory: the same call runs only what is not done yet, however the last
        one ended.

        Args:
            train: called as ``train(**configuration)``; or with the configuration as its one
                argument, if that is typed as a dict, a dataclass or a pydantic model. None: the
                target. With a class as the target, its attributes are bound meanwhile.
            name: of the sweep and the group of its runs; None: the training's name.
            project: of the runs.
            backend: of the runs, as for ``start_logging``.
            executor: any ``concurrent.futures.Executor``, or one of submitit's; it is not shut
                down. None: processes of this machine, started anew.
            max_workers: how many of these at once; None: as many as there are processors.
            on_error: ``collect`` keeps a failure with its result; ``raise`` stops at the first
                and raises it, when those that run have ended.
            retry_failed: run those again that have failed before.
            config: settings of the runs, as for ``start_logging``.
            settings: any other setting of the runs, such as ``dir`` or ``tags``.

        Returns:
            The results, in the order of the configurations.

        Raises:
            InvalidValueError: a configuration does not fit, or there are too many.
            ValueTypeError: the training cannot be sent to another process.
            SweepBusyError: another process runs a sweep of this name.
            SettingsError: a setting is unknown or has the wrong type.
            UnknownBackendError: a backend is not known, or not installed.
        """
        from tracelet.sweep.plan import MOST, Plan
        from tracelet.sweep.runner import execute

        chosen = self._target.value if train is None else train
        if not callable(chosen) or (train is None and isinstance(chosen, type)):
            raise ValueTypeError(f"run() needs a training to call, not {chosen!r:.80}")
        if on_error not in ("collect", "raise"):
            raise InvalidValueError(f"on_error is 'collect' or 'raise', not {on_error!r}")
        if max_workers is not None:
            max_workers = whole_number("max_workers is the number of processes", max_workers)
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise ValueTypeError(f"executor= takes an object with submit(), not {executor!r:.80}")
        if self._product.size > MOST:
            raise InvalidValueError(
                f"a sweep of {self._product.size:,} configurations is not run: sample(n) draws some"
            )
        try:
            factors = saved(self._product)
        except ValueTypeError:  # it runs all the same, but only its own script can resume it
            factors = None
        given = {"project": project, "backend": backend, "config": config, **settings}
        plan = Plan(
            list(self),
            target=self._target,
            train=chosen,
            name=name,
            factors=factors,
            settings=given,
        )
        return execute(
            plan,
            executor,
            max_workers=max_workers,
            on_error=on_error,
            retry_failed=retry_failed,
        )
