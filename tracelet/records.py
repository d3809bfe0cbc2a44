"""The types of records, and the line of JSON that each is in the journal.

A record never changes. Its line is an array that starts with the record's tag and its time:
``["metric",1763707200.25,"loss",0.5,100,"iteration"]``. Arrays decode more than twice as fast as
objects, and a run of days is read back in full. Add new fields at the end, with a default. Any
other change of a field makes old journals unreadable.

JSON has no NaN and no infinity. A metric has the strings ``"NaN"``, ``"Infinity"`` and
``"-Infinity"`` instead. Parameters, configuration objects and properties may have such a string as
their value, so a number is wrapped there (see :mod:`tracelet.wire`).
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec

from tracelet.destinations import (
    check_backend_name,
    check_config,
    check_digest,
    check_path_length,
    safe_destination,
    safe_url,
)
from tracelet.errors import InvalidValueError
from tracelet.wire import from_wire, to_wire

Status: TypeAlias = Literal["running", "finished", "failed", "killed"]
"""The state of a run; the last three are endings."""

MetricValue: TypeAlias = float | int
"""A float64, which may be NaN or infinite, or an integer of any size."""

_Token: TypeAlias = Annotated[str, msgspec.Meta(pattern="^(NaN|-?Infinity)$")]

ParamValue: TypeAlias = Any
"""str, int, float, bool, None, a list of such values or mappings of them, or an empty mapping."""

DEFAULT_AXIS = "iteration"
_FIRST_TIME, _LAST_TIME = -62135596800.0, 253402300799.0
"""The years 1 to 9999, which are all that can be shown."""


class Record(msgspec.Struct, array_like=True, gc=False, frozen=True, kw_only=False):
    """The base of all records. ``time`` is the time of the call, in seconds since the epoch."""

    time: float


class Started(Record, tag="started", frozen=True):
    """A process started to log the run; ``info`` is a ``RunStart`` as builtins."""

    info: dict[str, Any]


class Metric(Record, tag="metric", frozen=True):
    """One point of one metric. ``value`` is a string for NaN and the infinities."""

    name: str
    value: float | int | _Token
    iteration: int
    axis: str = DEFAULT_AXIS


class Metrics(Record, tag="metrics", frozen=True):
    """One point of each of several metrics, on one line; it is read back as a Metric for each."""

    values: dict[str, float | int | _Token]
    iteration: int
    axis: str = DEFAULT_AXIS


class Params(Record, tag="params", frozen=True):
    """Parameters that were set, flat.

    ``removed`` has the keys that were removed. ``paths`` has the path of each key that has a dot
    of its own, e.g. ``{"a.b": ["a.b"]}``: splitting such a key at its dots does not give its path.
    ``descriptions`` has the new help texts, by key.
    """

    values: dict[str, Any]
    removed: list[str] = []
    paths: dict[str, list[str]] = {}
    descriptions: dict[str, str] = {}


class Artifact(Record, tag="artifact", frozen=True):
    """A file whose content is in the blob ``digest`` or, if it was not copied, at ``source``."""

    path: str
    digest: str
    size: int
    source: str | None = None


class Config(Record, tag="config", frozen=True):
    """A configuration object: the blob of its file, and its ``value``.

    ``value`` is None for an object that was given as a file.
    """

    name: str
    suffix: str
    digest: str
    value: Any = None


class Tags(Record, tag="tags", frozen=True):
    """Tags that were set."""

    values: dict[str, str]


class Properties(Record, tag="properties", frozen=True):
    """User properties that were set: name to ``{"value", "description", "type"}``."""

    values: dict[str, dict[str, Any]]


class Text(Record, tag="text", frozen=True):
    """A line of the run's log; ``level`` is a logging level's name in lower case."""

    text: str
    level: str = "info"


class Finished(Record, tag="finished", frozen=True):
    """The run ended. ``status`` is None if it depends on the exit code of the process.

    Only the training process counts ``lost`` and ``redacted``, from its start of the run.
    """

    status: Status | None
    reason: str | None = None
    lost: int = 0
    redacted: int = 0


class BackendAdded(Record, tag="backend", frozen=True):
    """A backend was added to the run after its start. The whole run is delivered to it.

    ``backend`` is its ``{"name", "target", "options"}``, as in the start of a run.
    """

    backend: dict[str, Any]


class BlobRef(Record, tag="stored", frozen=True):
    """A reference to a record whose line is too long for one write: the line is in a blob."""

    digest: str


AnyRecord: TypeAlias = (
    Started
    | Metric
    | Params
    | Artifact
    | Config
    | Tags
    | Properties
    | Text
    | Finished
    | BackendAdded
    | BlobRef
)
_Line: TypeAlias = AnyRecord | Metrics

Deliverable: TypeAlias = Metric | Params | Artifact | Config | Tags | Properties | Text
"""Records that backends receive and the delivery report counts. Others are control records."""

DELIVERABLE = (Metric, Params, Artifact, Config, Tags, Properties, Text)

_DEEPEST = 150
"""Levels of a record; a value that is logged has at most 100."""
_encoder = msgspec.json.Encoder()
_WRAPPED = (Params, Config, Properties, Started, BackendAdded)

encode_plain = _encoder.encode
"""Encode a record whose values JSON can hold as they are; the caller checks that."""

encode_points = _encoder.encode_lines
"""Encode a list of points, each with its newline."""


def encode(record: AnyRecord | Metrics) -> bytes:
    """Return the line of a record, without its newline."""
    if type(record) in _WRAPPED:
        try:
            line = _encoder.encode(record)
        except UnicodeEncodeError:  # a lone surrogate
            line = b"null"
        # In this line NaN is null. Most records have neither a null nor a key like a wrapper's.
        if b"null" not in line and b'"$' not in line:
            return line
        return _encoder.encode(to_wire(msgspec.to_builtins(record, builtin_types=(bytes,))))
    return _encoder.encode(record)


def decode_lines(lines: bytes) -> list[AnyRecord]:
    """Decode whole lines.

    Returns:
        The records of all lines; a line of several points becomes a record for each.

    Raises:
        ValueError: a line is not a record, or none that a call could have written: a destination
            leaves the run, a digest is none …
    """
    try:
        found = _decoder().decode_lines(lines)
    except RecursionError as error:
        raise ValueError("a line is nested too deeply") from error
    if set(map(type, found)) <= {Metric}:
        return cast("list[AnyRecord]", found)
    records: list[AnyRecord] = []
    for line in found:
        if type(line) is Metrics:
            time, iteration, axis = line.time, line.iteration, line.axis
            records += [
                Metric(time, name, value, iteration, axis) for name, value in line.values.items()
            ]
        elif type(line) is Metric:
            records.append(line)
        else:
            records.append(_checked(_unwrap(cast("AnyRecord", line))))
    return records


@functools.cache  # start-up time: making it takes longer than importing this module
def _decoder() -> msgspec.json.Decoder[_Line]:
    return msgspec.json.Decoder(_Line)


def _unwrap(record: AnyRecord) -> AnyRecord:
    if type(record) in _WRAPPED:
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        if _is_too_deep(fields):
            raise ValueError("a line is nested too deeply")
        return type(record)(**{name: from_wire(value) for name, value in fields.items()})
    return record


def _is_too_deep(fields: dict[str, Any]) -> bool:
    """Return whether values are nested more deeply than a call allows: reading them may recurse."""
    level: list[Any] = [fields]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if type(one) in (dict, list)
            for inner in (one.values() if type(one) is dict else one)
        ]
        if not level:
            return False
    return True


def _checked(record: AnyRecord) -> AnyRecord:
    """Return a record that is as a call would have written it; a point has nothing to check.

    Raises:
        ValueError: it is not.
    """
    check_time(record.time)
    if type(record) is Artifact:
        if safe_destination(record.path) != record.path:
            raise InvalidValueError(f"the destination of an artifact is not {record.path!r:.200}")
        check_path_length("the destination of an artifact", record.path)
        check_digest(record.digest)
        source = record.source
        if record.size < 0 or (source is not None and ("\0" in source or source[:1] != "/")):
            raise InvalidValueError(f"an artifact has no such size or source: {source!r:.200}")
    elif type(record) is Config:
        check_config(record.name, record.suffix)
        check_digest(record.digest)
    elif type(record) is BlobRef:
        check_digest(record.digest)
    elif type(record) is BackendAdded:
        check_backend(record.backend)
    return record


def check_time(seconds: float) -> None:
    """Raise InvalidValueError unless seconds since the epoch are in the years 1 to 9999."""
    if not _FIRST_TIME <= seconds <= _LAST_TIME:
        raise InvalidValueError(f"{seconds!r} is no time of this calendar")


def check_backend(entry: Any) -> None:
    """Check the ``{"name", "target", "options"}`` of a backend in a journal.

    Raises:
        InvalidValueError: it is not that.
    """
    is_entry = isinstance(entry, dict) and isinstance(entry.get("target", 0), str | None)
    if not is_entry or not isinstance(entry.get("options") or {}, dict):
        raise InvalidValueError(f"this is no backend of a run: {entry!r:.200}")
    check_backend_name(entry.get("name"))


class MetricPoint(msgspec.Struct, frozen=True, gc=False):
    """One point of a metric, as it was logged.

    Attributes:
        name: the metric's name.
        value: a float64 (NaN and infinities kept) or an integer.
        iteration: the integer position on ``axis``.
        axis: the name of the x-axis.
        time: seconds since the epoch.
    """

    name: str
    value: MetricValue
    iteration: int
    axis: str
    time: float


class RunLink(msgspec.Struct, frozen=True):
    """The run in a tracker: its ``id`` there, and the ``url`` of its page, if there is one."""

    id: str
    url: str | None = None


def safe_link(link: RunLink | None) -> RunLink | None:
    """Return a link from a file without an address that is none of a page."""
    return link and msgspec.structs.replace(link, url=safe_url(link.url))


class RunInfo(msgspec.Struct, kw_only=True):
    """The identity of a run. A backend gets it when it opens the run; ``run.json`` has it, too.

    Attributes:
        run_id: unique in its project; the name of the run's directory.
        name: the name given by the user.
        project: the project of the run.
        dir: the run's directory, absolute.
        started: seconds since the epoch.
        group: the group of runs that it is in, if any.
        facts: how it was started: ``pid``, ``host``, ``argv``, ``cwd``, ``python`` …
        link: where the run is in the backend that is being opened, if it was opened before.
        checkpoint: the last value that this backend's ``flush`` returned.
    """

    run_id: str
    name: str
    project: str
    dir: str
    started: float
    group: str | None = None
    facts: dict[str, Any] = {}
    link: RunLink | None = None
    checkpoint: Any = None
