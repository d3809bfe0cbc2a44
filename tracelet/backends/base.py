"""The interface of a backend: one run in one tracker. Plugin authors start here.

The journal has everything, whatever a backend does; a backend has to be honest, not heroic:

- All calls come from one thread, in the order of the log, first :meth:`Backend.open`.
- A call that returns has stored what it was given, or :meth:`Backend.flush` does: the cursor moves
  after both. A backend that can do neither declares ``restart="replay"``.
- A batch can come twice, after a crash. Make that harmless where the tracker allows it.
- Raise :class:`~tracelet.errors.TransientError` for what a later try may cure; any other exception
  is taken as the fault of what is in the batch, which is split until the bad record is found.
- Never sleep, print or retry, and never use an SDK's global state: the courier does the waiting.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tracelet.backends.capabilities import Capabilities, Support
from tracelet.backends.options import fit_options
from tracelet.destinations import config_path
from tracelet.errors import MissingPluginError
from tracelet.inner_path import InnerPath
from tracelet.records import MetricPoint, ParamValue, RunInfo, RunLink, Status
from tracelet.wire import from_wire, to_wire

__all__ = [
    "ArtifactFile",
    "Backend",
    "Capabilities",
    "ConfigObject",
    "Property",
    "Support",
    "TextLine",
    "nearest_float",
]


class ArtifactFile(msgspec.Struct, frozen=True):
    """A file to be stored.

    Attributes:
        source: where the content is, absolute; not to be changed or moved.
        path: the destination in the run, relative, POSIX.
        digest: SHA-256 of the content, in hexadecimal.
        size: in bytes.
    """

    source: Path
    path: str
    digest: str
    size: int


class ConfigObject(msgspec.Struct, frozen=True):
    """A configuration object: its ``name`` and ``suffix``, its ``value``, and the ``source`` file.

    ``value`` is None for an object that was given as a file.
    """

    name: str
    suffix: str
    value: Any
    source: Path
    digest: str
    size: int

    @property
    def path(self) -> str:
        """Where a tracker without a place for configuration objects keeps it as an artifact."""
        return config_path(self.name, self.suffix)


class TextLine(msgspec.Struct, frozen=True):
    """A line of the run's log: ``text``, ``level`` (``info`` …), and seconds since the epoch."""

    text: str
    level: str
    time: float

    def format(self) -> str:
        """Return the line as people read it: UTC time, level, text."""
        when = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        return f"{when} {self.level.upper():7} {self.text}"


class Property(msgspec.Struct, frozen=True):
    """A user property: a typed ``value`` with what it means."""

    value: Any
    description: str | None = None
    type: str | None = None


def nearest_float(value: float) -> float:
    """Return the float64 nearest to a number; an infinity for an integer beyond all of them."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_LEFTOVERS = (
    "log.txt",
    "parameters.json",
    "properties.json",
    "tags.json",
    "tracelet/adjusted.jsonl",
)


class Backend(ABC):
    """One run in one tracker.

    ``__init__`` takes the backend's own settings, ``[backends.<name>]``, as keyword arguments and
    only keeps them: it must neither import the SDK nor connect; :meth:`open` does.
    """

    name: ClassVar[str]
    """The name of its entry point and of its settings; the class's own name if it has none."""
    capabilities: ClassVar[Capabilities] = Capabilities()
    own_files: ClassVar[frozenset[str]] = frozenset(
        {"configs", "log.txt", "properties.json", "tags.json", "tracelet/adjusted.jsonl"}
    )
    """Artifacts that the backend itself writes, and folders of such; a user's of that name, or
    below such a folder, goes under ``artifacts/``."""
    requires: ClassVar[Mapping[str, str]] = {}
    """The SDK's modules and the requirement that installs each: ``{"mlflow": "mlflow>=3"}``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__ and not hasattr(cls, "name"):
            cls.name = cls.__name__.lower()

    def __init__(self, **options: Any) -> None:
        self.settings: dict[str, Any] = options
        self.adjustments = 0
        self.scratch: Path | None = None
        self.ended: float | None = None
        self._changed: set[Path] = set()
        self._stored: set[Path] = set()

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Refuse, in the training process and before anything is written, what cannot work.

        A backend overrides it only for what the annotations of its ``__init__`` cannot say.

        Raises:
            SettingsError: for an option that ``__init__`` does not take, or not with that type.
            MissingPluginError: for a module of ``requires`` that is not installed.
        """
        fit_options(cls, cls.name, options)
        for module, requirement in cls.requires.items():
            if importlib.util.find_spec(module) is None:
                raise MissingPluginError(
                    cls.name,
                    f"the backend {cls.name!r} needs the package {module!r}, which is not "
                    f"installed here; this installs it:  python -m pip install '{requirement}'",
                )

    def local_stores(self, run: RunInfo) -> Sequence[Path]:
        """Return the files and folders of this machine where the tracker keeps runs.

        They are left out of a directory that is logged as an artifact. Those below the directory of
        tracelet's runs need no mention. It is called in the training process, and must not import
        the SDK.
        """
        return ()

    @abstractmethod
    def open(self, run: RunInfo) -> RunLink:
        """Open the run in the tracker, or open it again.

        Args:
            run: who the run is. ``run.link`` is what an earlier ``open`` of this run returned;
                ``run.checkpoint`` what :meth:`flush` last returned: records beyond it come again.

        Returns:
            The id and the URL of the run in the tracker.
        """

    @abstractmethod
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        """Store parameters, flat and typed; only what changed is given."""

    @abstractmethod
    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        """Store points, in order, at most ``capabilities.batch_limit``."""

    @abstractmethod
    def log_artifact(self, artifact: ArtifactFile) -> None:
        """Store a file under its path; a file that is there is replaced."""

    @abstractmethod
    def close(self, status: Status) -> None:
        """End the run with its true status.

        ``self.ended`` is when it ended, seconds since the epoch: that may be long ago. ``open`` can
        follow, if the run is resumed, or something is set on it later.
        """

    def remove_params(self, keys: Sequence[str]) -> None:
        """Forget parameters that ceased to exist; trackers that cannot keep the old value."""

    def describe_params(self, descriptions: Mapping[str, str]) -> None:
        """Store what explains parameters, e.g. their help, if the tracker has a place for it."""

    def log_config(self, config: ConfigObject) -> None:
        """Store a configuration object; as an artifact, unless the tracker has a place for it."""
        self.log_artifact(ArtifactFile(config.source, config.path, config.digest, config.size))

    def log_text(self, lines: Sequence[TextLine]) -> None:
        """Store lines of the run's log; as the artifact ``log.txt``, unless there is a place."""
        with self._beside("log.txt").appending() as file:
            file.writelines(f"{line.format()}\n".encode() for line in lines)

    def log_run_file(self, file: ArtifactFile) -> None:
        """Store a file about the run itself; as an artifact, unless the tracker has a place for it.

        Args:
            file: what was captured of how the run was started, below ``tracelet/``:
                ``packages.txt``, ``uncommitted.diff``. Such files come before the close.
        """
        self.log_artifact(file)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; as the artifact ``tags.json``, unless the tracker has a place for them."""
        self._merge_beside("tags.json", tags)

    def set_properties(self, properties: Mapping[str, Property]) -> None:
        """Set user properties; as the artifact ``properties.json``, unless there is a place."""
        self._merge_beside("properties.json", properties)

    def flush(self) -> Any:
        """Make durable what was taken; the cursor moves when this returns.

        Returns:
            A checkpoint (JSON-like) that is kept with the cursor and given to the next ``open``,
            or None.
        """
        return None

    def is_transient(self, error: Exception) -> bool | None:
        """Tell whether a later try may cure an error that a call of this backend raised.

        The courier asks before it applies its own rule: an ``OSError`` or a ``TransientError`` may
        pass, anything else is the fault of what was sent.

        Returns:
            True if the same call may succeed later, False if it will not, None to leave it to the
            courier.
        """
        return None

    def adjusted(self, what: Mapping[str, Any], reason: str) -> None:
        """Count a record that the tracker cannot hold as given, and keep it exact beside the run.

        Args:
            what: the exact record, JSON-like but for non-finite floats, in a shape that
                ``tracelet.testing.ReadBack`` lists.
            reason: why, for a person.
        """
        self.adjustments += 1
        line = msgspec.json.encode(to_wire({**what, "reason": reason}))
        with self._beside("tracelet/adjusted.jsonl").appending() as file:
            file.write(line + b"\n")

    def adjusted_point(self, point: MetricPoint, reason: str) -> None:
        """Count and keep a metric point that the tracker cannot hold as given."""
        fields = msgspec.structs.asdict(point)
        self.adjusted({"metric": fields.pop("name"), **fields}, reason)

    def adjusted_param(self, key: str, value: ParamValue, reason: str) -> None:
        """Count and keep a parameter that the tracker cannot hold as given."""
        self.adjusted({"param": key, "value": value}, reason)

    def adjusted_tag(self, name: str, value: str, reason: str) -> None:
        """Count and keep a tag that the tracker cannot hold as given."""
        self.adjusted({"tag": name, "value": value}, reason)

    def adjusted_property(self, name: str, given: Property, reason: str) -> None:
        """Count and keep a user property that the tracker cannot hold as given."""
        self.adjusted({"property": name, **msgspec.structs.asdict(given)}, reason)

    def keep_params(self, params: Mapping[str, ParamValue], removed: Sequence[str] = ()) -> None:
        """Keep parameters with their types, for trackers that store them as text.

        They become the artifact ``parameters.json``, which has the current value of each; put that
        name into ``own_files``.
        """
        self._merge_beside("parameters.json", params, removed)

    def log_leftovers(self) -> None:
        """Store, as artifacts, what the tracker had no place for; called before close.

        Only files that changed since the last time are stored, and those that an earlier worker,
        which was killed, may have left.
        """
        left = {self._scratch() / name for name in _LEFTOVERS} - self._stored
        for path in sorted(self._changed | left):
            self._log_beside(path)

    def _log_beside(self, path: Path) -> None:
        """Store a file of the scratch directory as an artifact."""
        destination = path.relative_to(self._scratch()).as_posix()
        file = InnerPath.of(self._scratch()) / destination
        if file.exists():  # else it is from before the run was delivered from the start
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            self.log_artifact(ArtifactFile(path, destination, digest, len(content)))
            self._stored.add(path)
        self._changed.discard(path)

    def _scratch(self) -> Path:
        if self.scratch is None:
            self.scratch = Path(tempfile.mkdtemp(prefix=f"tracelet-{self.name}-"))
        return self.scratch

    def _beside(self, name: str) -> InnerPath:
        """Return a file of the scratch directory that is about to change."""
        file = InnerPath.of(self._scratch()) / name
        file.root.mkdir(parents=True, exist_ok=True)
        file.parent.mkdir()
        self._changed.add(file.path)
        return file

    def _merge_beside(
        self, name: str, values: Mapping[str, Any], removed: Sequence[str] = ()
    ) -> None:
        file = self._beside(name)
        merged = from_wire(msgspec.json.decode(file.read_bytes())) if file.exists() else {}
        merged.update(msgspec.to_builtins(dict(values)))
        for key in removed:
            merged.pop(key, None)
        # At once: a worker can be killed at any time.
        file.replace(msgspec.json.format(msgspec.json.encode(to_wire(merged))) + b"\n")

    @property
    def native(self) -> Any:
        """The live object of the tracker's SDK; with ``courier="thread"`` a script can reach it."""
        return None
