"""Tells MLflow's errors apart: what a later try may cure must not count as a record's fault.

MLflow reports a lost connection, a server's bad gateway and a locked database as one class of
exception. A wrong guess here either loses records to ``rejected/`` or stops a run for one of them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from tracelet.errors import BackendError, TraceletError, TransientError

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


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what MLflow raises as what the courier understands; the unknown passes through.

    Raises:
        TransientError: no connection, a busy or failing server, a locked database, no access.
        BackendError: the server has refused what it was sent.
    """
    try:
        yield
    except TraceletError:
        raise
    except Exception as error:
        if may_pass(error):
            raise TransientError(f"MLflow: {first_line(error)}") from error
        if _is_http(error):  # an OSError, which would be taken for the disk's fault and retried
            raise BackendError(f"MLflow: {first_line(error)}") from error
        raise


def may_pass(error: BaseException) -> bool:
    """Return whether a later try may succeed."""
    if any(_is_database(cause) for cause in _causes(error)):
        return True
    if _is_http(error):
        return _may_pass_status(getattr(getattr(error, "response", None), "status_code", None))
    code = error_code(error)
    if code is None:
        return False
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


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _is_connection(text: str) -> bool:
    """Tell an answer that never came, or came from something in between, from a refusal."""
    if not text.startswith("API request to"):
        return False
    status = _STATUS.search(text)
    return status is None or _may_pass_status(int(status[1]))


def _may_pass_status(status: int | None) -> bool:
    return status is None or status >= 500 or status in _PASSING_STATUS


def _is_http(error: BaseException) -> bool:
    return any(base.__module__ == "requests.exceptions" for base in type(error).__mro__)


def _is_database(error: BaseException) -> bool:
    kind = type(error)
    return kind.__module__.startswith("sqlalchemy") and kind.__name__ in _DATABASE


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
