"""What a tracker can hold, as its backend declares it: what is not declared fails the contract."""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

from tracelet.errors import InvalidValueError


class Support(enum.Enum):
    """What a tracker does with something, as its backend declares it."""

    FULL = "full"
    """Stored as given, and read back as given."""
    EMULATED = "emulated"
    """Shown as well as the tracker can, and exact in the same run of the tracker: where its reader
    finds it, or in ``tracelet/adjusted.jsonl``, counted as adjusted."""
    UNSUPPORTED = "unsupported"
    """Not shown by the tracker; the journal has it."""
    UNKNOWN = "unknown"
    """Not declared: the contract suite fails and says what to declare."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a tracker can hold, and how its backend wants to be driven.

    Attributes:
        nan: NaN as a metric's value.
        infinity: both infinities as a metric's value.
        float64: the 53 bits of a float64 metric value.
        integers: integers beyond 2**53 as a metric's value.
        negative_iterations: iterations below zero.
        unordered_iterations: decreasing and repeated iterations.
        axes: more than one x-axis.
        timestamps: the time of a point.
        metric_names: any text as a metric's name.
        param_types: the types of parameters.
        param_names: any text as a parameter's key.
        param_overwrite: a parameter whose value changes.
        param_length: the longest parameter value kept as given, in characters; None: no limit.
        artifacts: files under their destination.
        configs: configuration objects, kept whole.
        texts: the lines of the log.
        tags: tags, name and value.
        properties: user properties.
        statuses: failed and killed told apart from finished.
        repeats: a batch that comes again after a crash is stored once; ``UNSUPPORTED``: its points
            may be there twice.
        batch_limit: the most metric points of one call.
        time_bound: seconds that a call may take; past twice that the worker is ended.
        lightweight: no SDK, no network: may run in a thread instead of a process of its own.
        in_process: the object must live in the training process, as ``memory`` does.
        restart: what a restarted worker does: ``continue`` at the cursor, or ``replay`` the run
            from the start, because the SDK buffers without a way to flush.
    """

    nan: Support = Support.UNKNOWN
    infinity: Support = Support.UNKNOWN
    float64: Support = Support.UNKNOWN
    integers: Support = Support.UNKNOWN
    negative_iterations: Support = Support.UNKNOWN
    unordered_iterations: Support = Support.UNKNOWN
    axes: Support = Support.UNKNOWN
    timestamps: Support = Support.UNKNOWN
    metric_names: Support = Support.UNKNOWN
    param_types: Support = Support.UNKNOWN
    param_names: Support = Support.UNKNOWN
    param_overwrite: Support = Support.UNKNOWN
    param_length: int | None = None
    artifacts: Support = Support.UNKNOWN
    configs: Support = Support.UNKNOWN
    texts: Support = Support.UNKNOWN
    tags: Support = Support.UNKNOWN
    properties: Support = Support.UNKNOWN
    statuses: Support = Support.UNKNOWN
    repeats: Support = Support.UNKNOWN
    batch_limit: int = 1000
    time_bound: float = 30.0
    lightweight: bool = False
    in_process: bool = False
    restart: Literal["continue", "replay"] = "continue"

    def __post_init__(self) -> None:
        restart: str = self.restart
        if restart not in ("continue", "replay"):
            renamed = '; "anew" is called "replay" now' if restart == "anew" else ""
            raise InvalidValueError(f'restart={restart!r}: it is "continue" or "replay"{renamed}')

    @classmethod
    def everything(cls, **others: Any) -> Capabilities:
        """Declare ``FULL`` for all that a tracker can support, and ``others`` as given."""
        full = {name: Support.FULL for name in cls.__struct_fields__ if name in _SUPPORTS}
        return cls(**{**full, **others})


_SUPPORTS = {
    field.name for field in msgspec.structs.fields(Capabilities) if field.default is Support.UNKNOWN
}
