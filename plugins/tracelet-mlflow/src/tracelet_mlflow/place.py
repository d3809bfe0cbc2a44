"""Where MLflow is, and how a call to it is kept within bounds; nothing lands in the cwd unasked.

MLflow's own defaults put a database and ``mlruns/`` into whatever directory the process is in, try
a dead server for four minutes, and break when two processes open one fresh SQLite database.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import psutil

from tracelet.errors import SettingsError, TransientError
from tracelet.records import RunInfo

log = logging.getLogger(__name__)
VARIABLE = "MLFLOW_TRACKING_URI"
REQUEST_SECONDS = 20
"""The longest that one request waits; a call of a few of them stays within its time bound."""

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]+)(\?.*)?")
_QUIET_SECONDS = 20.0
"""So long nothing happens to a database that is being made before it counts as left half made."""
_PAUSE_SECONDS = 0.1
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def set_environment() -> None:
    """Set what MLflow reads from the environment: bounds for requests, and silence.

    The courier tries again what failed, with backoff, so MLflow must not.
    """
    timeout = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "")
    seconds = min(int(timeout), REQUEST_SECONDS) if timeout.isdigit() else REQUEST_SECONDS
    os.environ.update(
        MLFLOW_HTTP_REQUEST_TIMEOUT=str(seconds),
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="0",
        MLFLOW_HTTP_REQUEST_BACKOFF_JITTER="0",
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    )


def check_uri(uri: str | None) -> None:
    """Refuse a store that MLflow has retired, while somebody is there to read the refusal.

    Raises:
        SettingsError: it is a directory of files, and MLflow was not told to accept such.
    """
    is_files = uri is not None and (urlsplit(uri).scheme == "file" or uri.startswith((".", os.sep)))
    if is_files and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("1", "true"):
        raise SettingsError(
            f"MLflow has retired its store of plain files ({uri!r}); a database in a file does the "
            "same, such as backends.mlflow.tracking_uri = 'sqlite:///mlflow.db'"
        )


def tracking_uri(option: str | None, run: RunInfo) -> str:
    """Return the address of the tracking server or store, the same from any directory.

    The option, else ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` beside the projects of the runs. A
    relative path is meant from where the run was started.
    """
    uri = option or os.environ.get(VARIABLE) or f"sqlite:///{runs_root(run).as_posix()}/mlflow.db"
    sqlite = _SQLITE.fullmatch(uri)
    if sqlite is not None and sqlite[2] != ":memory:":
        return f"{sqlite[1]}{_absolute(sqlite[2], run).as_posix()}{sqlite[3] or ''}"
    return _absolute(uri, run).as_posix() if uri.startswith(".") else uri


def artifact_location(option: str | None, uri: str, experiment: str, run: RunInfo) -> str | None:
    """Return where a new experiment keeps its artifacts; None leaves it to the server."""
    if option:
        return option if urlsplit(option).scheme else _absolute(option, run).as_uri()
    if not uri.startswith(_DATABASES):
        return None
    database = database_file(uri)
    folder = re.sub(r"[^\w.-]", "_", experiment)[:100].strip(".") or "_"
    return (_beside(database or runs_root(run) / "mlflow") / folder).as_uri()


def local_stores(uri: str, location: str | None, run: RunInfo) -> list[Path]:
    """Return the files and folders of this machine where MLflow keeps its runs.

    Args:
        uri: the address of the store.
        location: the option ``artifact_location``.
        run: a run.
    """
    found = []
    if (database := database_file(uri)) is not None:
        found = [Path(f"{database}{end}") for end in ("", "-wal", "-shm", ".lock")]
        found += [_beside(database), database.with_name("mlruns")]
    for folder in (uri, location):
        parts = urlsplit(folder or "")
        if parts.scheme in ("", "file") and parts.path:
            found.append(_absolute(url2pathname(parts.path), run))
    return found


def _beside(database: Path) -> Path:
    """Return the folder of the artifacts of a database."""
    return database.with_name(f"{database.with_suffix('').name}-artifacts")


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for any other store."""
    sqlite = _SQLITE.fullmatch(uri)
    return Path(sqlite[2]) if sqlite is not None and sqlite[2] != ":memory:" else None


def run_url(uri: str, experiment_id: str, run_id: str) -> str | None:
    """Return the page of a run, without credentials; None if no server shows it."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return None
    base = urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", "")
    )
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}"


def connect(uri: str) -> Any:
    """Import MLflow and return a client of the store, which exists when this returns."""
    set_environment()
    from mlflow import MlflowClient

    database = database_file(uri)
    if database is not None and not _is_complete(database):
        _make_store(database)
    return MlflowClient(tracking_uri=uri)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock on a file, which is made, as long as the block runs; wait for other holders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_store(database: Path) -> None:
    """Make sure that a database exists and has MLflow's tables.

    MLflow's migrations cannot share a database: if two programs open a new one at the same moment,
    both fail, and so does every later try. So it is made under another name, and appears whole. If
    another program is making it, that is waited for; one that was left half made is set aside.
    """
    with locked(database.with_name(f"{database.name}.lock")):
        if database.exists() and not _is_complete(database):
            _wait_for_another_program(database)
        if not database.exists():
            new = database.with_name(f".{database.name}.new")
            _remove(new)  # of a process that was killed
            try:
                _migrate(new)
                with contextlib.suppress(FileExistsError):  # another program was faster
                    os.link(new, database)
            finally:
                _remove(new)
        if not _is_complete(database):
            _wait_for_another_program(database)


def _remove(database: Path) -> None:
    for end in ("", "-journal"):
        Path(f"{database}{end}").unlink(missing_ok=True)


def _migrate(new: Path) -> None:
    """Have MLflow make its tables in a new database, and close it."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{new}", str(Path("mlruns").absolute()))
    store.engine.dispose()


def _wait_for_another_program(database: Path) -> None:
    """Wait until another program has made the tables; set aside what it has left half made.

    Raises:
        TransientError: it is still being made.
    """
    seen, since = None, time.monotonic()
    while not _is_complete(database):
        state = [_state(file) for file in (database, Path(f"{database}-journal"))]
        if state != seen:
            seen, since = state, time.monotonic()
        elif time.monotonic() - since > _QUIET_SECONDS:
            break
        time.sleep(_PAUSE_SECONDS)
    else:
        return
    if not _is_half_made(database):
        return  # it has tables of another program: MLflow adds its own, or says what is wrong
    if _is_open(database):
        raise TransientError(f"another program is making the store {database}")
    aside = database.with_name(f"{database.name}.half-made-{time.time():.0f}")
    database.rename(aside)
    Path(f"{database}-journal").unlink(missing_ok=True)
    log.warning(
        "%s was left half made by a program that is gone, and has no runs: it is %s now",
        database,
        aside.name,
    )


def _is_open(file: Path) -> bool:
    """Return whether another process has a file open, as far as this user can tell."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            names = [] if process.pid == os.getpid() else process.open_files()
            if any(one.path == str(file.resolve()) for one in names):
                return True
    return False


def _state(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _is_complete(database: Path) -> bool:
    """Return whether MLflow has made its tables; their first row is the last thing it writes."""
    return bool(_count(database, "SELECT count(*) FROM experiments"))


def _is_half_made(database: Path) -> bool:
    """Return whether a database has nothing but some of MLflow's tables, or no table at all."""
    names = "'alembic_version', 'experiments', 'metrics', 'runs'"
    tables = _count(database, "SELECT count(*) FROM sqlite_master WHERE type = 'table'")
    own = _count(database, f"SELECT count(*) FROM sqlite_master WHERE name IN ({names})")
    return tables == 0 or bool(own)


def _count(database: Path, query: str) -> int | None:
    """Return the answer of a query; None if the database has none."""
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as made:
            return int(made.execute(query).fetchone()[0])
    except sqlite3.Error:
        return None


def runs_root(run: RunInfo) -> Path:
    """Return the directory of all runs."""
    return Path(run.dir).parent.parent


def _absolute(path: str, run: RunInfo) -> Path:
    return Path(run.facts.get("cwd") or Path.cwd(), path)
