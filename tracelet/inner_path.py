"""A path inside a directory, opened from that directory's descriptor: no link leads out of it.

A run's directory may come from somebody else: a shared folder, a download. A link in it could have
another file overwritten, deleted or uploaded, and a pipe in it could make a reader wait for ever.
So whatever is inside a run is reached through this class only. The directory itself is where the
user says, also behind a link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from tracelet.errors import UnsafePathError

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_CHUNK = 1 << 20
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO})


def is_no_file(error: OSError) -> bool:
    """Return whether an error of opening means: there is no file, or a link or a pipe instead."""
    return error.errno in _NO_FILE


class InnerPath:
    """The path ``name`` inside the directory ``root``; the file need not exist.

    - Links inside of ``root`` are never followed: not that of the file, and not that of a folder.
      Opening one raises an OSError, and so does opening what is no regular file. Neither waits.
    - A file with several names is copied before it is written: the other name may be anywhere.

    Args:
        root: the directory.
        name: relative, POSIX.

    Raises:
        UnsafePathError: ``name`` leaves the directory.
    """

    __slots__ = ("_names", "root")

    @classmethod
    def of(cls, place: Path | InnerPath) -> InnerPath:
        """Return a place as it is; of a plain path, the folders may be links, and it may not."""
        return place if isinstance(place, InnerPath) else cls(place.parent, place.name)

    def __init__(self, root: Path, name: str = "") -> None:
        self.root = root
        self._names: tuple[str, ...] = ()
        if name:
            self._names = _checked(name)

    def __truediv__(self, name: str) -> InnerPath:
        inner = InnerPath(self.root)
        inner._names = (*self._names, *_checked(name))
        return inner

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InnerPath) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"InnerPath({str(self.root)!r}, {'/'.join(self._names)!r})"

    @property
    def path(self) -> Path:
        """The whole path: for messages, and for code that opens files itself."""
        return self.root.joinpath(*self._names)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._names[-1] if self._names else self.root.name

    @property
    def parent(self) -> InnerPath:
        """The folder that it is in."""
        inner = InnerPath(self.root)
        inner._names = self._names[:-1]
        return inner

    # -- looking ----------------------------------------------------------------------------------

    def stat(self) -> os.stat_result:
        """Return the status of the file itself, also if it is a link.

        Raises:
            OSError: it does not exist, or a folder of its path is a link.
        """
        if not self._names:
            return self.root.stat()
        with self._folder() as folder:
            return os.stat(self._names[-1], dir_fd=folder, follow_symlinks=False)

    def exists(self) -> bool:
        """Whether it exists; a link does."""
        return self._mode() != 0

    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self._mode())

    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self._mode())

    def size(self) -> int:
        """Return the size in bytes; 0 without such a file."""
        try:
            return self.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def names(self) -> list[str]:
        """Return the names in this directory.

        Raises:
            OSError: it is none, or cannot be read.
        """
        with self._opened(os.O_RDONLY | os.O_DIRECTORY) as folder:
            return os.listdir(folder)  # noqa: PTH208 - of a descriptor

    def files(self) -> Iterator[InnerPath]:
        """Yield the regular files in this directory and below, in order; none without it."""
        try:
            names = sorted(self.names())
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            inner = self / name
            if inner.is_dir():
                yield from inner.files()
            elif inner.is_file():
                yield inner

    def checked_path(self) -> Path:
        """Return the whole path for code that opens files itself: no part of it is a link now.

        Raises:
            OSError: a part is a link, or what is there is neither a regular file nor a directory.
        """
        place = self.root
        for name in self._names:
            place = place / name
            try:
                mode = place.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                break
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                what = "a link, which is not followed" if stat.S_ISLNK(mode) else "no regular file"
                raise OSError(errno.ELOOP, what, str(place))
        return self.path

    # -- opening ----------------------------------------------------------------------------------

    def open(self, flags: int = os.O_RDONLY, mode: int = 0o666, *, keep_names: bool = False) -> int:
        """Open a regular file, and return its descriptor.

        Args:
            flags: as for ``os.open``.
            mode: the permissions of a new file, less the umask.
            keep_names: write to a file of several names as it is, e.g. to lock it.

        Raises:
            OSError: it cannot be opened, or it is no regular file, e.g. a link.
        """
        with self._folder() as folder:
            file = self._open_in(folder, flags & ~os.O_TRUNC, mode)
            try:
                status = os.fstat(file)
                self._check_regular(status)
                if flags & (os.O_WRONLY | os.O_RDWR):
                    if status.st_nlink > 1 and not keep_names:
                        self._copy_in(folder, status.st_mode)
                        os.close(file)
                        file = -1
                        file = self._open_in(folder, flags & ~os.O_TRUNC, mode)
                    if flags & os.O_TRUNC:
                        os.ftruncate(file, 0)
            except BaseException:
                if file >= 0:
                    os.close(file)
                raise
            return file

    def _check_regular(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(self))

    def reading(self) -> BinaryIO:
        """Open the file for reading."""
        return os.fdopen(self.open(), "rb")

    def appending(self) -> BinaryIO:
        """Open the file for appending; make it if it is not there."""
        return os.fdopen(self.open(os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")

    def read_bytes(self) -> bytes:
        """Return the content.

        Raises:
            OSError: it cannot be read.
        """
        with self.reading() as file:
            return file.read()

    # -- changing ---------------------------------------------------------------------------------

    def replace(self, content: bytes) -> None:
        """Write ``content``; a reader sees the old content or the new one, never a part.

        Raises:
            OSError: the file cannot be written; the old one stays.
        """
        with self.replacing() as file:
            file.write(content)

    @contextlib.contextmanager
    def replacing(self) -> Iterator[IO[bytes]]:
        """Open another file, which takes the place of this one when the block has ended.

        Raises:
            OSError: the file cannot be written; the old one stays.
        """
        with self._folder() as folder, _temporary(folder, self._names[-1]) as (file, temporary):
            with os.fdopen(file, "w+b") as opened:
                yield opened
            os.replace(temporary, self._names[-1], src_dir_fd=folder, dst_dir_fd=folder)

    def link_to(self, source: InnerPath) -> None:
        """Give the file at ``source`` this name, too, at once, also where another file has it.

        Raises:
            OSError: the file system has no such links; or ``source`` is no regular file.
        """
        if not source.is_file():
            raise OSError(errno.EINVAL, "not a regular file", str(source))
        with self._folder() as folder, source._folder() as other:
            temporary = _temporary_name(self._names[-1])
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            os.link(
                source._names[-1], temporary, src_dir_fd=other, dst_dir_fd=folder,
                follow_symlinks=False,
            )  # fmt: skip
            self._move_in(folder, temporary)

    def refer_to(self, target: Path) -> None:
        """Make this name a symbolic link, at once, also where another file has it."""
        with self._folder() as folder:
            temporary = _temporary_name(self._names[-1])
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            os.symlink(target, temporary, dir_fd=folder)
            self._move_in(folder, temporary)

    def move_to(self, target: InnerPath) -> None:
        """Give the file another place, at once, also where another file is."""
        with self._folder() as folder, target._folder() as other:
            os.replace(self._names[-1], target._names[-1], src_dir_fd=folder, dst_dir_fd=other)

    def mkdir(self) -> InnerPath:
        """Make this directory and the folders that it is in, and return it; harmless if it exists.

        Raises:
            OSError: it cannot be made, e.g. because there is a file or a link of its name.
        """
        if not self._names:
            self.root.mkdir(parents=True, exist_ok=True)
            return self
        folder = os.open(self.root, _FOLDER)
        try:
            for name in self._names:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
                inner = self._enter(folder, name)
                os.close(folder)
                folder = inner
        finally:
            os.close(folder)
        return self

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the file; of a link, the link."""
        try:
            with self._folder() as folder:
                os.unlink(self._names[-1], dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            if not missing_ok:
                raise

    def remove_tree(self) -> None:
        """Remove a directory with all that is in it, as far as possible; links are not followed."""
        with contextlib.suppress(OSError), self._folder() as folder:
            shutil.rmtree(self._names[-1], ignore_errors=True, dir_fd=folder)

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes if it is longer."""
        if self.size() > size:
            file = self.open(os.O_WRONLY)
            try:
                os.ftruncate(file, size)
            finally:
                os.close(file)

    # -- the way there ----------------------------------------------------------------------------

    def _mode(self) -> int:
        try:
            return self.stat().st_mode
        except OSError:
            return 0

    @contextlib.contextmanager
    def _folder(self) -> Iterator[int]:
        """Give the descriptor of the folder that it is in."""
        folder = os.open(self.root, _FOLDER)
        try:
            for name in self._names[:-1]:
                inner = self._enter(folder, name)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _enter(self, folder: int, name: str) -> int:
        try:
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        except OSError as error:
            raise self._explained(error, folder, name) from None

    @contextlib.contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        """Give the descriptor of this directory."""
        if self._names:
            with self._folder() as folder:
                file = self._open_in(folder, flags, 0)
        else:
            file = os.open(self.root, flags | os.O_CLOEXEC)
        try:
            yield file
        finally:
            os.close(file)

    def _open_in(self, folder: int, flags: int, mode: int) -> int:
        name = self._names[-1]
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(name, flags, mode, dir_fd=folder)
        except OSError as error:
            raise self._explained(error, folder, name) from None

    def _explained(self, error: OSError, folder: int, name: str) -> OSError:
        """Return an error with the whole path; of a link, one that says so."""
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                return OSError(errno.ELOOP, "a link, which is not followed", str(self))
        except OSError:  # there is no such file
            pass
        return type(error)(error.errno, error.strerror, str(self))

    def _copy_in(self, folder: int, mode: int) -> None:
        """Replace a file of several names by a copy, which has this name only."""
        name = self._names[-1]
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(source, "rb") as content, _temporary(folder, name) as (file, temporary):
            os.fchmod(file, stat.S_IMODE(mode))
            with os.fdopen(file, "wb") as copy:
                shutil.copyfileobj(content, copy, _CHUNK)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)

    def _move_in(self, folder: int, temporary: str) -> None:
        try:
            os.replace(temporary, self._names[-1], src_dir_fd=folder, dst_dir_fd=folder)
        finally:  # a link to the same file is left where it is
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)


def _checked(name: str) -> tuple[str, ...]:
    names = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in names or not names or "\0" in name:
        raise UnsafePathError(f"a path below a directory, without '..', and not {name!r:.200}")
    return names if name.isascii() else tuple(map(_in_utf8, names))


def _in_utf8(name: str) -> str:
    """Return a name that is UTF-8 on the disk, whatever the locale of this process is."""
    try:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise UnsafePathError(f"no file can have the name {name!r:.200}") from None


def _temporary_name(name: str) -> str:
    # Several threads may write the same file at once. Not longer than the longest name.
    return f".{name[:40]}.{os.getpid()}-{threading.get_ident()}.tmp"


@contextlib.contextmanager
def _temporary(folder: int, name: str) -> Iterator[tuple[int, str]]:
    """Give a new file and its name; whoever gets it closes it. Remove it if the block raises."""
    temporary = _temporary_name(name)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(temporary, flags, 0o666, dir_fd=folder)
    except FileExistsError:  # of a process that was killed, or somebody's link
        os.unlink(temporary, dir_fd=folder)
        file = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        yield file, temporary
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
