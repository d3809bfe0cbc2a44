"""Whoever reads or delivers a run that somebody else has made loses nothing by it.

Each attack of ``hostile_runs`` is read by ``load_run``, ``runs``, ``show``, ``compare``, and then
delivered and resumed, in a process of its own: by somebody who has downloaded the run and, where
the tests run as root, by another user, and by root. Afterwards nothing has changed, neither outside
of the runs nor in them; nobody called an address, or imported a module, that a run names.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hostile_runs import ATTACKS, SCRIPT, SECRET, Outside, make_outside
from user_scripts import TESTS, run_script

READERS = ["downloaded", *(["another user", "root"] if os.geteuid() == 0 else [])]
NOBODY = 54321
"""A user who owns nothing."""

READING = r"""
import contextlib, io, json, os, pathlib, sys, tracelet
from tracelet.cli import app

def command(*words):
    sys.argv = ["tracelet", *words]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = app.run()
    return code, out.getvalue()

def read(root, name):
    path, said = os.path.join(root, "shared", name), []
    try:
        run = tracelet.load_run(path)
        _ = dict(run.params), dict(run.metrics), run.configurations, run.properties, run.texts
        _ = run.report, run.links, run.tags, run.facts, repr(run)
        for content in run.artifacts.values():
            if not content.is_relative_to(path):
                said.append(f"an artifact is {content}")
        try:
            run.params.set(mine=1)
            said.append("a parameter was added")
        except (tracelet.TraceletError, OSError):
            pass
    except (tracelet.TraceletError, OSError) as error:
        said.append(f"unreadable: {error}")
    texts = [command("show", path), command("compare", path, path), command("show", "--json", path)]
    texts.append(command("sync", path, "--timeout", seconds))
    try:
        tracelet.start_logging(dir=root, project="shared", resume=name).stop()
        said.append("it was resumed")
    except (tracelet.TraceletError, OSError):
        pass
    if any("\x1b" in text or "\x9b" in text for _, text in texts):
        said.append("escape sequences")
    if any("Traceback" in text for _, text in texts):
        said.append(f"a traceback: {texts}")
    return said

def read_all(root, names, backend):
    found = {name: read(root, name) for name in names}
    tracelet.runs(dir=root)
    _, text = command("runs", "--dir", root)
    if "\x1b" in text or "\x9b" in text:
        found["runs"] = ["escape sequences"]
    command("sync", "--dir", root)
    command("replay", os.path.join(root, "shared", names[0]), "--backend", backend, "-t", seconds)
    return found

root, names, backend, warm, home, uid = sys.argv[1:]
seconds = "30"
if int(uid):  # its Python may be where this user cannot read: what is needed is loaded before
    read_all(warm, ["base"], backend)
    os.setgroups([])
    os.setresgid(int(uid), int(uid), int(uid))
    os.setresuid(int(uid), int(uid), int(uid))
    seconds = "0"  # nor can it start a courier then
os.environ["HOME"] = home
pathlib.Path("found.json").write_text(json.dumps(read_all(root, json.loads(names), backend)))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can enter."""
    directory = Path(tempfile.mkdtemp(prefix="tracelet-tests-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server that nobody must call, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_PUT = do_GET  # noqa: N815 - the names of the server

        def log_message(self, *_: object) -> None:
            """Keep it to itself."""

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def snapshot(directory: Path) -> dict[str, Any]:
    """Return everything below a directory: kind, permissions, time and content."""
    found: dict[str, Any] = {}
    for folder, folders, names in os.walk(directory):
        for name in (*folders, *names):
            path = Path(folder, name)
            status = path.lstat()
            content: Any = None
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = path.readlink()
            key = str(path.relative_to(directory))
            found[key] = status.st_mode, status.st_uid, status.st_mtime_ns, content
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def give_to(directory: Path, uid: int) -> None:
    for folder, folders, names in os.walk(directory):
        for name in (*folders, *names):
            os.chown(Path(folder, name), uid, uid, follow_symlinks=False)
    os.chown(directory, uid, uid)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("reader", READERS)
def test_nobody_loses_anything_by_a_hostile_run(
    reader: str, part: int, tmp_path: Path, place: Path, server: tuple[str, list[str]]
) -> None:
    address, asked = server
    run_script(tmp_path, SCRIPT)
    base, root = tmp_path / ".tracelet/shared/base", place / "runs"
    names: dict[str, str] = {}
    outsides: dict[str, Outside] = {}
    for number, (what, attack) in enumerate(list(ATTACKS.items())[part::4]):
        name = f"run{number}"
        run = root / "shared" / name
        shutil.copytree(base, run, symlinks=True)
        outsides[name] = make_outside(place / "outside" / name, address)
        attack(run, outsides[name])
        names[name] = what
    home = place / "home"
    (home / "store").mkdir(parents=True)
    (home / "evil_module.py").write_text("open('imported', 'w')\n")
    uid = 0
    shutil.copytree(base, place / "warm/shared/base", symlinks=True)
    if reader == "another user":
        uid = NOBODY
        give_to(home, NOBODY)
        give_to(place / "outside", NOBODY)
    elif reader == "root":
        give_to(root, NOBODY)
    before = {name: snapshot(place / name) for name in ("outside", "runs")}
    target = "backends_for_tests:Light"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            READING,
            str(root),
            json.dumps(list(names)),
            target,
            str(place / "warm"),
            str(home),
            str(uid),
        ],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(place / "warm"),
            "PYTHONPATH": os.pathsep.join([str(home), str(TESTS)]),
            "TRACELET_BACKEND": target,
            "TRACELET_BACKENDS__LIGHT__STORE": str(home / "store"),
        },
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((home / "found.json").read_text())
    wrong = {
        names[name]: bad
        for name, said in found.items()
        if name and (bad := [one for one in said if not one.startswith("unreadable")])
    }
    assert wrong == {}
    for where, was in before.items():
        told = {}
        for key in changes(was, snapshot(place / where)):
            told[key] = [names[part] for part in Path(key).parts if part in names]
        assert told == {}, where
    assert asked == []
    assert not (home / "imported").exists()
    kept = "".join(file.read_text(errors="replace") for file in home.rglob("*") if file.is_file())
    assert SECRET not in kept
    assert "weights" in kept, "what is not refused is delivered to the reader's own backend"
