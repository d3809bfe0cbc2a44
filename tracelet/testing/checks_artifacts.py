"""Artifacts: the content of the call, under its destination."""

from __future__ import annotations

from collections.abc import Mapping

from tracelet.backends.base import Support
from tracelet.testing import values
from tracelet.testing.checks import check
from tracelet.testing.context import Context
from tracelet.testing.expect import fail_if
from tracelet.testing.readback import is_bookkeeping
from tracelet.testing.runner import Outcome


def _match(context: Context, outcome: Outcome, expected: Mapping[str, bytes]) -> None:
    support = context.support("artifacts")
    if support is Support.UNSUPPORTED:
        return
    adjusted = {line.get("artifact") for line in outcome.read.adjusted}
    wrong = []
    for path, content in expected.items():
        found = outcome.read.artifacts.get(path)
        if found == content or (support is Support.EMULATED and path in adjusted):
            continue
        got = "nothing" if found is None else f"{len(found)} bytes {found[:60]!r}"
        wrong.append(f"{path!r} was {len(content)} bytes {content[:60]!r}, and is {got}")
    fail_if(wrong, support, "artifacts")


@check(thread=True)
def artifact_file(context: Context) -> None:
    """A file that was logged under its own name is not there, or is not what it was."""
    _match(context, context.everything, values.ARTIFACT_FILE)


@check()
def artifact_folder(context: Context) -> None:
    """The files of a directory are not under the destination, each where it was."""
    _match(context, context.everything, values.ARTIFACT_FOLDER)


@check()
def artifact_nested(context: Context) -> None:
    """A file with a destination in folders is elsewhere, or under its own name.

    Many SDKs take a folder, and keep the name of the file: link or copy it first.
    """
    _match(context, context.everything, values.ARTIFACT_NESTED)


@check()
def artifact_twice(context: Context) -> None:
    """The same destination again: the later content has to be the one that is there."""
    _match(context, context.everything, values.ARTIFACT_TWICE)


@check()
def artifact_copies(context: Context) -> None:
    """The same content under two destinations is there once only."""
    _match(context, context.everything, values.ARTIFACT_COPIES)


@check()
def artifact_empty(context: Context) -> None:
    """A file of 0 bytes is not there."""
    _match(context, context.everything, values.ARTIFACT_EMPTY)


@check()
def artifact_names(context: Context) -> None:
    """A destination with a space, ``#``, ``%``, ``?`` or other letters is lost or renamed.

    Look for URLs that are not quoted; encode reversibly what the tracker cannot hold.
    """
    _match(context, context.everything, values.ARTIFACT_NAMES)


@check()
def artifact_large(context: Context) -> None:
    """A file of 200 MB is not there, or not whole."""
    outcome = context.outcome("many")
    found = outcome.read.artifacts.get("large.bin")
    if context.support("artifacts") is not Support.FULL and found is None:
        _match(context, outcome, {"large.bin": b""})
        return
    size = outcome.job.size
    whole = (
        found is not None
        and len(found) == size
        and found[:5] == b"begin"
        and found[-3:] == b"end"
        and found.count(0) == size - 8
    )
    if not whole:
        got = "is not there" if found is None else f"has {len(found)}, not all of them right"
        raise AssertionError(f"the file of {size} bytes {got}")


@check(thread=True)
def artifact_changed_afterwards(context: Context) -> None:
    """A file that was overwritten right after the call is not what it was at the call.

    Upload ``ArtifactFile.source``; it never changes. Do not link to it and do not move it.
    """
    _match(context, context.everything, values.ARTIFACT_CHANGED)


@check()
def artifact_deleted_afterwards(context: Context) -> None:
    """A file that was deleted right after the call is not there."""
    _match(context, context.everything, values.ARTIFACT_DELETED)


@check()
def artifact_nothing_else(context: Context) -> None:
    """The tracker has artifacts that nobody logged.

    What a backend keeps for itself belongs below ``tracelet/``.
    """
    logged = set(context.everything.run.artifacts)
    fail_if(
        [
            f"{path!r} was not logged"
            for path in context.everything.read.artifacts
            if path not in logged and not is_bookkeeping(path)
        ]
    )
