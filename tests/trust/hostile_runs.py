"""Runs that were made to do harm: each file of a run, and each field that becomes a path or more.

An attack changes the copy of a real run. ``Outside`` is what it is after: files of the reader's, a
module that must not be imported, an address that must not be called.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SECRET = "-----BEGIN OPENSSH PRIVATE KEY----- do not upload"
SCRIPT = """
import pathlib, tracelet
pathlib.Path("model.txt").write_text("weights")
pathlib.Path("settings.yaml").write_text("a: 1")
with tracelet.start_logging("base", "shared", run_id="base", params={"lr": 0.1}) as exp:
    exp.set_tags(team="ml")
    for iteration in range(20):
        exp.log_metric("loss", 0.5, iteration=iteration)
    exp.log_artifact("model.txt", "models/last.txt")
    exp.connect_configuration("settings.yaml", name="settings")
    exp.connect_configuration({"a": 1}, name="values")
    exp.set_user_properties(reviewer="ada")
    exp.log("hello")
    exp.log_params({"long": "x" * 70_000})
"""


class Outside(NamedTuple):
    """What an attack is after.

    Attributes:
        directory: of the reader: ``victim.txt``, ``secret.txt`` and ``folder/keep.txt``.
        address: a server that nobody must call.
    """

    directory: Path
    address: str

    @property
    def victim(self) -> Path:
        return self.directory / "victim.txt"

    @property
    def secret(self) -> Path:
        return self.directory / "secret.txt"

    @property
    def folder(self) -> Path:
        return self.directory / "folder"


def make_outside(directory: Path, address: str) -> Outside:
    outside = Outside(directory, address)
    outside.folder.mkdir(parents=True)
    outside.victim.write_text("alias ll='ls -l'\n" * 50)
    outside.secret.write_text(SECRET)
    (outside.folder / "keep.txt").write_text("keep")
    (outside.folder / "keep-1-0.jsonl").write_text("keep")
    return outside


Attack = Callable[[Path, Outside], None]
ATTACKS: dict[str, Attack] = {}

FILES = (
    "run.json",
    "cursors/local.json",
    "cursors/light.json",
    "courier.lock",
    "ending.lock",
    "courier.log",
    "retry.request",
    "journal.path",
    "owner.mark",
    "metrics.jsonl",
    "parameters.json",
    "properties.json",
    "log.txt",
    "console.log",
    "console.reader",
    "artifacts/models/last.txt",
    "configs/settings.yaml",
    "tracelet/packages.txt",
    "rejected/light.jsonl",
    "scratch/light/log.txt",
    "exit/1",
)
FOLDERS = (
    "cursors",
    "journal",
    "blobs",
    "artifacts",
    "artifacts/models",
    "configs",
    "rejected",
    "scratch",
    "exit",
    "tracelet",
)


def attack(name: str) -> Callable[[Attack], Attack]:
    def keep(function: Attack) -> Attack:
        ATTACKS[name] = function
        return function

    return keep


def remove(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _on_file(file: str) -> None:
    @attack(f"link to a file at {file}")
    def link(run: Path, outside: Outside) -> None:
        remove(run / file)
        (run / file).symlink_to(outside.victim)

    @attack(f"link to a secret at {file}")
    def link_to_secret(run: Path, outside: Outside) -> None:
        remove(run / file)
        (run / file).symlink_to(outside.secret)

    @attack(f"pipe at {file}")
    def pipe(run: Path, outside: Outside) -> None:
        remove(run / file)
        os.mkfifo(run / file)

    @attack(f"second name of a file at {file}")
    def second_name(run: Path, outside: Outside) -> None:
        remove(run / file)
        (run / file).hardlink_to(outside.victim)

    @attack(f"directory at {file}")
    def directory(run: Path, outside: Outside) -> None:
        remove(run / file)
        (run / file).mkdir()


def _on_folder(folder: str) -> None:
    @attack(f"link to a folder at {folder}")
    def link(run: Path, outside: Outside) -> None:
        remove(run / folder)
        (run / folder).symlink_to(outside.folder)


for _file in FILES:
    _on_file(_file)
for _folder in FOLDERS:
    _on_folder(_folder)


@attack("segment that is a link")
def _segment(run: Path, outside: Outside) -> None:
    for file in (run / "journal").iterdir():
        file.with_name("host-1-9.jsonl").symlink_to(outside.secret)


@attack("segment that is a pipe")
def _segment_pipe(run: Path, outside: Outside) -> None:
    os.mkfifo(run / "journal" / "host-1-9.jsonl")


@attack("compressed segment that is a link")
def _packed(run: Path, outside: Outside) -> None:
    (run / "journal" / "host-1-9.jsonl.gz").symlink_to(outside.secret)


@attack("blobs that are links to a secret")
def _blobs(run: Path, outside: Outside) -> None:
    for file in (run / "blobs").glob("*/*"):
        remove(file)
        file.symlink_to(outside.secret)


@attack("blobs that are other names of a secret")
def _blob_names(run: Path, outside: Outside) -> None:
    for file in (run / "blobs").glob("*/*"):
        remove(file)
        file.hardlink_to(outside.secret)


@attack("journal elsewhere")
def _journal_path(run: Path, outside: Outside) -> None:
    (run / "journal.path").write_text(f"{outside.folder}\n")


# -- records --------------------------------------------------------------------------------------


def lines_of(run: Path) -> tuple[Path, list[list[Any]]]:
    (file,) = (run / "journal").glob("*.jsonl")
    return file, [json.loads(line) for line in file.read_text().splitlines()]


def edit(run: Path, tag: str, change: Callable[[list[Any]], object]) -> None:
    """Change the records of a kind."""
    file, lines = lines_of(run)
    changed = [line for line in lines if line[0] == tag]
    assert changed, tag
    for line in changed:
        change(line)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def add(run: Path, *records: list[Any]) -> None:
    """Put records before the ending."""
    file, lines = lines_of(run)
    lines[-1:-1] = list(records)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _on_field(name: str, tag: str, field: int, values: dict[str, Callable[[Outside], Any]]) -> None:
    for what, value in values.items():

        @attack(f"{name}: {what}")
        def change(run: Path, outside: Outside, value: Any = value) -> None:
            edit(run, tag, lambda line: line.__setitem__(field, value(outside)))


OUT = "../../../../outside/victim.txt"
_on_field(
    "destination of an artifact", "artifact", 2,
    {
        "up": lambda outside: "../" * 20 + str(outside.victim)[1:],
        "absolute": lambda outside: str(outside.victim),
        "hidden up": lambda outside: "a/../../../../x",
        "empty": lambda outside: "",
        "null": lambda outside: "a\0b",
        "number": lambda outside: 7,
        "long": lambda outside: "x" * 5000,
        "own file": lambda outside: "../run.json",
    },
)  # fmt: skip
_on_field(
    "digest of an artifact", "artifact", 3,
    {
        "up": lambda outside: f"../../{outside.secret}",
        "absolute": lambda outside: str(outside.secret),
        "short": lambda outside: "ab",
        "empty": lambda outside: "",
    },
)  # fmt: skip
_on_field("size of an artifact", "artifact", 4, {"negative": lambda _: -1, "huge": lambda _: 2**70})
_on_field("name of a configuration", "config", 2, {"up": lambda _: "..", "null": lambda _: "a\0"})
_on_field(
    "suffix of a configuration", "config", 3,
    {"up": lambda _: "/../../../x", "folder": lambda _: "/x", "null": lambda _: ".\0"},
)  # fmt: skip
_on_field("digest of a configuration", "config", 4, {"up": lambda out: f"../../{out.secret}"})
_on_field("digest of a long record", "stored", 2, {"up": lambda out: f"../../{out.secret}"})
_on_field("time of a text", "text", 1, {"huge": lambda _: 1e300, "below": lambda _: -1e300})
_on_field("name of a metric", "metric", 2, {"escapes": lambda _: "loss\x1b]0;owned\x07\x9b31m"})
_on_field("a text", "text", 2, {"escapes": lambda _: "\x1b[2J\x9b2J"})
_on_field("tags", "tags", 2, {"escapes": lambda _: {"a\x1b[31m": "\x1b[2J\x9b2J"}})


@attack("source of an artifact that was not copied")
def _source(run: Path, outside: Outside) -> None:
    def change(line: list[Any]) -> None:
        line[5:] = [str(outside.secret)]

    edit(run, "artifact", change)


def _on_start(name: str, change: Callable[[dict[str, Any], Outside], object]) -> None:
    @attack(f"start: {name}")
    def changed(run: Path, outside: Outside) -> None:
        edit(run, "started", lambda line: change(line[2], outside))


EVIL = {"name": "evil", "target": "evil_module:Evil", "options": {}}
_on_start("module of a backend", lambda info, _: info.update(backends=[EVIL]))
_on_start(
    "address of a backend",
    lambda info, outside: info.update(
        backends=[
            {
                "name": "light",
                "target": "backends_for_tests:Light",
                "options": {"store": str(outside.folder), "url": outside.address},
            }
        ]
    ),
)
_on_start("name of a backend", lambda info, _: info.update(backends=[{**EVIL, "name": OUT}]))
_on_start("backends that are none", lambda info, _: info.update(backends=[{}, {"name": 1}]))
_on_start("run id", lambda info, outside: info["run"].update(run_id=f"../../..{outside.folder}"))
_on_start("run id with escapes", lambda info, _: info["run"].update(run_id="a\x9b2J"))
_on_start("directory", lambda info, outside: info["run"].update(dir=str(outside.folder)))
_on_start("project", lambda info, _: info["run"].update(project="../../\x1b[2J"))
_on_start("name", lambda info, _: info["run"].update(name="../../\x1b[2J\x9b2J"))
_on_start("group", lambda info, _: info["run"].update(group="../../\x1b[2J"))
_on_start("time", lambda info, _: info["run"].update(started=1e300))
_on_start("process", lambda info, _: info["process"].update(pid=-1))
_on_start("process that is huge", lambda info, _: info["process"].update(pid=2**80))
_on_start("link", lambda info, out: info["run"].update(link={"id": str(out.folder), "url": "x"}))
_on_start("facts", lambda info, out: info["run"].update(facts={"cwd": str(out.folder), "argv": 1}))


@attack("backend added: module")
def _added(run: Path, outside: Outside) -> None:
    add(run, ["backend", 1e9, EVIL])


@attack("backend added: name")
def _added_name(run: Path, outside: Outside) -> None:
    add(run, ["backend", 1e9, {**EVIL, "name": OUT}])


@attack("not ended")
def _not_ended(run: Path, outside: Outside) -> None:
    file, lines = lines_of(run)
    kept = [line for line in lines if line[0] != "finished"]
    file.write_text("".join(json.dumps(line) + "\n" for line in kept))
    remove(run / "run.json")
    remove(run / "cursors/local.json")


def _on_json(file: str, name: str, change: Callable[[dict[str, Any], Outside], object]) -> None:
    @attack(f"{file}: {name}")
    def changed(run: Path, outside: Outside) -> None:
        content = json.loads((run / file).read_text())
        change(content, outside)
        (run / file).write_text(json.dumps(content))


for _file in ("run.json",):
    _on_json(_file, "backends", lambda view, _: view.update(backends=[OUT[:-4]]))
    _on_json(_file, "run id", lambda view, _: view.update(run_id="../../x"))
    _on_json(_file, "name", lambda view, _: view.update(name="\x1b[2J\x9b2J"))
    _on_json(_file, "reason", lambda view, _: view.update(reason="\x1b[2J\x9b2J", status="failed"))
    _on_json(_file, "times", lambda view, _: view.update(started=1e300, ended=-1e300))
    _on_json(
        _file, "links", lambda view, _: view.update(links={"x": {"id": "1", "url": "javascript:x"}})
    )
_on_json(
    "cursors/local.json",
    "link",
    lambda cursor, out: cursor.update(link={"id": str(out.folder), "url": "javascript:alert(1)"}),
)
_on_json(
    "cursors/local.json",
    "checkpoint",
    lambda cursor, out: cursor.update(
        closed=None,
        ended=None,
        checkpoint={"configs": {"settings": OUT, "values": str(out.victim)}},
    ),
)
_on_json(
    "cursors/local.json",
    "side files",
    lambda cursor, _: cursor.update(closed=None, kept={OUT: 1, "rejected": 0, "log.txt": 0}),
)
_on_json("cursors/local.json", "nothing", lambda cursor, _: cursor.clear())
