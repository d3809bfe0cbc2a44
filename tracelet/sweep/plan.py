"""What is to be run: checked as a whole, before the first of a thousand runs begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracelet.capture.command_line import command_line, guess_secret_values, redacted
from tracelet.core.experiment import Experiment
from tracelet.errors import SettingsError, ValueTypeError
from tracelet.journal.process import this_process
from tracelet.redaction import Redactor
from tracelet.settings import Settings
from tracelet.sweep.calling import check_call, check_whole
from tracelet.sweep.carrying import carried
from tracelet.sweep.configuration import Configuration
from tracelet.sweep.encoding import encoded
from tracelet.sweep.ledger import About, Entry, SweepDir, now
from tracelet.sweep.script import Script
from tracelet.sweep.targets import Target
from tracelet.sweep.template import fresh
from tracelet.sweep.validation import check_configuration
from tracelet.sweep.work import Task

MOST = 1_000_000
"""More configurations are not run: nobody would see the end."""


class Plan:
    """A sweep that is to be run.

    Args:
        configurations: all of them.
        target: what they are for.
        train: what to call with each.
        name: of the sweep; None: that of the training.
        factors: the sweep as it is saved, or None.
        settings: of the runs, as arguments of an experiment.

    Raises:
        InvalidValueError: a configuration does not fit.
        SettingsError: a setting is unknown or wrong.
        UnknownBackendError: a backend is not known, or not installed.
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        *,
        target: Target,
        train: Callable[..., Any],
        name: str | None,
        factors: list[Any] | None,
        settings: Mapping[str, Any],
    ) -> None:
        self.configurations = configurations
        self.target = target
        self.train = train
        self.name = name or _name_of(train)
        self.factors = factors
        for config in configurations:
            check_configuration(target, config, config.index)
            check_call(train, target, config)
            check_whole(train, config, config.index)
        if refused := sorted({"params", "resume", "run_id"} & set(settings)):
            raise SettingsError(
                f"run() takes no {refused[0]}=: each configuration is a run of its own, with its "
                f"own parameters"
            )
        trial = Experiment(self.name, **settings)
        trial.check_start()
        self.tags = settings.get("tags") or {}
        self.settings: Settings = trial.settings
        self.group = self.settings.group or self.name
        self.directory = SweepDir.of(self.settings.dir, self.settings.project, self.name)
        seen: Counter[str] = Counter()
        self.keys: list[str] = []
        for config in configurations:
            identity = config.id
            self.keys.append(f"{identity}-{seen[identity]}")
            seen[identity] += 1

    def check_carried(self) -> None:
        """Check that everything can be sent to another process.

        Raises:
            ValueTypeError: it cannot.
        """
        bound = self.target.value if self.target.is_class else None
        configs = (
            (f"configuration {config.index}", dict(config)) for config in self.configurations
        )
        for label, what in (
            (self.target.label, bound),
            (_name_of(self.train), self.train),
            *configs,
        ):
            try:
                carried(what)
            except Exception as error:  # pickling is foreign code
                raise ValueTypeError(
                    f"{label} cannot be sent to a worker process ({error}): define it at the top "
                    f"of a module, install cloudpickle, or run the sweep in threads with "
                    f"executor=concurrent.futures.ThreadPoolExecutor()"
                ) from error

    def task(self, place: int, attempt: int) -> Task:
        """Return what a worker needs to run one configuration."""
        return self.task_of(
            self.configurations[place], self.keys[place], attempt, count=len(self.configurations)
        )

    def task_of(
        self,
        config: Configuration,
        key: str,
        attempt: int = 1,
        *,
        count: int,
        stops: Callable[[Experiment], Callable[[], bool]] | None = None,
    ) -> Task:
        """Return what a worker needs to run a configuration that is, or is not, one of these."""
        tags = {
            **self.tags,
            "sweep": self.name,
            "sweep.index": str(config.index),
            "sweep.config": config.id,
        }
        if config.repeat:
            tags["sweep.repeat"] = str(config.repeat)
        return Task(
            train=self.train,
            bound=self.target.value if self.target.is_class else None,
            config=fresh(dict(config)),
            key=key,
            index=config.index,
            attempt=attempt,
            name=f"{self.name}-{config.index:0{len(str(count - 1))}}",
            settings=as_config(self.settings, self.group),
            tags=tags,
            directory=str(self.directory.path),
            stops=stops,
        )

    def pending(self, place: int, attempt: int) -> Entry:
        """Return the line that a configuration begins with in the ledger."""
        return pending(self.configurations[place], self.keys[place], attempt)

    def about(self, workers: int | None) -> About:
        """Return what ``sweep.json`` says."""
        module, name = (
            getattr(self.train, "__module__", None),
            getattr(self.train, "__qualname__", ""),
        )
        importable = module not in (None, "__main__", "__mp_main__") and "<" not in name
        script = self.train if isinstance(self.train, Script) else None
        backends = self.settings.backend
        redactor, argv = Redactor(), command_line()
        factors = self.factors
        if factors is not None and redactor.value("factors", factors) != factors:
            factors = None
        return About(
            name=self.name,
            project=self.settings.project,
            group=self.group,
            count=len(self.configurations),
            started=now(),
            factors=factors,
            train=f"{module}:{name}" if importable else None,
            command=None if script is None else [script.path, *script.arguments],
            directory=None if script is None else script.directory,
            backends=list(backends) if all(isinstance(one, str) for one in backends) else None,
            argv=redacted(argv, redactor, guess_secret_values(argv, redactor)),
            process=dict(this_process()),
            workers=workers,
        )


def pending(config: Configuration, key: str, attempt: int) -> Entry:
    """Return the line that a configuration begins with in the ledger."""
    shown: dict[str, Any] = Redactor().value("config", _shown(config))
    return Entry(key, "pending", attempt, now(), config.index, shown)


def as_config(settings: Settings, group: str) -> dict[str, Any]:
    """Return settings as they are given to a worker, so that it decides none anew."""
    given = {
        name: getattr(settings, name)
        for name in settings.__struct_fields__
        if name not in ("name", "origins")
    }
    interval = settings.system_metrics
    return {**given, "group": group, "system_metrics": False if interval is None else interval}


def _name_of(train: Any) -> str:
    while (inner := getattr(train, "func", None)) is not None:  # of a partial
        train = inner
    return str(getattr(train, "__name__", None) or getattr(train, "name", None) or "sweep")


def _shown(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as the ledger shows it; what no file can hold as its ``repr``."""
    shown = {}
    for name, value in config.items():
        try:
            shown[name] = encoded(value, name)
        except ValueTypeError:
            shown[name] = f"{value!r:.200}"
    return shown
