"""Makes the event of a point: what the dashboards show, and beside it the exact value.

TensorBoard's default server shows a scalar only as float32. So each event has two values: the
float32 under the metric's tag, and under a private tag, which no dashboard shows, the value as it
was logged: a float64, an int64, or the digits of an integer that is larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_INT64, DT_STRING

from tracelet.records import DEFAULT_AXIS, MetricPoint

PRIVATE = "_tracelet_"
"""The plugin that does not exist, and the first part of the tags of the exact values."""
RESERVED = (f"{PRIVATE}/", "tracelet/", "_hparams_/", "_earlier_/")
"""How tags begin that are not a metric's."""

_INT64 = range(-(2**63), 2**63)


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
                shown = _as_float(value)
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


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


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
