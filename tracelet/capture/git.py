"""Captures the state of the code: commit, branch, remote, and a diff of the uncommitted changes.

Promises:

- The start waits only for commands that read the repository's head. They take milliseconds, and are
  ended after a second if the disk or git hangs.
- Git makes the diff from the start on, in a process of its own. The end of the run waits some
  seconds for it; then the diff is left out with a warning.
- The diff leaves out files with the name of a secret; a line at its beginning names them.
- Without git or a repository there are no such facts, and no warning.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

from tracelet.capture.base import CaptureSource, Recorder
from tracelet.hookspecs import hookimpl

FILE = "tracelet/uncommitted.diff"
HEAD_SECONDS = 1.0
DIFF_SECONDS = 10.0
"""How long the end of a run waits for the diff, at most."""
DIFF_BYTES = 2_000_000
"""A larger diff is left out."""
_LAST_SECONDS = 0.5
_COMMIT = re.compile(r"[0-9a-f]{40,}")
_PASSWORD = re.compile(r"^([^@/:\[]*):(?!\d*/)(?:[^/]*|[^@]*)@")
"""User and password; the password may have a slash that is not escaped."""
_SHORT_PASSWORD = re.compile(r"^([^@/:\\]+):[^@]*@(?=[^@/]+:)")
"""The same in ``user:password@host:path``."""
_DIFF = (
    # A patch for "git apply", independent of the user's configuration of git.
    *("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative"),
    *("--submodule=short", "--src-prefix=a/", "--dst-prefix=b/", "HEAD"),
)


_FILE = re.compile(rb"^(?=diff --git )", re.MULTILINE)
_OF_SECRETS = re.compile(
    rb"[ /](?:\.env(?:\.[^/\n]*)?|[^/\n]*(?:credential|secret)[^/\n]*)\"?$", re.IGNORECASE
)
"""The end of the first line of a file's part of a diff: the name of a file with secrets."""


class Repository:
    """The commands that read the head of a directory's repository; they are started at once."""

    def __init__(self, directory: Path) -> None:
        self._questions = {
            "place": _git(directory, "rev-parse", "--show-toplevel", "HEAD"),
            "branch": _git(directory, "symbolic-ref", "--quiet", "--short", "HEAD"),
            "remotes": _git(directory, "config", "--get-regexp", r"^remote\..*\.url$"),
        }

    def answers(self, deadline: float) -> dict[str, str | None] | None:
        """Return commit, branch, remote and root; None if the directory is in no repository.

        A command that runs at the deadline, a time of ``time.monotonic()``, is killed.
        """
        answers = {name: _answer(asked, deadline) for name, asked in self._questions.items()}
        root, _, commit = answers["place"].partition("\n")
        if not root:  # no repository, or git does not trust it
            return None
        return {
            "commit": commit if _COMMIT.fullmatch(commit) else None,  # "HEAD" before the first one
            "branch": answers["branch"] or None,  # no branch is checked out
            "remote": _remote(answers["remotes"]),
            "root": root,
        }


class Git(CaptureSource):
    """Adds the commit to the facts of the run, and records the uncommitted changes."""

    name: ClassVar[str] = "git"

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._diff: subprocess.Popen[bytes] | None = None
        self._problem: str | None = None

    def start(self, recorder: Recorder) -> None:
        deadline = time.monotonic() + HEAD_SECONDS
        for directory in code_directories():
            facts = Repository(directory).answers(deadline)
            if facts is None:
                continue
            recorder.facts({"git": facts})
            if facts["commit"] is not None:
                self._compare(recorder, directory)
            return

    def stop(self) -> None:
        """Wait for the diff; end git if it takes too long."""
        if self._thread is None or self._diff is None:
            return
        self._thread.join(DIFF_SECONDS)
        if self._thread.is_alive():
            _end(self._diff)
            self._problem = "the diff of the uncommitted changes was not ready in time"
        if self._problem is not None:
            raise RuntimeError(self._problem)

    def _compare(self, recorder: Recorder, directory: Path) -> None:
        self._diff = _git(directory, *_DIFF)
        if self._diff is not None:
            self._thread = threading.Thread(
                target=self._collect, args=(recorder, self._diff), name="tracelet-git", daemon=True
            )
            self._thread.start()

    def _collect(self, recorder: Recorder, diff: subprocess.Popen[bytes]) -> None:
        assert diff.stdout is not None
        with diff.stdout as output:
            content = output.read(DIFF_BYTES + 1)
            if len(content) > DIFF_BYTES:
                diff.kill()
                self._problem = (
                    f"the diff of the uncommitted changes has more than {DIFF_BYTES:,} bytes"
                )
            elif diff.wait() != 0:
                self._problem = "git could not make the diff of the uncommitted changes"
            elif content:
                recorder.file(FILE, without_files_of_secrets(content))
        diff.wait()


def without_files_of_secrets(diff: bytes) -> bytes:
    """Return a diff without the files that are called ``.env``, ``*credential*`` or ``*secret*``.

    A line at the beginning names each of them; ``git apply`` ignores such lines.
    """
    notes, kept = [], []
    for part in _FILE.split(diff):
        heading = part.partition(b"\n")[0]
        if _OF_SECRETS.search(heading):
            notes.append(b"# not recorded, because of its name: " + heading[len("diff --git ") :])
        else:
            kept.append(part)
    return b"".join([*(note + b"\n" for note in notes), *kept])


def code_directories() -> list[Path]:
    """Return the directories of the program's code: of its script, and the working directory.

    A script among the installed packages, e.g. a launcher, is not the user's code.
    """
    found: list[Path] = []
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    with contextlib.suppress(OSError):  # the working directory was deleted
        if script is not None and not Path(script).absolute().is_relative_to(sys.prefix):
            found.append(Path(script).absolute().parent)
        if (here := Path.cwd()) not in found:
            found.append(here)
    return [directory for directory in found if directory.is_dir()]


def _git(directory: Path, *arguments: str) -> subprocess.Popen[bytes] | None:
    """Start git; return None if it is not installed, or cannot be started."""
    environment = {
        **os.environ,
        "GIT_OPTIONAL_LOCKS": "0",  # the user's git must not find the repository locked
        "GIT_TERMINAL_PROMPT": "0",
    }
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError:
        return None


def _answer(asked: subprocess.Popen[bytes] | None, deadline: float) -> str:
    """Return the output of git; ``""`` if git has not ended before the deadline."""
    if asked is None:
        return ""
    try:
        output, _ = asked.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _end(asked)
        if asked.stdout is not None:  # a child of git may still have the other end open
            asked.stdout.close()
        return ""
    return output.decode(errors="replace").strip()


def _end(asked: subprocess.Popen[bytes]) -> None:
    """Kill git, and wait a moment; git that hangs in the disk ends later."""
    asked.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        asked.wait(_LAST_SECONDS)


def _remote(lines: str) -> str | None:
    """Return the URL of ``origin``, else of the first remote, without user and password."""
    found: dict[str, str] = {}
    for line in lines.splitlines():
        key, _, url = line.partition(" ")
        found.setdefault(key, without_credentials(url))
    return found.get("remote.origin.url", next(iter(found.values()), None))


def without_credentials(url: str) -> str:
    """Return a URL without password and, unless it is ssh, without user."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _SHORT_PASSWORD.sub(r"\1@", url)
    host, slash, path = _PASSWORD.sub(r"\1@", rest).partition("/")
    user = host.rpartition("@")[0]
    # The user of "ssh://git@host" is no secret.
    keep = f"{user}@" if scheme.endswith("ssh") and user else ""
    return f"{scheme}://{keep}{host.rpartition('@')[2]}{slash}{path}"


@hookimpl
def tracelet_capture() -> type[CaptureSource]:
    return Git
