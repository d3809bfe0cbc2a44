"""What may become a path, an address or a name of a file: one rule for logging and reading.

A journal may come from somebody else. So its records are held against the same rules as the calls
that write them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from tracelet.errors import InvalidValueError, UnsafePathError

_LONGEST_NAME, _LONGEST_PATH = 255, 3000
"""The largest number of bytes of a name, and of a path below the run, in file systems."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")
_BACKEND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SCHEMES = frozenset({"http", "https", "file", "memory", "s3", "gs"})
"""Of addresses that are shown. A browser runs none of them as a program."""


def safe_destination(given: str) -> str:
    """Return the destination of an artifact as a normal relative POSIX path.

    Raises:
        UnsafePathError: the destination is absolute, empty, or contains ``..``.
    """
    place = PurePosixPath(given.replace(os.sep, "/"))
    absolute = place.is_absolute() or Path(given).is_absolute()
    if absolute or ".." in place.parts or not place.name or "\0" in given:
        raise UnsafePathError(
            f"the destination of an artifact is a relative path below the run, such as "
            f"'models/last.pt', without '..': {given!r}"
        )
    return str(place)


def check_path_length(what: str, place: str) -> None:
    """Check that file systems can store a path.

    Raises:
        InvalidValueError: the path, or a name in it, is too long.
    """
    name = max(place.split("/"), key=lambda part: len(part.encode()))
    for part, longest in (name, _LONGEST_NAME), (place, _LONGEST_PATH):
        if (size := len(part.encode())) > longest:
            raise InvalidValueError(
                f"{what} is too long: {size:,} bytes, and file systems keep at most {longest:,}: "
                f"{part[:60]!r}…"
            )


def config_path(name: str, suffix: str) -> str:
    """Return where the file of a configuration object is kept as an artifact.

    A file cannot be called ``q/r``: it has ``_`` there, and what tells it from that of ``q_r``.
    """
    stem = name.removesuffix(suffix)
    if "/" in stem:
        import hashlib  # start-up time: 3 ms that few names need

        mark = hashlib.sha256(name.encode()).hexdigest()[:8]
        stem = f"{stem.replace('/', '_')}-{mark}"
    return f"configs/{stem}{suffix}"


def check_config(name: str, suffix: str) -> None:
    """Raise InvalidValueError if a file cannot have the name of a configuration object."""
    file = config_path(name, suffix)
    is_one_name = file.count("/") == 1 and "/" not in suffix
    if "\0" in file or not is_one_name or file.endswith(("/", "/.", "/..")):
        raise InvalidValueError(f"the name of a configuration becomes that of a file: not {name!r}")
    check_path_length("the name of a configuration", file)


def check_digest(digest: str) -> None:
    """Raise InvalidValueError unless a digest is a SHA-256 in hexadecimal."""
    if not _DIGEST.fullmatch(digest):
        raise InvalidValueError(f"a digest has 64 hexadecimal digits: not {digest!r:.100}")


def check_backend_name(name: object) -> None:
    """Raise InvalidValueError unless a backend can have this name; files are named after it."""
    if not (isinstance(name, str) and _BACKEND.fullmatch(name) and len(name) < _LONGEST_NAME - 20):
        raise InvalidValueError(
            f"a backend's name is made of letters, digits, '_', '-' and '.': {name!r:.200}"
        )


def slug(text: str, longest: int = 160) -> str:
    """Return ``text`` as a valid file name, for a project's directory or a run id.

    Args:
        text: any ``str``.
        longest: the most bytes of the name; file systems take 255.
    """
    safe = _UNSAFE.sub("_", text.encode(errors="replace").decode()).strip(". ")
    return safe.encode()[:longest].decode(errors="ignore").strip(". ") or "_"


def check_run_id(run_id: str) -> None:
    """Raise InvalidValueError unless a directory can have this name."""
    if slug(run_id) != run_id:
        raise InvalidValueError(f"a run id is the name of a directory: not {run_id!r:.200}")


def safe_url(url: str | None) -> str | None:
    """Return the address of a run's page; None if it is none that a browser opens as a page.

    ``javascript:`` and the like are not, and neither is what has control characters in it.
    """
    if url is None or not url.isprintable():
        return None
    return url if url.partition(":")[0].lower() in _SCHEMES else None
