"""Damages a finished run in one place at a time, and reads it in every way that there is.

``python fuzzing.py SEED FIRST LAST [FOLDER]`` makes the mutations ``FIRST`` to ``LAST`` of a seed,
and prints one line of JSON for each fault:

- a crash: an exception that is no ``TraceletError``, or a command that shows a traceback;
- a hang: a call that does not end in time; the process is ended with the traceback of the call;
- a silent change: an answer that differs, without a warning, a line of the log, an entry of the
  report or an exit code that says so.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import io
import itertools
import json
import logging
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import tracelet
from tracelet.cli import app

CALL_SECONDS = 5
"""The longest time of one call; all of them take milliseconds."""
MEMORY = 4 << 30
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBERS = [
    *(b"-1", b"0", b"1", b"2147483648", b"9007199254740993", b"9223372036854775808"),
    *(b"18446744073709551616", b"-9223372036854775809", b"1e300", b"-1e300", b"1e999", b"0.5"),
    *(b"1" * 400, b"NaN", b"Infinity", b'"NaN"', b"null", b"true", b"[]", b"{}", b'"x"'),
]
_WITH_NUMBERS = ("run.json", "cursors/local.json", "journal/")
_COMMANDS = (["runs", "--json"], ["runs"], ["show", "r", "--json"], ["show", "r"],
             ["compare", "r", "--json"], ["sync"])  # fmt: skip

# ------------------------------------------------------------------------------------ mutations

Mutate = Callable[[random.Random, Path, bytes], None]


def _bit(choose: random.Random, file: Path, content: bytes) -> None:
    changed = bytearray(content)
    changed[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
    file.write_bytes(changed)


def _byte(choose: random.Random, file: Path, content: bytes) -> None:
    at = choose.randrange(len(content))
    file.write_bytes(content[:at] + bytes([choose.randrange(256)]) + content[at + 1 :])


def _cut(choose: random.Random, file: Path, content: bytes) -> None:
    file.write_bytes(content[: choose.randrange(len(content))])


def _zeros(choose: random.Random, file: Path, content: bytes) -> None:
    at = choose.randrange(len(content))
    count = min(choose.randrange(1, 200), len(content) - at)
    file.write_bytes(content[:at] + b"\0" * count + content[at + count :])


def _number(choose: random.Random, file: Path, content: bytes) -> None:
    found = list(_NUMBER.finditer(content))
    if not found:
        _byte(choose, file, content)
        return
    one = choose.choice(found)
    file.write_bytes(content[: one.start()] + choose.choice(_NUMBERS) + content[one.end() :])


def _lines(change: Callable[[random.Random, list[bytes]], None]) -> Mutate:
    def mutate(choose: random.Random, file: Path, content: bytes) -> None:
        lines = content.splitlines(keepends=True)
        change(choose, lines)
        file.write_bytes(b"".join(lines))

    return mutate


def _duplicate(choose: random.Random, lines: list[bytes]) -> None:
    lines.insert(choose.randrange(len(lines) + 1), choose.choice(lines))


def _remove(choose: random.Random, lines: list[bytes]) -> None:
    del lines[choose.randrange(len(lines))]


def _swap(choose: random.Random, lines: list[bytes]) -> None:
    one, other = choose.randrange(len(lines)), choose.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _nested(choose: random.Random, file: Path, content: bytes) -> None:
    depth = choose.choice([100, 400, 900, 100_000])
    nest = b'{"a":' * depth + b"1" + b"}" * depth
    found = list(_NUMBER.finditer(content))
    at = choose.choice(found).span() if found else (0, 0)
    file.write_bytes(content[: at[0]] + nest + content[at[1] :])


def _deleted(_: random.Random, file: Path, __: bytes) -> None:
    file.unlink()


def _emptied(_: random.Random, file: Path, __: bytes) -> None:
    file.write_bytes(b"")


def _directory(_: random.Random, file: Path, __: bytes) -> None:
    file.unlink()
    file.mkdir()


MUTATIONS: list[tuple[str, Mutate, int]] = [
    ("bit", _bit, 6),
    ("byte", _byte, 4),
    ("cut", _cut, 4),
    ("zeros", _zeros, 2),
    ("number", _number, 10),
    ("duplicate", _lines(_duplicate), 3),
    ("remove", _lines(_remove), 3),
    ("swap", _lines(_swap), 2),
    ("nested", _nested, 2),
    ("deleted", _deleted, 1),
    ("emptied", _emptied, 1),
    ("directory", _directory, 1),
]


# -------------------------------------------------------------------------------------- the run


def make_run(folder: Path) -> Path:
    """Log a run of everything, in two processes, below ``folder``; return its directory."""
    script = """
    import subprocess, sys, tracelet
    from pathlib import Path
    exp = tracelet.start_logging("net", "p", run_id="r", tags={"team": "ml"}, capture=False)
    if len(sys.argv) > 1:
        exp.log_metrics({"child": 1.5, "other": 2}, iteration=3)
    else:
        exp.log_params({"model": {"depth": 18}, "nan": float("nan")}, lr=1e-3, layers=[1, 2])
        exp.log_params(long="x" * 70_000)
        for i in range(30):
            exp.log_metric("loss", 1 / (i + 1), iteration=i)
        exp.log_metric("nan", float("nan"), iteration=2**60)
        exp.log("a line of text")
        exp.set_user_properties(owner="ann")
        exp.connect_configuration(name="net", configuration={"a": [1, {"b": None}]})
        Path("model.bin").write_bytes(b"m" * 500)
        exp.log_artifact("model.bin", "models/model.bin")
        subprocess.run([sys.executable, __file__, "child"], check=True)
    exp.stop()
    """
    file = folder / "train.py"
    file.write_text("\n".join(line[4:] for line in script.splitlines()))
    subprocess.run([sys.executable, str(file)], cwd=folder, check=True, capture_output=True)
    return folder / ".tracelet/p/r"


def _answers_of_api() -> Any:
    run = tracelet.load_run("r")
    listed = [one.run_id for one in tracelet.runs()]
    contents = {}
    for name, path in run.artifacts.items():
        with contextlib.suppress(OSError):
            contents[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return [
        listed, run.run_id, run.name, run.project, run.status, run.reason, run.started, run.ended,
        dict(run.tags), dict(run.facts), run.backends,
        repr(run.params.flat()), repr(run.params.nested()),
        {name: list(map(repr, points)) for name, points in run.metrics.items()},
        contents, repr(dict(run.configurations)), repr(dict(run.properties)), repr(run.texts),
        repr(run.links), repr(run.report), not run.report.complete or run.report.skipped > 0,
    ]  # fmt: skip


def _answers_of(command: list[str]) -> Any:
    out, errors = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["tracelet", *command]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = app.run()
    finally:
        sys.argv = before
    return [code, out.getvalue(), errors.getvalue()]


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Reading:
    """What one reading of a run has answered, and whether it was said that something is wrong."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.answer: Any = None
        self.error: BaseException | None = None
        handler = _Log()
        logging.getLogger().addHandler(handler)
        faulthandler.dump_traceback_later(CALL_SECONDS, exit=True)
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                try:
                    self.answer = call()
                except Exception as error:  # noqa: BLE001 - what may come is the question
                    self.error = error
        finally:
            faulthandler.cancel_dump_traceback_later()
            logging.getLogger().removeHandler(handler)
        self.notices = [*handler.lines, *(str(one.message) for one in warned)]

    @property
    def crashed(self) -> bool:
        return self.error is not None and not isinstance(self.error, tracelet.TraceletError)

    def is_silent_change(self, whole: Reading) -> bool:
        if self.error is not None or self.notices:
            return False
        answer, expected = self.answer, whole.answer
        if answer == expected:
            return False
        if isinstance(answer[0], int):  # a command: its exit code, stdout, and stderr
            says = ("damaged", "pending", "cannot be read", "not there any more", "left out")
            return not (answer[0] or any(one in answer[1] + answer[2] for one in says))
        return not answer[-1]


def _make_old(directory: Path) -> None:
    """Make a run one of an older version, which has no seals and no checksums."""
    (directory / "seals.json").unlink()
    for file in (directory / "run.json", *directory.glob("cursors/*.json")):
        content = msgspec.json.decode(file.read_bytes())
        del content["check"]
        file.write_bytes(msgspec.json.encode(content))


def fuzz(seed: int, first: int, last: int, folder: Path) -> list[dict[str, Any]]:
    """Make the mutations, and return what went wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    os.environ |= {"COLUMNS": "300", "TRACELET_SYSTEM_METRICS": "off"}
    os.chdir(folder)
    directory = make_run(folder)
    whole = folder / "whole"
    directory.rename(whole)
    names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())
    calls: dict[str, Callable[[], Any]] = {"api": _answers_of_api}
    for command in _COMMANDS:
        calls[" ".join(command)] = lambda command=command: _answers_of(command)  # type: ignore[misc]

    def renew() -> None:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(whole, directory, symlinks=True)

    expected = {}
    for what, call in calls.items():
        renew()
        expected[what] = Reading(call)
        assert expected[what].error is None, (what, repr(expected[what].error))
        assert not expected[what].notices, (what, expected[what].notices)
    faults: list[dict[str, Any]] = []
    kinds = [kind for kind in MUTATIONS for _ in range(kind[2])]
    for number in range(first, last):
        choose = random.Random(f"{seed}-{number}")
        name = names[number % len(names)]
        kind, mutate, _ = choose.choice(kinds)
        # A run of an older version has no checksums: then nothing must crash or hang.
        is_old = number % 4 == 3
        renew()
        if is_old:
            _make_old(directory)
            name = choose.choice([one for one in names if one.startswith(_WITH_NUMBERS)])
            kind, mutate, _ = choose.choice([("number", _number, 1), ("nested", _nested, 1)])
        content = (directory / name).read_bytes()
        if not content and kind != "directory":
            kind, mutate = "deleted", _deleted
        state = choose.getstate()
        # Each way to read comes first once: what one reader mends, the next one does not see.
        ways = list(calls)
        for what in (choose.choice(ways), "api"):
            renew()
            if is_old:
                _make_old(directory)
            choose.setstate(state)
            mutate(choose, directory / name, content)
            mutation = {"seed": seed, "number": number, "file": name, "kind": kind, "reader": what}
            print(json.dumps({"trying": mutation}), file=sys.stderr, flush=True)
            reading = Reading(calls[what])
            if reading.crashed:
                faults.append({**mutation, "crash": repr(reading.error)[:500]})
            elif not is_old and reading.is_silent_change(expected[what]):
                found = msgspec.json.encode(reading.answer, enc_hook=repr).decode()
                was = msgspec.json.encode(expected[what].answer, enc_hook=repr).decode()
                same = (one == other for one, other in zip(found, was, strict=False))
                at = sum(itertools.takewhile(bool, same))
                faults.append(
                    {**mutation, "was": was[max(0, at - 60) : at + 60],
                     "silently": found[max(0, at - 60) : at + 60]}
                )  # fmt: skip
    return faults


def run_batch(seed: int, first: int, last: int) -> list[str]:
    """Make a batch of mutations in a process of its own; return what went wrong, a line each."""
    done = subprocess.run(
        [sys.executable, __file__, str(seed), str(first), str(last)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    faults = done.stdout.splitlines()
    if done.returncode != 0:
        lines = done.stderr.splitlines()
        trying = [line for line in lines if line.startswith('{"trying"')]
        rest = [line for line in lines if not line.startswith('{"trying"')]
        faults.append(f"hang or crash of the process: {trying[-1:]}\n" + "\n".join(rest[-60:]))
    return faults


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for fault in fuzz(*map(int, sys.argv[1:4]), Path(place).resolve()):
            print(json.dumps(fault))
