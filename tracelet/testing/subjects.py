"""The core's own backends, and those of plugins, as subjects of the contract."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from tracelet.backends.base import Property
from tracelet.backends.memory import MemoryBackend
from tracelet.backends.registry import plugins, resolve
from tracelet.core.run import Run
from tracelet.errors import UnknownBackendError
from tracelet.records import MetricPoint
from tracelet.testing.live import live_backend
from tracelet.testing.readback import ReadBack, parse_adjusted, parse_log
from tracelet.testing.subject import Subject


class LocalSubject(Subject):
    """The backend ``local``, read with nothing but a JSON parser."""

    backend = "local"

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        """Read the files of a run's directory, without tracelet's own reader."""
        here = run.dir
        view = msgspec.json.decode((here / "run.json").read_bytes())
        artifacts = {
            path.relative_to(here / "artifacts").as_posix(): path.read_bytes()
            for path in (here / "artifacts").rglob("*")
            if path.is_file()
        }
        views = [msgspec.json.decode(path.read_bytes()) for path in here.parent.glob("*/run.json")]
        return ReadBack(
            params=_json(here / "parameters.json", {}),
            points=_points(here / "metrics.jsonl"),
            artifacts=artifacts,
            configs={path.stem: _config(path) for path in (here / "configs").glob("*")},
            texts=parse_log(_bytes(here / "log.txt")),
            tags=view["tags"],
            properties={
                name: Property(**fields)
                for name, fields in _json(here / "properties.json", {}).items()
            },
            status=view["status"],
            name=view["name"],
            project=view["project"],
            group=view["group"],
            adjusted=parse_adjusted(artifacts.get("tracelet/adjusted.jsonl")),
            runs=sum(view["run_id"] == run.run_id for view in views),
        )


class MemorySubject(Subject):
    """The backend ``memory``: its object has everything, as it was given."""

    backend = "memory"

    def read_back(self, run: Run, folder: Path) -> ReadBack:
        """Read the object that the run was delivered to."""
        name = MemoryBackend.name
        stored = live_backend(run, name)
        assert isinstance(stored, MemoryBackend)
        assert stored.run is not None
        return ReadBack(
            params=dict(stored.params),
            points=list(stored.points),
            artifacts=dict(stored.artifacts),
            configs=dict(stored.configs),
            texts=[line.text for line in stored.texts],
            tags=dict(stored.tags),
            properties=dict(stored.properties),
            status=stored.status,
            name=stored.run.name,
            project=stored.run.project,
            group=stored.run.group,
            adjusted=parse_adjusted(stored.artifacts.get("tracelet/adjusted.jsonl")),
            runs=1,
        )


def find_subject(name: str) -> Subject:
    """Find a subject.

    Args:
        name: a backend's name; or ``module:Class`` or ``file.py:Class`` of a subclass of
            ``Subject`` or ``BackendContract``.

    Raises:
        UnknownBackendError: there is none; the message has the nearest names, or says how to make
            one.
    """
    known: list[type[Subject]] = [LocalSubject, MemorySubject, *_of_plugins()]
    for subject in known:
        if subject.backend == name:
            return subject()
    module, colon, qualname = name.rpartition(":")
    if colon:
        found = getattr(_module(module), qualname, None)
        if isinstance(found, type) and issubclass(found, Subject):
            return found()
        raise UnknownBackendError(name, f"{name!r} is no subclass of tracelet.testing.Subject")
    # A name that no backend has is a typo, or is not installed; that is said with the known ones.
    resolve(name)
    raise UnknownBackendError(
        name,
        f"nothing says how the tracker of {name!r} is read back: its plugin can, with the hook "
        "tracelet_register_subject; or give the class that does as 'module:Class' or "
        "'tests/test_contract.py:Class'",
    )


def _of_plugins() -> list[type[Subject]]:
    found: list[type[Subject]] = plugins().hook.tracelet_register_subject()
    return found


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).absolute()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise UnknownBackendError(name, f"there is no file {name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))  # for its neighbours, as pytest does
    spec.loader.exec_module(module)
    return module


def _points(file: Path) -> list[MetricPoint]:
    lines = (_bytes(file) or b"").splitlines()
    fields = [msgspec.json.decode(line) for line in lines]
    return [
        MetricPoint(**{**one, "value": float(one["value"])})  # "NaN" is written as a string
        if isinstance(one["value"], str)
        else MetricPoint(**one)
        for one in fields
    ]


def _config(file: Path) -> Any:
    content = file.read_bytes()
    return msgspec.json.decode(content) if file.suffix == ".json" else content


def _json(file: Path, otherwise: Any) -> Any:
    content = _bytes(file)
    return otherwise if content is None else msgspec.json.decode(content)


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None
