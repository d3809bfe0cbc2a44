"""The SDK's session with a server, bounded; all that depends on the SDK's insides is here.

The SDK's ``Task`` is one a process, tries a dead server again for hours, swallows errors, and ends
the run as its own exit hooks see it. Its session underneath has the configuration, the credentials
and the tokens, and answers or raises. The courier tries again what failed, so the session must not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracelet.errors import BackendError, CheckpointLostError, TransientError

API_VERSION = "2.13"
"""Of the requests: every server since 1.0 takes it."""
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 20.0
LOGIN = "make credentials in ClearML's settings and run: clearml-init"
_PASSING = {401, 403, 408, 425, 429}
_GONE = {(400, 101), (400, 130)}
"""The server's codes for a task that is not there; events for one are refused by words alone."""
_NO_RETRIES = {"total": 0, "connect": 0, "read": 0, "redirect": 5, "backoff_factor": 0}


class _Settings:
    """The SDK's configuration, but a server under maintenance is not asked again in a loop."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def get(self, key: str, *default: Any, **named: Any) -> Any:
        if key == "api.http.wait_on_maintenance_forever":
            return False
        return self._found.get(key, *default, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)


class Server:
    """A session with ClearML's server.

    Attributes:
        files: the address of the server for files.

    Raises:
        TransientError: nothing is configured, or the credentials are refused.
    """

    def __init__(self) -> None:
        try:
            self._session = _session()
        except Exception as error:
            name = type(error).__name__
            if name == "MissingConfigError":
                raise TransientError(
                    f"no ClearML server is configured here; {LOGIN}  (or log with offline=true)"
                ) from error
            if name == "LoginError":
                raise TransientError(f"ClearML: {error}; {LOGIN}") from error
            raise
        self.files: str = self._session.get_files_server_host()

    def page(self, project: str, task: str) -> str | None:
        """Return the address of a task's page, if one can be known."""
        try:
            web = self._session.get_app_server_host()
        except ValueError:  # the SDK guesses it from the address of the API
            return None
        return f"{web}/projects/{project}/experiments/{task}/output/log"

    def call(self, service: str, action: str, **content: Any) -> dict[str, Any]:
        """Make a request, and return the ``data`` of its answer.

        Raises:
            TransientError: an answer that a later try may cure.
            CheckpointLostError: the task is not there any more.
            BackendError: the server has refused what it was sent.
        """
        answer = self._session.send_request(
            service, action, version=API_VERSION, method="post", json=content
        )
        return _data(f"{service}.{action}", answer)

    def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Send events, all in one request; raises what :meth:`call` does."""
        answers = self._session.send_request_batch(
            "events", "add_batch", version=API_VERSION, method="post", json=list(events)
        )
        found = [_data("events.add_batch", answer) for answer in answers]
        if sum(one.get("added", 0) for one in found) < len(events):
            what = "; ".join(str(one.get("errors_info")) for one in found)
            raise BackendError(f"ClearML's server has not taken all events: {what}")

    def upload(self, file: Path, uri: str) -> str:
        """Upload a file, and return its address as the server is to know it.

        Raises:
            TransientError: the storage does not take it now.
        """
        from clearml.storage.helper import StorageHelper

        try:
            storage = StorageHelper.get(uri, retries=1)
            if storage is not None:
                return str(storage.upload(str(file), uri, retries=1))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise TransientError(f"not uploaded to {uri}: {error}") from error
        raise TransientError(f"ClearML's SDK has no access to {uri}; courier.log has its reason")


def _session() -> Any:
    from clearml.backend_api import Session
    from clearml.backend_interface.base import InterfaceBase
    from clearml.config import config_obj

    class BoundedSession(Session):  # type: ignore[misc]
        _session_timeout = (CONNECT_SECONDS, ANSWER_SECONDS)
        _write_session_timeout = (CONNECT_SECONDS, ANSWER_SECONDS)
        _offline_mode = False

    made = BoundedSession(config=_Settings(config_obj), http_retries_config=dict(_NO_RETRIES))
    # The SDK's storage sends its token to the server for files, and would open one without bounds.
    if InterfaceBase._default_session is None:  # noqa: SLF001
        InterfaceBase._set_default_session(made)  # noqa: SLF001
    return made


def is_transient(error: Exception) -> bool | None:
    """Tell whether a later try may cure an error of the SDK or of its HTTP client."""
    is_http = type(error).__module__.startswith(("requests.", "urllib3."))
    return True if is_http or type(error).__name__ == "LoginError" else None


def _data(what: str, answer: Any) -> dict[str, Any]:
    status = answer.status_code
    try:
        content = answer.json()
    except ValueError as error:
        raise TransientError(f"{what}: not an answer of ClearML's API ({status})") from error
    if status == 200:
        return dict(content.get("data") or {})
    meta = content.get("meta") or {}
    message = f"{what}: {meta.get('result_msg') or answer.reason} ({status})"
    if (status, meta.get("result_subcode")) in _GONE or "invalid task id" in message.lower():
        raise CheckpointLostError(message)
    if status >= 500 or status in _PASSING:
        raise TransientError(message)
    raise BackendError(message)
