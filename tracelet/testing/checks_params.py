"""Parameters: what is set is what is read back, typed, whatever its key and its value are."""

from __future__ import annotations

from typing import Any

from tracelet.backends.base import Support
from tracelet.testing import values
from tracelet.testing.case import Case
from tracelet.testing.checks import check
from tracelet.testing.expect import fail_if, values_match


def _match(case: Case, field: str | None, expected: dict[str, Any]) -> None:
    outcome = case.everything
    actual = outcome.read.params
    values_match(case, outcome, field, kind="param", expected=expected, actual=actual)


@check(thread=True)
def param_types(case: Case) -> None:
    """A parameter comes back with another type or value: ``"42"`` as 42, 3.0 as 3, a list as text.

    Look at how ``log_params`` writes values. A tracker that keeps text needs a typed manifest
    beside it (``param_types=EMULATED``), an artifact for example, that ``read_back`` reads.
    """
    _match(case, "param_types", values.PARAM_TYPES)


@check()
def param_nonfinite(case: Case) -> None:
    """NaN or an infinity in a parameter is lost, or became a text.

    JSON cannot hold them; if the tracker cannot either, call ``adjusted_param``.
    """
    _match(case, "param_types", values.PARAM_NONFINITE)


@check()
def param_none(case: Case) -> None:
    """A parameter that is None is lost, or became ``""`` or ``"None"``."""
    _match(case, "param_types", values.PARAM_NONE)


@check()
def param_empty(case: Case) -> None:
    """An empty mapping, list or text is lost: its key has to be there."""
    _match(case, "param_types", values.PARAM_EMPTY)


@check(thread=True)
def param_nested(case: Case) -> None:
    """A nested parameter is not under its dotted key, ``model.block.depth``."""
    _match(case, None, values.PARAM_NESTED)


@check()
def param_unicode(case: Case) -> None:
    """A text with other letters, several lines or quotes comes back changed."""
    _match(case, None, values.PARAM_UNICODE)


@check()
def param_long(case: Case) -> None:
    """A value of 10,000 characters is cut off, and nothing says so.

    Declare the limit as ``param_length``, and give the exact value to ``adjusted_param``.
    """
    ((key, value),) = values.PARAM_LONG.items()
    outcome = case.everything
    limit = case.backend.capabilities.param_length
    if limit is None or limit >= len(value):
        _match(case, None, values.PARAM_LONG)
        return
    kept = any(
        line.get("param") == key and line.get("value") == value for line in outcome.read.adjusted
    )
    if outcome.read.params.get(key) != value and not kept:
        raise AssertionError(
            f"a value of {len(value)} characters is neither read back whole nor in "
            f"tracelet/adjusted.jsonl; the backend declares param_length={limit}"
        )


@check()
def param_many(case: Case) -> None:
    """Of 1,000 parameters of one call some are missing.

    Trackers have a limit for one request: split the call. No limit is silent here.
    """
    _match(case, None, values.PARAM_MANY)


@check(thread=True)
def param_names(case: Case) -> None:
    """A key with spaces, ``@``, brackets or 300 characters is lost, or comes back changed.

    Where the tracker forbids characters, replace them reversibly and keep the original, such that
    ``read_back`` finds it (``param_names=EMULATED``).
    """
    _match(case, "param_names", values.PARAM_NAMES)


@check()
def param_name_collisions(case: Case) -> None:
    """Two keys that look alike once forbidden characters are replaced became one parameter."""
    _match(case, "param_names", values.PARAM_CLASHES)


@check(thread=True)
def param_overwritten(case: Case) -> None:
    """A parameter that was set again does not have its latest value.

    Trackers whose parameters are write-once need another place for the current value
    (``param_overwrite=EMULATED``).
    """
    expected: dict[str, Any] = {}
    for several in values.PARAM_OVERWRITTEN:
        expected.update(several)
    _match(case, "param_overwrite", expected)


@check()
def param_repeated(case: Case) -> None:
    """A parameter that was set to the same value three times was adjusted, or is lost."""
    _match(case, None, values.PARAM_REPEATED)
    (key,) = values.PARAM_REPEATED
    if any(line.get("param") == key for line in case.everything.read.adjusted):
        raise AssertionError(f"{key!r} never changed, and was counted as adjusted")


@check()
def param_branches(case: Case) -> None:
    """A parameter whose value gave way to a branch is still there.

    ``remove_params`` is told the keys that ceased to exist.
    """
    gone, stays = values.PARAM_BRANCH
    _match(case, "param_overwrite", stays)
    if case.support("param_overwrite") is not Support.UNSUPPORTED:
        fail_if([f"{key!r} is still there" for key in gone if key in case.everything.read.params])


@check(alone=True)
def param_policy_keep(case: Case) -> None:
    """With ``on_param_conflict="keep"`` the first value is not the one that is read back."""
    outcome = case.ended("SIGINT")
    expected = {"policy.lr": 0.1, "policy.kept": 1, "policy.new": 2}
    values_match(case, outcome, None, kind="param", expected=expected, actual=outcome.read.params)


@check(alone=True)
def param_policy_error(case: Case) -> None:
    """With ``on_param_conflict="error"`` a refused value reached the tracker, or others did not."""
    outcome = case.ended("exception")
    expected = {"policy.lr": 0.1, "policy.kept": 1, "policy.new": 2}
    values_match(case, outcome, None, kind="param", expected=expected, actual=outcome.read.params)
