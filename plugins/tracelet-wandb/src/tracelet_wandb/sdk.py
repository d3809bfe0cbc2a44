"""Drives the SDK: settings, start, end, and its errors; all that depends on its version is here.

- Nothing that the SDK collects by itself is on: its console, code, command line and machine are
  those of the process that delivers, not of the training.
- When its service process has died with what it had taken, that is a :class:`CheckpointLostError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracelet.errors import CheckpointLostError, TransientError
from tracelet.records import RunInfo
from tracelet_wandb import names
from tracelet_wandb.files import git

INIT_SECONDS = 30.0
FINISH_SECONDS = 90.0
LOGIN = "log in with: wandb login"
_open: dict[str, Any] = {}
"""The runs of this process that were started and not ended; the SDK's service knows each by id."""
_NOT_OURS = ("WANDB_RESUME", "WANDB_RESUME_FROM", "WANDB_FORK_FROM")
"""Variables that would make the SDK go on with what the server has; the run is delivered again."""
TRANSIENT = ("AuthenticationError", "CommError", "ServerResponseError")
_LOST = ("MailboxClosedError", "WandbCoreNotAvailableError", "WandbServiceConnectionError",
         "ServiceDiedError", "WandbServiceNotOwnedError")  # fmt: skip


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Say of an error of an open run that means so that everything has to be written again."""
    try:
        yield
    except Exception as error:
        if _is_of_service(error):
            raise CheckpointLostError(f"the SDK's service has died: {error}") from error
        if isinstance(error, TimeoutError):
            raise CheckpointLostError(f"not uploaded in time: {error}") from error
        raise


def _is_of_service(error: Exception) -> bool:
    return isinstance(error, ConnectionError) or type(error).__name__ in _LOST


def _of_start(error: Exception) -> Exception:
    """Return what a failed start is: there is nothing that could be at fault but the connection."""
    if "API key" in str(error):
        return TransientError(f"W&B knows no account here; {LOGIN}")
    if type(error).__name__ == "AuthenticationError":
        return TransientError(f"W&B does not take the account: {error}; {LOGIN}")
    return TransientError(f"{type(error).__name__}: {error}")


def start(
    run: RunInfo, root: Path, options: dict[str, Any], group: str | None, cache: Path
) -> tuple[Any, Any]:
    """Start the run; return the SDK and its run.

    Args:
        run: who the run is.
        root: the directory in which the SDK makes its ``wandb/``.
        options: ``mode``, ``entity``, ``job_type`` and ``notes``, those that were given.
        group: the group, or None.
        cache: where the SDK's service writes its log, unless there is a place for its caches.

    Raises:
        TransientError: no connection, or no account.
    """
    with _environment(cache):
        import wandb

        _let_go(wandb, run)
        remove_earlier(run, root)
        root = _own_root(wandb, root, run)
        root.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(**_settings(wandb, run, root))
        arguments = {name: value for name, value in options.items() if value is not None}
        if group is not None:
            arguments["group"] = group
        try:
            live = _init(wandb, run, settings, arguments)
        except Exception as error:
            # The service holds the id of a run that could not be started, and refuses it from then
            # on. Where others have runs in this process, it must stay.
            if not _open and wandb.run is None:
                forget_service(wandb)
            raise _of_start(error) from error
    _open[_mark(run)] = live
    return wandb, live


def _let_go(wandb: Any, run: RunInfo) -> None:
    """End an earlier start of the run in this process; what it had written is delivered again."""
    live = _open.pop(_mark(run), None)
    if live is not None:
        try:
            live.finish(exit_code=255)
        except Exception:  # noqa: BLE001 - its service has died, or does not answer
            forget_service(wandb)


def _init(wandb: Any, run: RunInfo, settings: Any, arguments: dict[str, Any]) -> Any:
    arguments |= {
        "id": names.run_id(run.run_id),
        "name": run.name,
        "project": names.project(run.project),
        "reinit": "create_new",
        "settings": settings,
    }
    try:
        return wandb.init(**arguments)
    except Exception as error:
        if not _is_of_service(error):
            raise
        forget_service(wandb)  # of an earlier run of this process; the next try starts one
    return wandb.init(**arguments)


def forget_service(wandb: Any) -> None:
    """Let go of the SDK's service process, which has died, or is to forget what it has."""
    with contextlib.suppress(Exception):
        wandb.teardown()


def finish(wandb: Any, run: RunInfo, live: Any, exit_code: int) -> None:
    """End the run; what was logged is in its file, or with the server, when this returns."""
    try:
        with translate_errors():
            live.finish(exit_code=exit_code)
    except CheckpointLostError:
        forget_service(wandb)  # it may still hold the run, which begins again
        raise
    finally:
        _open.pop(_mark(run), None)
    if not live.disabled and (written := Path(live.settings.sync_file)).exists():
        with written.open("rb") as file:
            os.fsync(file.fileno())


def address(live: Any) -> str | None:
    """Return the run's page, or, offline, its directory; None if W&B is disabled."""
    if live.disabled:
        return None
    if live.offline:
        return Path(live.settings.sync_dir).absolute().as_uri()
    return str(live.url) if live.url else None


def remove_earlier(run: RunInfo, root: Path, keep: Path | None = None) -> None:
    """Delete what an earlier start of this run has left on the disk; never other runs."""
    mark = _mark(run)
    ours = [
        *(root / mark).glob("wandb/*run-*"),  # see _own_root
        *(root / "wandb").glob(f"*run-*-{mark}"),
        *(root / ".wandb").glob(f"*run-*-{mark}"),
        # The SDK appends a number to the name of a directory that is there already.
        *(root / "wandb").glob(f"*run-*-{mark}-*"),
        *(root / ".wandb").glob(f"*run-*-{mark}-*"),
    ]
    for found in ours:
        if found != keep and not found.is_symlink():
            shutil.rmtree(found, ignore_errors=True)


def _mark(run: RunInfo) -> str:
    """Name this run, and no other of the same id, in the names of directories."""
    return hashlib.sha256(f"{run.project}\n{run.run_id}".encode()).hexdigest()[:8]


def _own_root(wandb: Any, root: Path, run: RunInfo) -> Path:
    """Return the root for SDKs that cannot mark a run's directory: one for this run alone."""
    return root if "x_sync_dir_suffix" in wandb.Settings.model_fields else root / _mark(run)


def _settings(wandb: Any, run: RunInfo, root: Path) -> dict[str, Any]:
    facts = run.facts
    wanted: dict[str, Any] = {
        "root_dir": str(root),
        "x_sync_dir_suffix": _mark(run),
        "symlink": False,
        "silent": True,
        "console": "off",
        "disable_code": True,
        "save_code": False,
        "disable_git": True,
        "disable_job_creation": True,
        "x_disable_stats": True,
        "x_disable_meta": True,
        "x_disable_machine_info": True,
        "x_save_requirements": False,
        "x_transaction_log_flush_interval": 1.0,
        "finish_timeout": FINISH_SECONDS,
        "finish_timeout_raises": True,
        "login_timeout": 1.0,
        "git_commit": git(run).get("commit"),
        "git_remote_url": git(run).get("remote"),
        "host": facts.get("host"),
        "program": (facts.get("argv") or [None])[0] or None,
        "x_stats_pid": facts.get("pid"),
    }
    if not os.environ.get("WANDB_INIT_TIMEOUT"):
        wanted["init_timeout"] = INIT_SECONDS
    known = wandb.Settings.model_fields
    return {name: value for name, value in wanted.items() if name in known and value is not None}


@contextlib.contextmanager
def _environment(cache: Path) -> Iterator[None]:
    """Keep the SDK from reporting errors to its maker, and from appending to an earlier run."""
    touched = ("WANDB_ERROR_REPORTING", "WANDB_CACHE_DIR", *_NOT_OURS)
    before = {name: os.environ.pop(name) for name in touched if name in os.environ}
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ["WANDB_CACHE_DIR"] = before.get("WANDB_CACHE_DIR") or str(cache)
    try:
        yield
    finally:
        for name in touched:
            os.environ.pop(name, None)
        os.environ.update(before)
