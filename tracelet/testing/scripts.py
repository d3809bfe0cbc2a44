"""The scripts that log what the checks read back; each is what a user might have written."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tracelet.core.experiment import Experiment
from tracelet.core.run import load_run
from tracelet.errors import NotRunningError, TraceletWarning
from tracelet.testing import values
from tracelet.testing.jobs import PATIENCE, Answers, Job
from tracelet.testing.live import remember
from tracelet.testing.values import Point


def started(job: Job, **settings: Any) -> Experiment:
    """Start the run of a job."""
    return remember(Experiment(**job.settings(**settings)).start())


def log_points(exp: Experiment, points: Iterable[Point]) -> None:
    """Log points one by one."""
    for name, value, iteration, axis, time in points:
        exp.log_metric(name, value, iteration, axis=axis, time=time)


def everything(job: Job) -> Answers:
    """Log every kind of value that there is a check for."""
    exp = started(job)
    _parameters(exp)
    log_points(exp, values.METRICS)
    exp.track("numbers").append(_Scalar(0.75), iteration=3)
    _artifacts(exp, job)
    _descriptions(exp, job)
    _secrets(exp, job)
    exp.log_params(values.PARAM_OVERWRITTEN[2])
    exp.stop()
    return {"second stop": _error(exp.stop), "after stop": _error(lambda: exp.log("late"))}


def _parameters(exp: Experiment) -> None:
    for several in (
        values.PARAM_TYPES,
        values.PARAM_NONFINITE,
        values.PARAM_NONE,
        values.PARAM_EMPTY,
        values.PARAM_UNICODE,
        values.PARAM_LONG,
        values.PARAM_MANY,
        values.PARAM_NAMES,
        values.PARAM_CLASHES,
        values.PARAM_REPEATED,
        values.PARAM_REPEATED,
        *values.PARAM_OVERWRITTEN[:2],
    ):
        exp.log_params(several)
    exp.log_params({"model": {"block": {"depth": 18}, "head": {"name": "linear"}}})
    exp.log_params(values.PARAM_BRANCH[0])
    with warnings.catch_warnings():  # that the value is gone is said, and is what we want
        warnings.simplefilter("ignore", TraceletWarning)
        exp.log_params({"shape": {"name": "vit"}})
    exp.log_params(values.PARAM_REPEATED)


class _Scalar:
    """What a tensor of any library has in common with the others."""

    dtype, shape = "float32", ()

    def __init__(self, number: float) -> None:
        self._number = number

    def item(self) -> float:
        return self._number

    def tolist(self) -> float:
        return self._number

    def __float__(self) -> float:
        return self._number


def _artifacts(exp: Experiment, job: Job) -> None:
    files = job.work / "files"
    simple = (
        values.ARTIFACT_NESTED,
        values.ARTIFACT_COPIES,
        values.ARTIFACT_EMPTY,
        values.ARTIFACT_NAMES,
    )
    for number, several in enumerate(simple):
        for index, (destination, content) in enumerate(several.items()):
            file = files / f"{number}-{index}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            exp.log_artifact(file, destination)
    for name, content in {**values.ARTIFACT_FILE, **values.ARTIFACT_FOLDER}.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(content)
    exp.log_artifact(files / "plain.bin")
    exp.log_artifact(str(files / "folder"), "folder")
    file = files / "twice"
    for content in (b"first", b"second"):
        file.write_bytes(content)
        exp.log_artifact(file, "twice.txt")
    file = files / "changed"
    file.write_bytes(values.ARTIFACT_CHANGED["changed.txt"])
    exp.log_artifact(file, "changed.txt")
    file.write_bytes(b"AFTER!")
    file = files / "deleted"
    file.write_bytes(values.ARTIFACT_DELETED["deleted.txt"])
    exp.log_artifact(file, "deleted.txt")
    file.unlink()


def _descriptions(exp: Experiment, job: Job) -> None:
    for name, value in values.CONFIG_VALUES.items():
        exp.connect_configuration(value, name=name)
    for name, content in values.CONFIG_FILE.items():
        file = job.work / "model.yaml"
        file.write_bytes(content)
        exp.connect_configuration(file, name=name)
        file.unlink()
    for text in values.TEXTS:
        exp.log(text, level="warning" if text == "last line" else "info")
    for tags in values.TAGS:
        exp.set_tags(tags)
    for properties in values.PROPERTIES:
        exp.set_user_properties(properties)
    exp.set_user_properties(values.DESCRIBED)


def _secrets(exp: Experiment, job: Job) -> None:
    secret = values.SECRETS
    exp.log_params({"secrets": {"api_key": secret["param"], "db": f"db://me:{secret['url']}@x/y"}})
    exp.set_tags({"password": secret["tag"]})
    exp.set_user_properties(auth_token=secret["property"])
    file = job.work / "secret.yaml"
    file.write_text(f"user: me\npassword: {secret['config']}\n")
    exp.connect_configuration(file, name="with a secret")
    file.unlink()
    exp.log(f"connecting with password={secret['text']}")


def many(job: Job) -> None:
    """Log very many points, in two metrics and two ways, and one very large file."""
    exp = started(job)
    for number in range(0, job.points, 2):
        exp.log_metrics({"many/a": number / 3, "many/b": -number}, iteration=number)
    file = job.work / "large.bin"
    with file.open("wb") as content:
        content.write(b"begin")
        content.seek(job.size - 3)
        content.write(b"end")
    exp.log_artifact(file, "large.bin")
    file.unlink()
    exp.log_metric("many/last", 1.0, 0)
    exp.stop()


def short(job: Job) -> None:
    """Log a little, and stop."""
    exp = started(job)
    log_some(exp)
    exp.stop()


def log_some(exp: Experiment) -> None:
    """Log the points and parameters that the checks of endings look for."""
    exp.log_params(values.ENDING_PARAMS)
    log_points(exp, values.ending_points(range(50)))


def exception(job: Job) -> None:
    """End with an exception that nobody catches: a parameter that must not change, changes."""
    exp = started(job, on_param_conflict="error")
    exp.log_params({"policy.lr": 0.1, "policy.kept": 1})
    log_some(exp)
    exp.log_params({"policy.new": 2, "policy.kept": 1})
    exp.log_params({"policy.lr": 0.2})
    raise AssertionError("a parameter was changed with on_param_conflict='error'")


def wait(job: Job) -> None:
    """Log, then wait to be interrupted, terminated or killed."""
    exp = started(job, on_param_conflict="keep")
    exp.log_params({"policy.lr": 0.1, "policy.kept": 1})
    exp.log_params({"policy.lr": 0.2, "policy.new": 2})
    log_some(exp)
    job.ready.touch()
    threading.Event().wait()
    raise AssertionError("the process was not ended")


def resume(job: Job) -> None:
    """Go on with a run that has ended, in whatever way."""
    exp = started(job)
    exp.log_params({"ending.lr": 0.25})
    log_points(exp, values.ending_points(range(50, 80)))
    exp.log_metric("resumed", 1.0)
    exp.stop()


def add(job: Job) -> None:
    """Set parameters and a property of a run that has ended."""
    run = load_run(job.run_dir)
    run.set_parameter("ending.lr", 0.125)
    run.set_parameters_as_dict({"Added": {"model": {"depth": 18}}})
    run.set_user_properties(verdict={"value": 0.75, "description": "of the referees"})
    if not run.flush(PATIENCE):
        raise AssertionError(f"what was set on a run that had ended is pending: {run.report}")


def two(job: Job) -> None:
    """Log two runs at once."""
    ids = (job.run_id, f"{job.run_id}-other")
    pair = [started(job, run_id=run_id) for run_id in ids]
    for number in range(50):
        for run_id, exp in zip(ids, pair, strict=True):
            exp.log_metric("mixed", number + 1000 * ids.index(run_id), number)
            if number == 25:
                exp.log_params({"which": run_id, f"only.{ids.index(run_id)}": True})
                exp.set_tags({"which": run_id})
                exp.log(run_id)
    for exp in pair:
        exp.stop()


def faults(job: Job) -> None:
    """Log around calls that fail; each is delivered before the next, so that they do not mix."""
    exp = started(job)
    file = job.work / "fault.txt"
    file.write_bytes(b"kept")
    parts: dict[str, Callable[[], object]] = {
        "before": lambda: log_points(exp, values.numbered("before")),
        "fails": lambda: log_points(exp, values.numbered("fault/fails")),
        "params": lambda: exp.log_params({"fault/fails": 1, "fault.other": 2}),
        "artifact": lambda: exp.log_artifact(file, "fault/fails.txt"),
        "after": lambda: log_points(exp, values.numbered("after")),
    }
    for log_part in parts.values():
        log_part()
        exp.flush(60)
    exp.stop()


def poison(job: Job) -> None:
    """Log one point and one parameter that the backend can never take, among good ones."""
    exp = started(job)
    points = values.numbered("good")
    log_points(exp, [*points[:25], Point("fault/poison", 1.0, 0), *points[25:]])
    exp.log_params({"good.a": 1, "fault/poison": 2, "good.b": 3})
    exp.log_metric("good", 50.0, 50)
    exp.stop()


def hang(job: Job) -> None:
    """Log what makes the backend hang, and what makes its process die behind its back."""
    exp = started(job)
    for name in ("before", "fault/dies", "between", "fault/hangs", "after"):
        log_points(exp, values.numbered(name))
        exp.log_params({f"hang.{name}": 1})
        exp.flush(60)
    exp.stop()


def _error(call: Callable[[], object]) -> str | None:
    try:
        call()
    except NotRunningError as error:
        return type(error).__name__
    return None


SCRIPTS: Mapping[str, Callable[[Job], Answers | None]] = {
    script.__name__: script
    for script in (
        everything, many, short, exception, wait, resume, add, two, faults, poison, hang
    )
}  # fmt: skip
