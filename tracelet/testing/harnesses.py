"""The harnesses of the core's own backends, and how the harness of any backend is found."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from tracelet.backends.base import Property
from tracelet.backends.memory import MemoryBackend
from tracelet.backends.registry import call_plugins, installed, resolve
from tracelet.core.run import Run
from tracelet.errors import UnknownBackendError
from tracelet.records import MetricPoint
from tracelet.testing.harness import Harness
from tracelet.testing.live import live_backend
from tracelet.testing.readback import ReadBack, parse_adjusted, parse_log

log = logging.getLogger(__name__)


class LocalHarness(Harness):
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


class MemoryHarness(Harness):
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


def find_harness(name: str) -> Harness:
    """Find the harness of a backend.

    A plugin can give it with the hook ``tracelet_register_harness``. In a checkout of the plugin's
    source it is found without, as the subclass of :class:`Harness` in
    ``tests/<name>_harness.py``: whoever only uses a plugin need not have the code that tests it.

    Args:
        name: a backend's name; or ``module:Class`` or ``file.py:Class`` of a subclass of
            ``Harness`` or ``BackendContract``.

    Raises:
        UnknownBackendError: there is none; the message has the nearest names, or says how to make
            one.
    """
    known: list[type[Harness]] = [LocalHarness, MemoryHarness, *_of_plugins(), *_of_checkout(name)]
    for harness in known:
        if harness.backend == name:
            return harness()
    module, colon, qualname = name.rpartition(":")
    if colon:
        found = getattr(_module(module), qualname, None)
        if isinstance(found, type) and issubclass(found, Harness):
            return found()
        raise UnknownBackendError(name, f"{name!r} is no subclass of tracelet.testing.Harness")
    # A name that no backend has is a typo, or is not installed; that is said with the known ones.
    resolve(name)
    raise UnknownBackendError(
        name,
        f"nothing here says how the tracker of {name!r} is read back. The tests of its plugin do: "
        "install the plugin from a checkout of its source (python -m pip install -e), or give the "
        "class as 'module:Class' or 'tests/test_contract.py:Class'",
    )


def _of_plugins() -> list[type[Harness]]:
    def failed(plugin: str, error: BaseException) -> None:
        log.warning("the plugin %s has no harness: it is left out", plugin, exc_info=error)

    found = [cls for _, cls in call_plugins("tracelet_register_harness", failed)]
    return [cls for cls in found if isinstance(cls, type) and issubclass(cls, Harness)]


def _of_checkout(name: str) -> list[type[Harness]]:
    """Return what the tests of a plugin have, if it is installed from a checkout of its source."""
    point = installed().get(name)
    spec = importlib.util.find_spec(point.module) if point is not None else None
    for directory in Path(spec.origin).parents if spec is not None and spec.origin else ():
        if (directory / "pyproject.toml").exists():
            file = directory / "tests" / f"{name}_harness.py"
            found = vars(_module(str(file))).values() if file.exists() else ()
            classes = [one for one in found if isinstance(one, type) and issubclass(one, Harness)]
            return [one for one in classes if one is not Harness]
    return []


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).absolute()
    known = sys.modules.get(path.stem)
    if known is not None and known.__file__ == str(path):
        return known
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
