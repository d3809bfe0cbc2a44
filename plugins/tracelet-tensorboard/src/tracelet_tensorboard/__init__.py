"""Registers the TensorBoard backend; importing the SDK here would slow every start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelet.backends.base import Backend
from tracelet.hookspecs import hookimpl

if TYPE_CHECKING:
    from tracelet.testing import Subject


@hookimpl
def tracelet_register_backend() -> type[Backend]:
    from tracelet_tensorboard.backend import TensorboardBackend

    return TensorboardBackend


@hookimpl
def tracelet_register_subject() -> type[Subject]:
    from tracelet_tensorboard.subject import TensorboardSubject

    return TensorboardSubject
