"""Tells MLflow's errors apart: what a later try may cure must not count as a record's fault.

MLflow reports a lost connection, a server's bad gateway and a locked database as one class of
exception. A wrong guess here either loses records to ``rejected/`` or stops a run for one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PASSING_CODES = {
    "ABORTED",
    "CANCELLED",
    "CUSTOMER_UNAUTHORIZED",
    "DEADLINE_EXCEEDED",
    "PERMISSION_DENIED",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_CONFLICT",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_EXHAUSTED",
    "TEMPORARILY_UNAVAILABLE",
    "UNAUTHENTICATED",
}
"""No record's fault: the server, the credentials, or a run that somebody deleted meanwhile."""

_PASSING_STATUS = {401, 403, 408, 425, 429}
_STATUS = re.compile(r"failed with error code (\d+)")
_DATABASE = {"OperationalError", "InterfaceError", "TimeoutError", "DisconnectionError"}


def is_transient(error: BaseException) -> bool | None:
    """Tell whether a later try may succeed; None for an error that is not of MLflow."""
    kinds = [type(cause) for cause in _causes(error)]
    if any(one.__module__.startswith("sqlalchemy") and one.__name__ in _DATABASE for one in kinds):
        return True
    if any(base.__module__ == "requests.exceptions" for base in type(error).__mro__):
        return _is_passing_status(getattr(getattr(error, "response", None), "status_code", None))
    code = error_code(error)
    if code is None:
        return None
    text = str(error)
    return (
        code in _PASSING_CODES
        or _is_connection(text)
        or (code == "INTERNAL_ERROR" and type(error).__name__ == "RestException")
        or "must be in the 'active' state" in text
    )


def error_code(error: BaseException) -> str | None:
    """Return the code of an ``MlflowException``; None for any other error."""
    module = type(error).__module__.partition(".")[0]
    return getattr(error, "error_code", None) if module == "mlflow" else None


def _is_connection(text: str) -> bool:
    """Tell an answer that never came, or came from something in between, from a refusal."""
    if not text.startswith("API request to"):
        return False
    status = _STATUS.search(text)
    return status is None or _is_passing_status(int(status[1]))


def _is_passing_status(status: int | None) -> bool:
    return status is None or status >= 500 or status in _PASSING_STATUS


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
