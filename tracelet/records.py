"""The record types and their JSON line; a change of a shape here makes old journals unreadable.

A record is one immutable thing to deliver. On disk it is one line, a JSON array that starts with
the record's tag and its time: ``["metric",1763707200.25,"loss",0.5,100,"iteration"]``. Arrays
decode more than twice as fast as objects, and a run of days is read back in full. New fields go to
the end, with a default, so that lines of older versions stay readable.

JSON has no NaN and no infinity: a metric's are the strings ``"NaN"``, ``"Infinity"`` and
``"-Infinity"``; inside parameters, configuration objects and properties, where a string may be
meant as one, they are wrapped (see :mod:`tracelet.wire`).
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec

from tracelet.wire import from_wire, to_wire

Status: TypeAlias = Literal["running", "finished", "failed", "killed"]
"""The state of a run; the last three are endings."""

MetricValue: TypeAlias = float | int
"""A float64, NaN and the infinities among them, or an integer of any size."""

_Token: TypeAlias = Annotated[str, msgspec.Meta(pattern="^(NaN|-?Infinity)$")]

ParamValue: TypeAlias = Any
"""str, int, float, bool, None, a list of such values or mappings of them, or an empty mapping."""

DEFAULT_AXIS = "iteration"


class Record(msgspec.Struct, array_like=True, gc=False, frozen=True, kw_only=False):
    """What every record has: ``time``, seconds since the epoch, when the call was made."""

    time: float


class Started(Record, tag="started", frozen=True):
    """A process opened the run for logging; ``info`` is a :class:`RunInfo` as builtins."""

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

    ``removed`` are the keys that ceased to exist; ``paths`` has the path of each key that is not
    what splitting the key at its dots gives, such as ``{"a.b": ["a.b"]}`` for a key with a dot;
    ``descriptions`` has what explains a key, where that is known and new.
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
    """The run ended. ``status`` is None if only the exit code of the process will say how.

    ``lost`` and ``redacted`` are counted by the training process alone, from its start of the run.
    """

    status: Status | None
    reason: str | None = None
    lost: int = 0
    redacted: int = 0


class BackendAdded(Record, tag="backend", frozen=True):
    """A backend was added to the run after its start; it gets all of the run.

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
"""What backends receive, and what the delivery report counts; the rest are control records."""

DELIVERABLE = (Metric, Params, Artifact, Config, Tags, Properties, Text)

_encoder = msgspec.json.Encoder()
_WRAPPED = (Params, Config, Properties, Started, BackendAdded)

encode_plain = _encoder.encode
"""Encode a record whose values JSON can hold as they are; the caller has made sure of that."""

encode_points = _encoder.encode_lines
"""Encode a list of points, each with its newline."""


def encode(record: AnyRecord | Metrics) -> bytes:
    """Make the line of a record, without its newline."""
    if type(record) in _WRAPPED:
        try:
            line = _encoder.encode(record)
        except UnicodeEncodeError:  # a lone surrogate
            line = b"null"
        # A NaN is a null there. Most records have neither that nor what looks like a wrapper.
        if b"null" not in line and b'"$' not in line:
            return line
        return _encoder.encode(to_wire(msgspec.to_builtins(record, builtin_types=(bytes,))))
    return _encoder.encode(record)


def decode_lines(lines: bytes) -> list[AnyRecord]:
    """Read whole lines back, many of them quickly.

    Returns:
        The records of each line; a line of several points has a record for each.

    Raises:
        ValueError: if any of the lines is not a record.
    """
    found = _decoder().decode_lines(lines)
    if set(map(type, found)) <= {Metric}:
        return cast("list[AnyRecord]", found)
    records: list[AnyRecord] = []
    for line in found:
        if type(line) is Metrics:
            time, iteration, axis = line.time, line.iteration, line.axis
            records += [
                Metric(time, name, value, iteration, axis) for name, value in line.values.items()
            ]
        else:
            records.append(_unwrap(cast("AnyRecord", line)))
    return records


@functools.cache  # to make it takes longer than all else here: not while tracelet is imported
def _decoder() -> msgspec.json.Decoder[_Line]:
    return msgspec.json.Decoder(_Line)


def _unwrap(record: AnyRecord) -> AnyRecord:
    if type(record) in _WRAPPED:
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        return type(record)(**{name: from_wire(value) for name, value in fields.items()})
    return record


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
    """Where a run is in a tracker: its ``id`` there, and the ``url`` of its page if it has one."""

    id: str
    url: str | None = None


class RunInfo(msgspec.Struct, kw_only=True):
    """Who a run is: what a backend learns when it opens the run, and what ``run.json`` begins with.

    Attributes:
        run_id: unique in its project; the name of the run's directory.
        name: the name given by the user.
        project: the project it belongs to.
        dir: the run's directory, absolute.
        started: seconds since the epoch.
        group: the group of runs it belongs to, if any.
        facts: how it was started: ``pid``, ``host``, ``argv``, ``cwd``, ``python`` …
        link: where the run is in the backend that is being opened, if it was opened before.
        checkpoint: what that backend's ``flush`` returned last.
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
