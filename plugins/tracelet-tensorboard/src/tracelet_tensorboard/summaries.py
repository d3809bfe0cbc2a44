"""Makes the events that are not points: texts, and what the hparams page reads, once a run.

The hparams page takes the first account of a run's parameters that it finds in the run's files, and
never another. So it is written when the run ends; when the run is resumed, that account is renamed
where it stands, and the next ending writes another.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.summary_v2 import text_pb

from tracelet.records import ParamValue, Status

_EXACT = 2**53
_RENAMED = {"hparams": "earlier", "_hparams_/": "_earlier_/"}
"""What a plugin and its tags become when their account is not valid any more; of equal length."""

_INDENT = "    "
"""What makes a text code for Markdown, which shows it as it is."""


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
