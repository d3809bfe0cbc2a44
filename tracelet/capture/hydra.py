"""Captures the configuration that hydra has composed, and its overrides; notices the end of a job.

While a job runs, ``HydraConfig`` has its configuration. It is read from there if the run begins
during the job, and when it is set there if the run has begun before. The end of a job, with what
it has raised, is noticed where hydra tells its callbacks: at the end of every job, whatever has
launched it, and before it begins the next one.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from tracelet.capture import jobs
from tracelet.capture.base import CaptureSource, Recorder, warn_on_failure
from tracelet.capture.names import wanted
from tracelet.capture.program import current_test
from tracelet.capture.tracebacks import wrapper_frame
from tracelet.hookspecs import hookimpl
from tracelet.redaction import Redactor
from tracelet.values.plain import resolve_config
from tracelet.wire import REDACTED

CONFIG = "OmegaConf"
SECTION = "Hydra"
OVERRIDES = "overrides"
_VARIABLE = re.compile(r"\$\{\s*(?:oc\.)?env:\s*(\w+)")
_PARSER = "hydra.core.override_parser.overrides_parser"


class _Composed(NamedTuple):
    """A configuration that hydra has composed, for a job or for ``hydra.compose``."""

    resolved: dict[str, Any]
    unresolved: dict[str, Any]
    overrides: list[str]
    test: str | None


class _Latest:
    composed: _Composed | None = None


_latest = _Latest()
_captures: list[HydraCapture] = []


class HydraCapture(CaptureSource):
    """The configuration object ``OmegaConf``, and the overrides in the section ``Hydra``."""

    name = "hydra"
    arguments = True

    def start(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._reported: _Composed | None = None
        _captures.append(self)
        config = _config_of_job()
        if config is not None:  # the job may have begun before tracelet was imported
            _note_composed(config)
            recorder.typed(SECTION, _typed(sys.argv[1:]))
        composed = _latest.composed
        if composed is not None and composed.test == current_test():
            self.report(composed)

    def stop(self) -> None:
        if self in _captures:
            _captures.remove(self)

    def take(self, composed: _Composed) -> None:
        """Report a configuration; hold it if the run has another one already."""
        is_first = self._reported is None and not self._recorder.holding
        if is_first or composed == self._reported:
            self.report(composed)
        else:
            self._recorder.hold(self.name, functools.partial(self._report_later, composed))

    def _report_later(self, composed: _Composed) -> list[str]:
        is_new = composed != self._reported
        self.report(composed)
        return [CONFIG] if is_new else []

    def report(self, composed: _Composed) -> None:
        """Report a configuration, unless it has not changed."""
        if composed == self._reported:
            return
        self._reported = composed
        redactor = Redactor.of(self._recorder.settings.redact)
        secrets = set(_of_variables(composed.unresolved, composed.resolved, redactor))
        composed = composed._replace(resolved=_without(secrets, composed.resolved))
        parts = {"resolved": composed.resolved, "unresolved": composed.unresolved}
        self._recorder.config(CONFIG, parts)
        if composed.overrides:
            self._recorder.params(SECTION, self._overrides(composed))

    def _overrides(self, composed: _Composed) -> dict[str, Any]:
        """Return each override's value in the configuration, by key, and the list of all overrides.

        An override that selects a config group, e.g. ``db=mysql``, has the name as its value.
        """
        parser = importlib.import_module(_PARSER).OverridesParser.create()
        values: dict[str, Any] = {}
        texts: dict[str, str] = {}
        for override in parser.parse_overrides(composed.overrides):
            key = override.key_or_group
            if override.package is not None:
                key = f"{key}@{override.package}"
            texts[key] = override.input_line
            if not override.is_delete():
                given = override.value()
                found = _found(composed.resolved, key, given)
                values[key] = given if isinstance(found, Mapping) and given != found else found
        chosen = self._recorder.settings.capture_arguments
        return {OVERRIDES: list(wanted(texts, chosen, SECTION).values()), **values}


def observe() -> None:
    """Observe what hydra composes from now on."""
    config = sys.modules["hydra.core.hydra_config"].HydraConfig
    if not hasattr(config.set_config, "__wrapped__"):
        config.set_config = _observed_job(config.set_config)
        hydra = sys.modules["hydra._internal.hydra"].Hydra
        hydra.compose_config = _observed_compose(hydra.compose_config)
        if "hydra._internal.callbacks" in sys.modules:  # hydra 1.0 has none
            callbacks = sys.modules["hydra._internal.callbacks"].Callbacks
            callbacks.on_job_end = _observed_end(callbacks.on_job_end)
            jobs.observe(_job)


def _observed_job(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def set_config(self: Any, cfg: Any) -> Any:
        with wrapper_frame:
            result = method(self, cfg)
        _note_composed(cfg)
        return result

    return set_config


def _observed_compose(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def compose_config(self: Any, *args: Any, **kwargs: Any) -> Any:
        with wrapper_frame:
            result = method(self, *args, **kwargs)
        # Only for hydra.compose() outside of a job.
        if kwargs.get("from_shell") is False and _config_of_job() is None:
            _note_composed(result)
        return result

    return compose_config


def _observed_end(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def on_job_end(self: Any, config: Any, job_return: Any, **kwargs: Any) -> Any:
        with wrapper_frame:
            result = method(self, config=config, job_return=job_return, **kwargs)
        with warn_on_failure(HydraCapture.name):
            failed = job_return.status.name == "FAILED"
            jobs.ended(_job(), job_return._return_value if failed else None)  # noqa: SLF001 - the public one raises it
        return result

    return on_job_end


def _job() -> object:
    """Return the object that hydra makes for each job, and that stands for it here, or None."""
    return sys.modules["hydra.core.hydra_config"].HydraConfig.instance().cfg


def _config_of_job() -> Any:
    """Return the whole configuration of the running job, or None."""
    masked = sys.modules["hydra.core.hydra_config"].HydraConfig.instance().cfg
    return None if masked is None else masked.hydra._get_parent()  # noqa: SLF001 - no other way up


def _note_composed(cfg: Any) -> None:
    """Note a copy of a configuration without hydra's own part, and report it to all runs."""
    with warn_on_failure(HydraCapture.name):
        conf = sys.modules["omegaconf"].OmegaConf
        if conf.is_missing(cfg.hydra.runtime, "output_dir") and _config_of_job() is not None:
            return  # the job is being prepared: another call has the final configuration
        own = conf.masked_copy(cfg, [key for key in cfg if key != "hydra"])
        unresolved = conf.to_container(own, resolve=False)
        overrides = list(conf.to_container(cfg.hydra.overrides.task))
        _latest.composed = _Composed(resolve_config(own), unresolved, overrides, current_test())
        for capture in _captures:
            capture.take(_latest.composed)


def _of_variables(unresolved: Any, resolved: Any, redactor: Redactor) -> Iterator[str]:
    """Yield the values from environment variables that have the name of a secret."""
    if isinstance(unresolved, str) and isinstance(resolved, str):
        yield from redactor.whole(dict.fromkeys(_VARIABLE.findall(unresolved), resolved))
    elif isinstance(unresolved, dict) and isinstance(resolved, dict):
        for key in unresolved.keys() & resolved.keys():
            yield from _of_variables(unresolved[key], resolved[key], redactor)
    elif isinstance(unresolved, list) and isinstance(resolved, list):
        for one, other in zip(unresolved, resolved, strict=False):
            yield from _of_variables(one, other, redactor)


def _without(secrets: Collection[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(secrets, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(secrets, item) for item in value]
    return REDACTED if isinstance(value, str) and value in secrets else value


def _typed(argv: list[str]) -> dict[str, list[str]]:
    """Return the values on a command line for each key."""
    texts: dict[str, list[str]] = {}
    for item in argv:
        key, equals, value = item.partition("=")
        if equals:
            texts.setdefault(key.lstrip("+~-"), []).extend([item, value])
        elif not item.startswith("-"):
            texts.setdefault(OVERRIDES, []).append(item)
    return texts


def _found(values: Any, key: str, otherwise: Any) -> Any:
    """Return the value at a dotted key; ``otherwise`` if there is none."""
    for name in key.split("."):
        if not isinstance(values, Mapping) or name not in values:
            return otherwise
        values = values[name]
    return values


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    """Return the source."""
    return HydraCapture
