"""Makes the events of a run: points, texts, and what the hparams page reads.

TensorBoard's default server shows a scalar only as float32. So the event of a point has two values:
the float32 under the metric's tag, and under a private tag, which no dashboard shows, the value as
it was logged: a float64, an int64, or the digits of an integer that is larger.

The hparams page takes the first account of a run's parameters that it finds in the run's files, and
never another. So it is written when the run ends; when the run is resumed, that account is renamed
where it stands, and the next ending writes another.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_INT64, DT_STRING
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.summary_v2 import text_pb

from tracelet.backends.base import nearest_float
from tracelet.records import DEFAULT_AXIS, MetricPoint, ParamValue, Status

PRIVATE = "_tracelet_"
"""The plugin that does not exist, and the first part of the tags of the exact values."""
RESERVED = (f"{PRIVATE}/", "tracelet/", "_hparams_/", "_earlier_/")
"""How tags begin that are not a metric's."""

_INT64 = range(-(2**63), 2**63)
_EXACT = 2**53
_RENAMED = {"hparams": "earlier", "_hparams_/": "_earlier_/"}
"""What a plugin and its tags become when their account is not valid any more; of equal length."""

_INDENT = "    "
"""What makes a text code for Markdown, which shows it as it is."""


def shown_tag(name: str, axis: str) -> str:
    """Return the tag under which a metric is shown: a chart for each of its axes."""
    tag = name if axis == DEFAULT_AXIS else f"{name} [{axis}]"
    return f"metrics/{tag}" if tag.startswith(RESERVED) else tag


def exact_tag(name: str, axis: str) -> str:
    """Return the private tag of a metric's exact values; the axis is percent-encoded."""
    return f"{PRIVATE}/{quote(axis, safe=' ')}/{name}"


class PointEncoder:
    """Makes the records of points; one event a metric, axis and type is used again and again."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, str, int], tuple[Any, Any, Any, Any]] = {}

    def encode(self, batch: Sequence[MetricPoint]) -> list[bytes]:
        """Return one serialised event a point."""
        records = []
        for point in batch:
            value: Any = point.value
            if value.__class__ is float:
                shown, kind = value, DT_DOUBLE
            else:
                shown = nearest_float(value)
                kind = DT_INT64 if value in _INT64 else DT_STRING
                value = value if kind == DT_INT64 else str(value).encode()
            key = (point.name, point.axis, kind)
            if key not in self._events:
                self._events[key] = _prepare(*key)
            event, scalar, exact, serialise = self._events[key]
            event.wall_time = point.time
            event.step = point.iteration
            scalar.simple_value = shown
            exact[0] = value
            records.append(serialise())
        return records


def _prepare(name: str, axis: str, kind: int) -> tuple[Any, Any, Any, Any]:
    tensor = TensorProto(dtype=kind, tensor_shape=TensorShapeProto())
    held = {
        DT_DOUBLE: tensor.double_val,
        DT_INT64: tensor.int64_val,
        DT_STRING: tensor.string_val,
    }[kind]
    held.append(b"" if kind == DT_STRING else 0)
    private = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=PRIVATE))
    event = Event(
        summary=Summary(
            value=[
                Summary.Value(tag=shown_tag(name, axis)),
                Summary.Value(tag=exact_tag(name, axis), tensor=tensor, metadata=private),
            ]
        )
    )
    scalar, exact = event.summary.value
    values = {
        DT_DOUBLE: exact.tensor.double_val,
        DT_INT64: exact.tensor.int64_val,
        DT_STRING: exact.tensor.string_val,
    }[kind]
    return event, scalar, values, event.SerializeToString


def first_record() -> bytes:
    """Return the record that every event file begins with; readers tell its version by it."""
    event = Event(
        wall_time=time.time(),
        file_version="brain.Event:2",
        source_metadata=SourceMetadata(writer="tracelet"),
    )
    return _serialised(event)


def text_record(tag: str, text: str, step: int, when: float) -> bytes:
    """Return the record of a text that is shown as it is."""
    summary = text_pb(tag, _INDENT + text.replace("\n", f"\n{_INDENT}"))
    return _serialised(Event(wall_time=when, step=step, summary=summary))


def json_text(value: Any) -> str:
    """Return JSON for people; NaN and the infinities as JavaScript and Python write them."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def table_of(record: bytes) -> dict[str, Any]:
    """Return the JSON object of a text record."""
    (value,) = Event.FromString(record).summary.value
    # Indented JSON is JSON.
    table: dict[str, Any] = json.loads(value.tensor.string_val[0])
    return table


def ending_record(
    params: Mapping[str, ParamValue],
    status: Status,
    status_tag: str,
    step: int,
    *,
    run_id: str,
    started: float,
    ended: float | None,
) -> bytes:
    """Return the one record of an ending: hparams, whether it succeeded, and the status as text."""
    now = time.time()
    at = now if ended is None else ended
    outcome = api_pb2.STATUS_SUCCESS if status == "finished" else api_pb2.STATUS_FAILURE
    shown = {key: _hparam(value) for key, value in params.items()}
    # The package's own function for the end of a session needs TensorFlow.
    end = plugin_data_pb2.SessionEndInfo(status=outcome, end_time_secs=at)
    end_value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        tensor=metadata.NULL_TENSOR,
        metadata=metadata.create_summary_metadata(
            plugin_data_pb2.HParamsPluginData(session_end_info=end)
        ),
    )
    parts = (
        hparams_pb(shown, trial_id=run_id, start_time_secs=started),
        Summary(value=[end_value]),
        text_pb(status_tag, _INDENT + status),
    )
    summary = Summary(value=[value for part in parts for value in part.value])
    return _serialised(Event(wall_time=now, step=step, summary=summary))


def without_ending(record: bytes) -> bytes | None:
    """Return an ending's record such that the hparams page does not see it, as long as it was.

    Returns:
        None if the record is not one of an ending.
    """
    event = Event.FromString(record)
    values = event.summary.value
    if not values or not values[0].tag.startswith(("_hparams_/", "_earlier_/")):
        return None
    for value in values:
        plugin = value.metadata.plugin_data
        if plugin.plugin_name == "hparams":
            plugin.plugin_name = _RENAMED["hparams"]
            value.tag = value.tag.replace("_hparams_/", _RENAMED["_hparams_/"], 1)
    return _serialised(event)


def step_of(record: bytes) -> int:
    """Return the step of a record's event."""
    step: int = Event.FromString(record).step
    return step


def _hparam(value: ParamValue) -> bool | float | str:
    """Return what the hparams page can hold: bool, number or text; it fails for a NaN."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) <= _EXACT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _serialised(event: Any) -> bytes:
    content: bytes = event.SerializeToString()
    return content
