"""``tracelet sweep``: run a script with every configuration of a file, look at that, go on."""

from __future__ import annotations

import pkgutil
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer
from rich.text import Text

from tracelet.cli.formatting import clean, duration, many, number, value_text
from tracelet.cli.options import Directory, Json, Project
from tracelet.cli.output import columns, pairs, print_json, results, say
from tracelet.core.run import runs_root
from tracelet.errors import ForeignRunError, InvalidValueError, SweepNotFoundError
from tracelet.journal.process import ProcessId, is_alive
from tracelet.sweep.files import restored
from tracelet.sweep.ledger import About, Entry, State, SweepDir
from tracelet.sweep.results import Results
from tracelet.sweep.script import Script
from tracelet.sweep.sweep import Sweep
from tracelet.wire import from_wire

STYLES: dict[State, str] = {"done": "green", "failed": "red", "running": "cyan", "pending": "dim"}
FAILED = 1

app = typer.Typer(
    name="sweep", help="Run many configurations of one training.", no_args_is_help=True
)

Workers = Annotated[
    int | None,
    typer.Option("--workers", "-w", metavar="N", min=1, help="How many at once; none: processors."),
]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run those again that have failed.")]
OptionalName = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A sweep's name; none: the latest sweep.")
]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="SWEEP", help="A .yaml, .json or .jsonl file.")],
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="Gets each as options.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENTS", help="After --: what is the same for all."),
    ] = None,
    *,
    name: Annotated[
        str | None, typer.Option("--name", "-n", metavar="NAME", help="None: the script's name.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="P", help="The project of the runs.")
    ] = None,
    directory: Directory = None,
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", metavar="B", help="Names, with commas.")
    ] = None,
    workers: Workers = None,
    retry_failed: Retry = False,
) -> None:
    """Call a script with every configuration of a file."""
    sweep = Sweep.load(file)
    training = Script.of(script, tuple(arguments or ()), Path.cwd())
    _finish(
        sweep.run(
            training,
            name=name,
            project=project,
            dir=directory,
            backend=backend,
            max_workers=workers,
            retry_failed=retry_failed,
        )
    )


@app.command()
def show(
    name: OptionalName = None,
    project: Project = None,
    directory: Directory = None,
    *,
    metric: Annotated[
        str | None,
        typer.Option("--metric", "-m", metavar="M", help="What decides which is best."),
    ] = None,
    mode: Annotated[str, typer.Option("--mode", help="min or max.")] = "min",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="How many configurations.")
    ] = 50,
    as_json: Json = False,
) -> None:
    """Show the states of a sweep, the best, and the time left."""
    if mode not in ("min", "max"):
        raise InvalidValueError(f"--mode is min or max, not {mode!r}")
    sweep_dir, about = _one(name, project, directory)
    entries = sorted(sweep_dir.entries().values(), key=lambda entry: (entry.index, entry.key))
    best = _best(entries, metric, mode)
    if metric is not None and best is None:
        known = sorted({name for entry in entries for name in entry.metrics})
        raise InvalidValueError(
            f"no configuration that is done has the metric {metric!r}; "
            f"there are {', '.join(map(repr, known)) or 'none'}"
        )
    if as_json:
        print_json(_as_json(about, sweep_dir, entries, best))
        return
    console = results()
    console.print(Text(clean(about.name), style="bold"), f"of {clean(about.project)}")
    rows = {"states": _states(entries)}
    left = _seconds_left(entries, about)
    if _is_interrupted(entries, about):
        rows["stopped"] = Text("what ran it is gone; run it again, and it goes on")
    elif left is not None:
        rows["time left"] = Text(f"about {duration(left)}")
    if best is not None:
        rows["best"] = Text(_config_text(best))
    console.print(pairs(rows.items()))
    console.print()
    names = list(dict.fromkeys(name for entry in entries for name in entry.metrics))[:4]
    titles = ["", "state", "took", "configuration", *map(clean, names)]
    table = columns(*titles, right=["", "took", *titles[4:]])
    for entry in entries[:limit]:
        table.add_row(
            "",
            str(entry.index),
            Text(entry.state, style=STYLES[entry.state]),
            "" if entry.seconds is None else duration(entry.seconds),
            _config_text(entry),
            *(number(_last(entry, name)) if name in entry.metrics else "" for name in names),
        )
    console.print(table)
    for entry in entries:
        if entry.error is not None:
            first = (entry.error.message.splitlines() or [""])[0]
            console.print(Text(f"  {entry.index}: {entry.error.type}: {clean(first)}", style="red"))
    if len(entries) > limit:
        more = many(len(entries) - limit, "more configuration")
        say(f"and {more}; --limit {len(entries)} shows all")


@app.command()
def resume(
    name: OptionalName = None,
    project: Project = None,
    directory: Directory = None,
    workers: Workers = None,
    retry_failed: Retry = False,
) -> None:
    """Run what is not done yet of a sweep."""
    sweep_dir, about = _one(name, project, directory)
    if not sweep_dir.is_own:
        raise ForeignRunError(
            f"the sweep {about.name!r} is not resumed: it says which program is run, and it was "
            f"not made by you here ({sweep_dir.path})"
        )
    train = _training(about)
    if about.factors is None or train is None:
        raise InvalidValueError(
            f"the sweep {about.name!r} can be resumed only by its own script: "
            f"python {shlex.join(about.argv)}"
        )
    sweep = Sweep.of_product(restored(about.factors, f"the sweep {about.name!r}"))
    _finish(
        sweep.run(
            train,
            name=about.name,
            project=about.project,
            dir=runs_root(directory),
            group=about.group,
            backend=about.backends,
            max_workers=workers or about.workers,
            retry_failed=retry_failed,
        )
    )


def _training(about: About) -> Any:
    if about.command is not None:
        path, *arguments = about.command
        return Script.of(Path(path), tuple(arguments), Path(about.directory or Path.cwd()))
    if about.train is None:
        return None
    try:
        return pkgutil.resolve_name(about.train)
    except (ImportError, AttributeError):
        return None


def _finish(found: Results) -> None:
    """Say what a sweep has come to; exit code 1 if not everything is done."""
    console = results()
    counts = Counter(one.state for one in found)
    listed = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    console.print(f"{clean(found.name)}: {many(len(found), 'configuration')}, {listed}")
    for one in found.failed:
        console.print(Text(f"  {one.index}: {one.error}", style="red"), soft_wrap=True)
    console.print(
        f"look at it:  tracelet sweep show {shlex.quote(clean(found.name))}", soft_wrap=True
    )
    if counts["done"] < len(found):
        raise typer.Exit(FAILED)


def _one(name: str | None, project: str | None, directory: Path | None) -> tuple[SweepDir, About]:
    found = []
    for file in runs_root(directory).glob("*/.sweeps/*/sweep.json"):
        sweep_dir = SweepDir(file.parent)
        try:
            about = sweep_dir.read_about()
        except (OSError, msgspec.DecodeError):
            continue
        if project is None or about.project == project:
            found.append((sweep_dir, about))
    chosen = [pair for pair in found if name is None or pair[1].name == name]
    if not chosen:
        known = ", ".join(sorted(repr(about.name) for _, about in found)) or "none"
        raise SweepNotFoundError(f"no sweep {name!r} in {runs_root(directory)}; there are: {known}")
    if name is not None and len(chosen) > 1:
        projects = ", ".join(sorted(about.project for _, about in chosen))
        raise SweepNotFoundError(
            f"the sweep {name!r} is in several projects: {projects}; --project"
        )
    return max(chosen, key=lambda pair: pair[1].started)


def _states(entries: list[Entry]) -> Text:
    counts = Counter(entry.state for entry in entries)
    text = Text()
    for state, style in STYLES.items():
        if counts[state]:
            text.append(", " if text else "").append(f"{counts[state]} {state}", style=style)
    return text


def _seconds_left(entries: list[Entry], about: About) -> float | None:
    """Return an estimate: what is left takes as long as what has ended took, on average."""
    took = [entry.seconds for entry in entries if entry.seconds is not None]
    left = [entry for entry in entries if entry.state in ("pending", "running")]
    if not took or not left:
        return None
    whole = sum(took) / len(took) * len(left)
    now = time.time()
    gone = sum(now - entry.time for entry in left if entry.state == "running")
    return max(0.0, whole - min(gone, whole)) / (about.workers or 1)


def _is_interrupted(entries: list[Entry], about: About) -> bool:
    """Whether something is left, and the process that would run it does not live any more."""
    is_left = any(entry.state in ("pending", "running") for entry in entries)
    process = about.process
    return is_left and bool(process) and is_alive(cast(ProcessId, process)) is False


def _best(entries: list[Entry], metric: str | None, mode: str) -> Entry | None:
    if metric is None:
        return None
    found = [entry for entry in entries if entry.state == "done" and metric in entry.metrics]
    numbers = [entry for entry in found if _last(entry, metric) == _last(entry, metric)]
    choose = min if mode == "min" else max
    return choose(numbers, key=lambda entry: _last(entry, metric)) if numbers else None


def _last(entry: Entry, metric: str) -> Any:
    return from_wire(entry.metrics[metric])[0]


def _config_text(entry: Entry) -> str:
    config = from_wire(entry.config or {})
    return ", ".join(f"{clean(name)}={value_text(value)}" for name, value in config.items())


def _as_json(
    about: About, sweep_dir: SweepDir, entries: list[Entry], best: Entry | None
) -> dict[str, Any]:
    return {
        "name": about.name,
        "project": about.project,
        "group": about.group,
        "dir": sweep_dir.path,
        "states": dict(Counter(entry.state for entry in entries)),
        "seconds_left": _seconds_left(entries, about),
        "is_interrupted": _is_interrupted(entries, about),
        "best": None if best is None else best.key,
        "configurations": [
            {
                "key": entry.key,
                "index": entry.index,
                "state": entry.state,
                "config": from_wire(entry.config or {}),
                "run": entry.run,
                "seconds": entry.seconds,
                "error": None if entry.error is None else entry.error.message,
                "metrics": {
                    name: dict(zip(("last", "min", "max"), from_wire(values), strict=True))
                    for name, values in entry.metrics.items()
                },
            }
            for entry in entries
        ],
    }
