"""Logs what the program writes for TensorBoard, too: scalars, texts and hyperparameters.

``torch.utils.tensorboard``, ``tensorboardX`` and TensorBoard's own writers all call an
``EventFileWriter``. Its events are observed, so a writer may have been opened before the run began.
The calls of ``SummaryWriter``, and of TensorBoard's ``Writer``, are observed for what events do not
have: values before they are rounded to 32 bits, and the name of each series.

Images, audio, histograms and graphs are not logged.
"""

from __future__ import annotations

import contextlib
import struct
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import PurePath
from typing import Any, ClassVar, NamedTuple

import wrapt

from tracelet.capture.base import CaptureSource, Recorder, warn_on_failure
from tracelet.hookspecs import hookimpl

SECTION = "hparams"
"""The section of hyperparameters."""

_EVENT_WRITERS = (
    "tensorboard.summary.writer.event_file_writer",
    "tensorboardX.event_file_writer",
)
_SUMMARY_WRITERS = (
    ("torch.utils.tensorboard.writer", "SummaryWriter"),
    ("tensorboardX.writer", "SummaryWriter"),
    ("tensorboard.summary", "Writer"),
)
_HPARAMS = (
    "tensorboard.plugins.hparams.plugin_data_pb2",
    "tensorboardX.proto.plugin_hparams_pb2",
)
_TEXT_SUFFIX = "/text_summary"

_captures: list[TensorBoard] = []
_originals: list[tuple[type, str, Any]] = []


class Call:
    """A running call of a ``SummaryWriter``.

    Attributes:
        folder: the writer's folder, in place of that of its events; empty: the events' folder.
        exact: the values of the call, in the order of its events.
        series: the names of several series, in the same order; None: there is one series.
        hparams: whether the call writes hyperparameters, which are logged from its arguments.
    """

    def __init__(self, folder: str, *, hparams: bool = False) -> None:
        self.folder = folder
        self.hparams = hparams
        self.exact: Iterator[Any] = iter(())
        self.series: Iterator[str] | None = None


class Point(NamedTuple):
    """A number of an event, and its tag with the name of its series."""

    tag: str
    number: float | int


_call: ContextVar[Call | None] = ContextVar("tracelet_tensorboard_call", default=None)


class TensorBoard(CaptureSource):
    """Logs what is written for TensorBoard, with the step and time of each event."""

    name: ClassVar[str] = "tensorboard"
    default: ClassVar[bool] = False

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._owners: dict[str, str] = {}

    def start(self, recorder: Recorder) -> None:
        self._recorder = recorder
        _captures.append(self)
        observe()

    def stop(self) -> None:
        if self in _captures:
            _captures.remove(self)
        if not _captures:
            while _originals:
                setattr(*_originals.pop())

    def take(self, folder: str, event: Any, call: Call | None, points: list[Point]) -> None:
        """Log the texts and hyperparameters of an event, and its points."""
        assert self._recorder is not None
        if call is not None:
            folder = call.folder or folder
        for tag, number in points:
            name = self._named(tag, folder)
            self._recorder.metric(name, number, event.step, time=event.wall_time)
        for value in event.summary.value:
            plugin = value.metadata.plugin_data.plugin_name
            if plugin == "hparams":
                if call is None or not call.hparams:
                    self._take_hparams(value.metadata.plugin_data.content)
            elif plugin == "text":
                for text in value.tensor.string_val:
                    tag = value.tag.removesuffix(_TEXT_SUFFIX)
                    line = text.decode(errors="replace")
                    self._recorder.text(f"{tag} (step {event.step}): {line}")

    def take_hparams(self, values: Mapping[str, Any]) -> None:
        """Log hyperparameters."""
        assert self._recorder is not None
        self._recorder.params(SECTION, values)

    def _take_hparams(self, content: bytes) -> None:
        # The program has imported one of them to write the event.
        shapes = next(filter(None, map(sys.modules.get, _HPARAMS)))
        session = shapes.HParamsPluginData.FromString(content).session_start_info
        kinds = {name: value.WhichOneof("kind") for name, value in session.hparams.items()}
        values = {
            name: getattr(session.hparams[name], kind) for name, kind in kinds.items() if kind
        }
        if values:
            self.take_hparams(values)

    def _named(self, tag: str, folder: str) -> str:
        """Return the metric's name; the same tag of another folder is another metric."""
        owner = self._owners.setdefault(tag, folder)
        return tag if owner == folder else f"{PurePath(folder).name}/{tag}"


def _points(event: Any, call: Call | None) -> Iterator[Point]:
    """Yield the points of an event. Call it once for each event: it uses up the call's values."""
    for value in event.summary.value:
        if value.metadata.plugin_data.plugin_name not in ("", "scalars"):
            continue
        number = _number(value, call)
        if number is None:
            continue
        several = call.series if call is not None else None
        series = next(several, None) if several is not None else None
        yield Point(value.tag if series is None else f"{value.tag}/{series}", number)


def _number(value: Any, call: Call | None) -> float | int | None:
    """Return the number of a summary, before its rounding if it is known; None without a number."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        number: float | int | None = value.simple_value
    elif kind == "tensor":
        number = _of_tensor(value.tensor)
    else:
        return None
    exact: Any = next(call.exact, None) if call is not None else None
    if number is not None and hasattr(exact, "item"):  # an array or a tensor of one number
        exact = exact.item()
    if isinstance(exact, float | int) and number is not None:
        with contextlib.suppress(OverflowError):  # beyond 32 bits it is infinite in the event
            if struct.pack("f", exact) != struct.pack("f", number):
                return number
        return exact
    return number


def _of_tensor(tensor: Any) -> float | int | None:
    numbers: list[float | int] = []
    for field in ("float_val", "double_val", "int_val", "int64_val"):
        numbers += getattr(tensor, field)
    kind = {1: "f", 2: "d", 3: "i", 9: "q"}.get(tensor.dtype)  # TensorFlow's DataType
    content = tensor.tensor_content
    if kind is not None and len(content) == struct.calcsize(kind):
        numbers += struct.unpack(f"<{kind}", content)
    return numbers[0] if len(numbers) == 1 else None


def observe() -> None:
    """Observe the imported writers, if a run captures them."""
    for name in _EVENT_WRITERS if _captures else ():
        cls = getattr(sys.modules.get(name), "EventFileWriter", None)
        if cls is not None:
            _wrap(cls, "__init__", _opened)
            _wrap(cls, "add_event", _added)
            _observe_summaries()


def _observe_summaries() -> None:
    for module, name in _SUMMARY_WRITERS:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None:
            _wrap(cls, "add_scalar", _scalar)
            _wrap(cls, "add_scalars", _scalars)
            _wrap(cls, "add_hparams", _hparams)


def _wrap(cls: type, name: str, wrapper: Any) -> None:
    original = cls.__dict__.get(name)
    if original is not None and not any(one[:2] == (cls, name) for one in _originals):
        _originals.append((cls, name, original))
        wrapt.wrap_function_wrapper(cls, name, wrapper)


def _opened(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    _observe_summaries()  # their modules import the event writers first
    return wrapped(*args, **kwargs)


def _added(wrapped: Any, writer: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    event = args[0] if args else kwargs.get("event")
    call = _call.get()
    with warn_on_failure(TensorBoard.name):
        folder, points = str(writer.get_logdir()), list(_points(event, call))
        for capture in _captures:
            capture.take(folder, event, call, points)
    return result


def _scalar(wrapped: Any, writer: Any, args: Any, kwargs: Any) -> Any:
    with _calling(writer) as call:
        call.exact = iter(args[1:2] or [kwargs.get("scalar_value", kwargs.get("data"))])
        return wrapped(*args, **kwargs)


def _scalars(wrapped: Any, writer: Any, args: Any, kwargs: Any) -> Any:
    several = args[1] if len(args) > 1 else kwargs.get("tag_scalar_dict")
    with _calling(writer) as call:
        if isinstance(several, Mapping):
            call.exact, call.series = iter([*several.values()]), iter([*several])
        return wrapped(*args, **kwargs)


def _hparams(wrapped: Any, writer: Any, args: Any, kwargs: Any) -> Any:
    values = args[0] if args else kwargs.get("hparam_dict")
    with _calling(writer, hparams=True):
        result = wrapped(*args, **kwargs)
    if isinstance(values, Mapping):
        for capture in _captures:
            capture.take_hparams(values)
    return result


@contextlib.contextmanager
def _calling(writer: Any, *, hparams: bool = False) -> Iterator[Call]:
    """Set the running call in this block; a nested call has the folder of the outer one."""
    outer = _call.get()
    folder = outer.folder if outer is not None else _folder(writer)
    call = Call(folder, hparams=hparams or (outer is not None and outer.hparams))
    token = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(token)


def _folder(writer: Any) -> str:
    """Return the folder of a ``SummaryWriter``; ``""`` for a ``Writer``, which has no attribute."""
    return str(getattr(writer, "log_dir", None) or getattr(writer, "logdir", ""))


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    return TensorBoard
