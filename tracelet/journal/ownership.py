"""Whether a directory was made by this user, on this machine: only then is it more than data.

Each directory of a run has a mark, ``owner.mark``. It is a keyed hash of the number that the file
system has given to the directory and to the mark itself. The key is in a file of the user's, which
nobody else can read. So a directory that was copied, unpacked or downloaded has no valid mark, even
if it was a copy of one's own; one that was renamed, or moved on the same disk, has.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import secrets
import stat
from pathlib import Path

from tracelet.inner_path import InnerPath

MARK = "owner.mark"
_KEY_VARIABLE = "TRACELET_INTERNAL_KEY"
"""Has the key where the user has no directory to keep it in: for child processes."""
_KEY_BYTES = 32


def state_directory() -> Path | None:
    """Return the directory of what tracelet keeps for this user on this machine, or None.

    It is ``tracelet`` in ``XDG_STATE_HOME``, else in ``~/.local/state``; it need not exist.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(given):
        return Path(given, "tracelet")
    try:
        return Path.home() / ".local" / "state" / "tracelet"
    except RuntimeError:  # a user without an entry and without HOME
        return None


def claim(directory: InnerPath) -> None:
    """Mark a directory as this user's.

    Raises:
        OSError: the mark cannot be written.
    """
    with (directory / MARK).replacing() as file:
        file.write(_mark(_key(make=True), directory.stat(), os.fstat(file.fileno())))


def is_own(directory: InnerPath) -> bool:
    """Return whether a directory has the mark of this user and this machine."""
    key = _key()
    if not key:
        return False
    try:
        with (directory / MARK).reading() as file:
            found = file.read(200)
            wanted = _mark(key, directory.stat(), os.fstat(file.fileno()))
    except OSError:
        return False
    return secrets.compare_digest(found, wanted)


def owner_of(directory: Path) -> str:
    """Say whose directory it is that is not this user's, for a message."""
    try:
        uid = directory.stat().st_uid
    except OSError:
        return "of somebody else"
    if uid == os.geteuid():
        return "that was not made here: it was copied, moved or downloaded"
    try:
        return f"of the user {pwd.getpwuid(uid).pw_name!r}"
    except KeyError:
        return f"of the user {uid}"


def _mark(key: bytes, directory: os.stat_result, mark: os.stat_result) -> bytes:
    what = f"{directory.st_ino}:{mark.st_ino}".encode()
    return hashlib.blake2b(what, key=key, digest_size=32).hexdigest().encode() + b"\n"


def _key(*, make: bool = False) -> bytes:
    """Return the key of this user; ``b""`` if there is none."""
    place = state_directory()
    key = _read_key(place) if place is not None else b""
    if not key and make and place is not None:
        with contextlib.suppress(OSError):
            _make_key(place)
            key = _read_key(place)
    if key:
        return key
    with contextlib.suppress(ValueError):
        key = bytes.fromhex(os.environ.get(_KEY_VARIABLE, ""))
    if not key and make:
        key = secrets.token_bytes(_KEY_BYTES)
        os.environ[_KEY_VARIABLE] = key.hex()
    return key


def _read_key(place: Path) -> bytes:
    """Return the key in a directory; ``b""`` if there is none, or others can read or write it."""
    try:
        fd = os.open(place / "key", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        status = os.fstat(fd)
        is_private = status.st_uid == os.geteuid() and not status.st_mode & 0o077
        if not (stat.S_ISREG(status.st_mode) and is_private):
            return b""
        key = os.read(fd, _KEY_BYTES)
    finally:
        os.close(fd)
    return key if len(key) == _KEY_BYTES else b""


def _make_key(place: Path) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = place / f".key-{secrets.token_hex(8)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, secrets.token_bytes(_KEY_BYTES))
        os.fsync(fd)
        with contextlib.suppress(FileExistsError):  # another process has made it meanwhile
            os.link(temporary, place / "key")
    finally:
        os.close(fd)
        temporary.unlink(missing_ok=True)
