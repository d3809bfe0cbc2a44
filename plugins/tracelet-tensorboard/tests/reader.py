"""Reads runs with TensorBoard's own readers, never with the adapter that wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard_harness import RunReader

from tracelet.records import MetricPoint
from tracelet.testing import ReadBack


def event_files(folder: Path) -> list[Path]:
    """Return every event file below a folder."""
    return sorted(file for file in folder.rglob("*") if "tfevents" in file.name)


def raw_events(folder: Path) -> list[Any]:
    """Return every event of a run, in the order of its file."""
    return RunReader(folder).events


def accumulated(folder: Path) -> EventAccumulator:
    """Return the run as TensorBoard's accumulator has it, without sampling."""
    everything = {"scalars": 0, "tensors": 0}
    return EventAccumulator(str(folder), size_guidance=everything).Reload()


def exact_points(folder: Path) -> list[MetricPoint]:
    return RunReader(folder).points()


def shown_points(folder: Path) -> list[tuple[str, float, int, float]]:
    """Return what the dashboards show: tag, float32, step and time, in the order of the file."""
    return [
        (value.tag, value.simple_value, event.step, event.wall_time)
        for event in raw_events(folder)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def texts(folder: Path, tag: str) -> list[str]:
    """Return the texts of a tag, whose steps count them."""
    reader = accumulated(folder)
    if tag in reader.Tags()["tensors"]:
        steps = [event.step for event in reader.Tensors(tag)]
        assert steps == list(range(len(steps)))
    return RunReader(folder).texts(tag)


def table(folder: Path, tag: str) -> dict[str, Any]:
    return RunReader(folder).table(tag)


def hparams(folder: Path) -> HParamsPluginData | None:
    """Return the account of the parameters that the hparams page takes: the first of the run."""
    try:
        content = accumulated(folder).PluginTagToContent("hparams")
    except KeyError:
        return None
    return HParamsPluginData.FromString(content["_hparams_/session_start_info"])


def hparam_values(folder: Path) -> dict[str, Any]:
    found = hparams(folder)
    assert found is not None
    values = found.session_start_info.hparams
    return {key: getattr(value, value.WhichOneof("kind")) for key, value in values.items()}


def outcome(folder: Path) -> int:
    """Return the status on the hparams page: 1 is success, 2 is failure."""
    return int(session_end(folder).status)


def session_end(folder: Path) -> Any:
    """Return what the hparams page is told of the end of the run."""
    content = accumulated(folder).PluginTagToContent("hparams")["_hparams_/session_end_info"]
    return HParamsPluginData.FromString(content).session_end_info


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def read_back(folder: Path) -> ReadBack:
    return RunReader(folder).read_back()
