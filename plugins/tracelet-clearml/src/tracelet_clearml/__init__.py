"""Registers the ClearML backend; importing the SDK here would slow every start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelet.backends.base import Backend
from tracelet.hookspecs import hookimpl

if TYPE_CHECKING:
    from tracelet.testing import Subject


@hookimpl
def tracelet_register_backend() -> type[Backend]:
    from tracelet_clearml.backend import ClearmlBackend

    return ClearmlBackend


@hookimpl
def tracelet_register_subject() -> type[Subject]:
    from tracelet_clearml.subject import ClearmlSubject

    return ClearmlSubject
