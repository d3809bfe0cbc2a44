"""Parameters: what is set is what is read back, typed, whatever its key and its value are."""

from __future__ import annotations

from typing import Any

from tracelet.backends.base import Support
from tracelet.testing import values
from tracelet.testing.checks import check
from tracelet.testing.context import Context
from tracelet.testing.expect import fail_if, is_kept, values_match


def _match(context: Context, field: str | None, expected: dict[str, Any]) -> None:
    values_match(context, context.everything, "param", expected, field)


@check(thread=True)
def param_types(context: Context) -> None:
    """A parameter comes back with another type or value: ``"42"`` as 42, 3.0 as 3, a list as text.

    Look at how ``log_params`` writes values. A tracker that keeps text needs a typed manifest
    beside it (``param_types=EMULATED``), an artifact for example, that ``read_back`` reads.
    """
    _match(context, "param_types", values.PARAM_TYPES)


@check()
def param_nonfinite(context: Context) -> None:
    """NaN or an infinity in a parameter is lost, or became a str.

    JSON cannot hold them; if the tracker cannot either, call ``adjusted_param``.
    """
    _match(context, "param_types", values.PARAM_NONFINITE)


@check()
def param_none(context: Context) -> None:
    """A parameter that is None is lost, or became ``""`` or ``"None"``."""
    _match(context, "param_types", values.PARAM_NONE)


@check()
def param_empty(context: Context) -> None:
    """An empty mapping, list or text is lost: its key has to be there."""
    _match(context, "param_types", values.PARAM_EMPTY)


@check(thread=True)
def param_nested(context: Context) -> None:
    """A nested parameter is not under its dotted key, ``model.block.depth``."""
    _match(context, None, values.PARAM_NESTED)


@check()
def param_unicode(context: Context) -> None:
    """A str with other letters, several lines or quotes comes back changed."""
    _match(context, None, values.PARAM_UNICODE)


@check()
def param_long(context: Context) -> None:
    """A value of 10,000 characters is cut off, and nothing says so.

    Declare the limit as ``param_length``, and give the exact value to ``adjusted_param``.
    """
    ((key, value),) = values.PARAM_LONG.items()
    outcome = context.everything
    limit = context.backend.capabilities.param_length
    if limit is None or limit >= len(value):
        _match(context, None, values.PARAM_LONG)
        return
    if outcome.read.params.get(key) != value and not is_kept(outcome, "param", key, value):
        raise AssertionError(
            f"a value of {len(value)} characters is neither read back whole nor in "
            f"tracelet/adjusted.jsonl; the backend declares param_length={limit}"
        )


@check()
def param_many(context: Context) -> None:
    """Of 1,000 parameters of one call some are missing.

    Trackers have a limit for one request: split the call. No limit is silent here.
    """
    _match(context, None, values.PARAM_MANY)


@check(thread=True)
def param_names(context: Context) -> None:
    """A key with spaces, ``@``, brackets or 300 characters is lost, or comes back changed.

    Where the tracker forbids characters, replace them reversibly and keep the original, such that
    ``read_back`` finds it (``param_names=EMULATED``).
    """
    _match(context, "param_names", values.PARAM_NAMES)


@check()
def param_name_collisions(context: Context) -> None:
    """Two keys that look alike once forbidden characters are replaced became one parameter."""
    _match(context, "param_names", values.PARAM_CLASHES)


@check(thread=True)
def param_overwritten(context: Context) -> None:
    """A parameter that was set again does not have its latest value.

    Trackers whose parameters are write-once need another place for the current value
    (``param_overwrite=EMULATED``).
    """
    expected: dict[str, Any] = {}
    for several in values.PARAM_OVERWRITTEN:
        expected.update(several)
    _match(context, "param_overwrite", expected)


@check()
def param_repeated(context: Context) -> None:
    """A parameter that was set to the same value three times was adjusted, or is lost."""
    _match(context, None, values.PARAM_REPEATED)
    (key,) = values.PARAM_REPEATED
    if any(line.get("param") == key for line in context.everything.read.adjusted):
        raise AssertionError(f"{key!r} never changed, and was counted as adjusted")


@check()
def param_branches(context: Context) -> None:
    """A parameter whose value gave way to a branch is still there.

    ``remove_params`` is told the keys that ceased to exist.
    """
    gone, stays = values.PARAM_BRANCH
    _match(context, "param_overwrite", stays)
    if context.support("param_overwrite") is not Support.UNSUPPORTED:
        fail_if(
            [f"{key!r} is still there" for key in gone if key in context.everything.read.params]
        )


@check(alone=True)
def param_policy_keep(context: Context) -> None:
    """With ``on_param_conflict="keep"`` the first value is not the one that is read back."""
    values_match(context, context.ended("SIGINT"), "param", values.POLICY_PARAMS)


@check(alone=True)
def param_policy_error(context: Context) -> None:
    """With ``on_param_conflict="error"`` a refused value reached the tracker, or others did not."""
    values_match(context, context.ended("exception"), "param", values.POLICY_PARAMS)
