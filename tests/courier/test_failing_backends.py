"""Whatever a backend does, the others are complete and in order, and the report tells the truth.

``local`` and ``light`` are the others: one in the courier, one with its calls kept. The misbehaving
backend has a worker process, or a thread of this process, as the courier is.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import backends_for_tests as bad
import msgspec
import pytest
from backends_for_tests import count, stored, stored_points, target
from user_scripts import courier_processes, local_points, view
from waiting import eventually

import tracelet
from tracelet.backends.base import Backend
from tracelet.courier import retrying
from tracelet.courier.cursor import CursorFile
from tracelet.courier.delivery import Delivery
from tracelet.errors import DeliveryError
from tracelet.records import decode_lines

pytestmark = pytest.mark.usefixtures("quick_retries")

both_couriers = pytest.mark.parametrize("courier", ["process", "thread"])
POINTS = 500


def start(
    store: Path,
    *backends: type[Backend],
    courier: str = "process",
    strict: bool = False,
    start_timeout: float = 300.0,
    **options: Any,
) -> tracelet.Experiment:
    chosen = [bad.Light, *backends]
    return tracelet.start_logging(
        run_id="r",
        backend=["local", *map(target, chosen)],
        courier=courier,
        strict=strict,
        start_timeout=start_timeout,
        backends={cls.name: {"store": str(store), **options} for cls in chosen},
    )


def log_points(exp: tracelet.Experiment, first: int = 0, last: int = POINTS) -> list[int]:
    for iteration in range(first, last):
        exp.log_metric("loss", 0.5, iteration)
    return list(range(last))


def assert_others_are_complete(store: Path, exp: tracelet.Experiment, points: list[int]) -> None:
    assert exp.dir is not None
    assert local_points(exp.dir) == points
    assert stored_points(store, "light") == points


def numbers(report: tracelet.DeliveryReport, name: str) -> tuple[int, int, int, int]:
    one = report[name]
    assert one.accepted == one.delivered + one.rejected + one.pending
    return one.accepted, one.delivered, one.rejected, one.pending


def rejected(exp: tracelet.Experiment, name: str) -> list[tuple[Any, str]]:
    """The records that a backend has refused, and why."""
    assert exp.dir is not None
    lines = (exp.dir / "rejected" / f"{name}.jsonl").read_bytes().splitlines()
    explained = [msgspec.json.decode(line) for line in lines]
    return [
        (decode_lines(msgspec.json.encode(one["record"]))[0], one["reason"]) for one in explained
    ]


def last_error(exp: tracelet.Experiment, name: str) -> str:
    assert exp.dir is not None
    return str(CursorFile(exp.dir / "cursors", name).load().last_error)


def health(exp: tracelet.Experiment, name: str) -> str:
    assert exp.dir is not None
    return CursorFile(exp.dir / "cursors", name).load().health


# ------------------------------------------------------------------------------- without a fault


@both_couriers
def test_every_backend_gets_everything_in_order_and_is_closed(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Recorder, courier=courier)
    exp.log_params(lr=0.1)
    points = log_points(exp)
    exp.log("half way")
    exp.set_tags(team="ml")
    report = exp.stop()
    assert report.complete
    for name in ("local", "light", "recorder"):
        assert numbers(report, name) == (POINTS + 3, POINTS + 3, 0, 0)
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "recorder") == points
    assert stored(tmp_path, "recorder", "params") == [{"lr": 0.1}]
    assert stored(tmp_path, "recorder", "text") == [["half way"]]
    assert stored(tmp_path, "recorder", "tags") == [{"team": "ml"}]
    assert stored(tmp_path, "recorder", "close") == ["finished"]
    assert report["recorder"].link == tracelet.RunLink("recorder-r", "memory://r")


@both_couriers
def test_a_batch_is_never_larger_than_the_backend_declares(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Recorder, courier=courier)
    log_points(exp)
    exp.stop()
    sizes = [len(batch) for batch in stored(tmp_path, "recorder", "metrics")]
    assert sum(sizes) == POINTS
    assert max(sizes) <= 100
    assert len(sizes) < POINTS / 5, "points are delivered in batches"


@both_couriers
def test_a_flush_delivers_and_leaves_the_run_running(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Recorder, courier=courier)
    points = log_points(exp)
    assert exp.flush(60)
    assert stored_points(tmp_path, "recorder") == points
    assert_others_are_complete(tmp_path, exp, points)
    assert exp.links["recorder"].id == "recorder-r"
    exp.log_metric("loss", 0.5, POINTS)
    exp.stop()
    assert stored_points(tmp_path, "recorder") == [*points, POINTS]


@both_couriers
def test_the_order_holds_across_kinds(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Recorder, courier=courier)
    for number in range(20):
        exp.log_params(number=number)
        exp.log_metric("loss", 0.5, number)
        exp.log(f"text {number}")
    exp.stop()
    lines = (tmp_path / "recorder.jsonl").read_bytes().splitlines()
    kinds = [msgspec.json.decode(line)[0] for line in lines]
    assert kinds == ["open", *["params", "metrics", "text"] * 20, "close"]


# ------------------------------------------------------------------------------------- it raises


@both_couriers
def test_a_backend_that_refuses_everything(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Refusing, courier=courier)
    exp.log_params(lr=0.1)
    points = log_points(exp, 0, 20)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert numbers(report, "refusing") == (21, 1, 20, 0)
    assert numbers(report, "local") == (21, 21, 0, 0)
    assert not report.complete
    assert report["refusing"].last_error == "RuntimeError: no metrics here"
    assert [record.iteration for record, _ in rejected(exp, "refusing")] == points


@both_couriers
def test_a_backend_that_fails_now_and_then_gets_everything(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Flaky, courier=courier)
    points = log_points(exp)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "flaky") == points
    assert numbers(report, "flaky") == (POINTS, POINTS, 0, 0)
    assert report["flaky"].health == "ok"
    assert count(tmp_path, "flaky", "called") > 5, "it did fail"


@both_couriers
def test_a_backend_that_exits_gets_everything(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Exiting, courier=courier)
    points = log_points(exp)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "exiting") == points
    assert report.complete


@both_couriers
def test_a_backend_that_cannot_be_opened_at_first_gets_everything(
    tmp_path: Path, courier: str
) -> None:
    exp = start(tmp_path, bad.Unopened, courier=courier)
    points = log_points(exp)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert count(tmp_path, "unopened", "opened") == 3
    assert stored_points(tmp_path, "unopened") == points
    assert report.complete


@both_couriers
def test_a_backend_that_cannot_flush_at_first_gets_everything_once(
    tmp_path: Path, courier: str
) -> None:
    exp = start(tmp_path, bad.CannotFlush, courier=courier)
    points = log_points(exp)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "cannotflush") == points
    assert report.complete


@both_couriers
def test_a_backend_that_cannot_be_closed_holds_nobody_up(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.CannotClose, courier=courier)
    points = log_points(exp)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "cannotclose") == points
    assert numbers(report, "cannotclose") == (POINTS, POINTS, 0, 0)
    assert report["cannotclose"].last_error == "RuntimeError: the run is locked"


# -------------------------------------------------------------------------- the caller never waits


@both_couriers
def test_no_call_waits_for_a_backend(tmp_path: Path, courier: str) -> None:
    gate, file = tmp_path / "gate", tmp_path / "model.txt"
    file.write_text("weights")
    exp = start(tmp_path, bad.Held, courier=courier, gate=str(gate))
    exp.log_metric("loss", 0.5, 0)
    eventually(lambda: count(tmp_path, "held", "called"))
    # It hangs now, and nothing that follows has to wait: the gate is opened only below.
    log_points(exp, 1)
    exp.log_metrics({"a": 1, "b": 2})
    exp.log_params(lr=0.1)
    exp.log_artifact(file)
    exp.log("text")
    exp.set_tags(team="ml")
    assert not stored(tmp_path, "held", "metrics")
    assert not exp.flush(0)
    eventually(lambda: local_points(exp.dir) == list(range(POINTS)))
    assert exp.stop(wait=False)["held"].pending == POINTS + 6
    assert not stored(tmp_path, "held", "metrics")
    gate.touch()
    if courier == "process":
        eventually(lambda: stored(tmp_path, "held", "close"))
        assert stored_points(tmp_path, "held") == list(range(POINTS))


def test_after_its_time_stop_leaves_the_courier_at_work(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    exp = start(tmp_path, bad.Held, gate=str(gate))
    points = log_points(exp)
    report = exp.stop(timeout=0.5)
    assert numbers(report, "held") == (POINTS, 0, 0, POINTS)
    assert exp.dir is not None
    assert courier_processes(exp.dir)
    gate.touch()
    eventually(lambda: not courier_processes(exp.dir))
    assert stored_points(tmp_path, "held") == points
    assert tracelet.load_run(exp.dir).report.complete
    assert view(exp.dir)["report"]["backends"]["held"]["delivered"] == POINTS


def test_a_slow_backend_delays_no_other(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    exp = start(tmp_path, bad.Slow, gate=str(gate), last=3999)
    points = log_points(exp, 0, 4000)
    # The others have everything while the slow one is not at its end.
    eventually(lambda: stored_points(tmp_path, "light") == points)
    eventually(lambda: local_points(exp.dir) == points)
    assert len(stored_points(tmp_path, "slow")) < 4000
    gate.touch()
    report = exp.stop()
    assert stored_points(tmp_path, "slow") == points
    assert numbers(report, "slow") == (4000, 4000, 0, 0)


# ------------------------------------------------------------------------------ hangs and crashes


def test_a_call_that_hangs_is_ended_and_made_again(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.HangsOnce)
    points = log_points(exp)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "hangsonce") == points
    assert numbers(report, "hangsonce") == (POINTS, POINTS, 0, 0)


def test_a_backend_that_always_hangs_keeps_its_backlog_and_is_tried_again(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Hangs)
    points = log_points(exp)
    eventually(lambda: count(tmp_path, "hangs", "called") >= 3)
    eventually(lambda: health(exp, "hangs") == "hung")
    assert exp.flush(60), "it is not healthy, so nobody waits for it"
    assert_others_are_complete(tmp_path, exp, points)
    report = exp.stop(timeout=0)
    assert numbers(report, "hangs") == (POINTS, 0, 0, POINTS)
    assert "time bound" in str(report["hangs"].last_error)


def test_a_start_that_takes_longer_than_a_call_may_is_no_hang(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.StartsSlowly, seconds=2)
    points = log_points(exp)
    eventually(lambda: count(tmp_path, "startsslowly", "opening") == 1)
    assert exp.dir is not None
    shown = str(tracelet.load_run(exp.dir).report["startsslowly"])
    assert "(starting: its import and open took " in shown
    report = exp.stop()
    assert count(tmp_path, "startsslowly", "opening") == 1
    assert stored_points(tmp_path, "startsslowly") == points
    assert numbers(report, "startsslowly") == (POINTS, POINTS, 0, 0)
    assert "starting" not in str(report)


def test_a_start_that_takes_longer_than_it_may_has_twice_as_long_next(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.StartsSlowly, seconds=3, start_timeout=1)
    points = log_points(exp)
    eventually(lambda: "took longer than 1 s to start" in last_error(exp, "startsslowly"))
    report = exp.stop()
    # With 1 and 2 seconds it is killed, with 4 it has come far enough.
    assert count(tmp_path, "startsslowly", "opening") == 3
    assert stored_points(tmp_path, "startsslowly") == points
    assert numbers(report, "startsslowly") == (POINTS, POINTS, 0, 0)


@pytest.mark.parametrize("how", [0, 1, 9, "segfault"])
def test_a_backend_that_ends_its_process_gets_everything(tmp_path: Path, how: int | str) -> None:
    exp = start(tmp_path, bad.Crashes, how=how, crashes=2)
    points = log_points(exp)
    report = exp.stop()
    assert count(tmp_path, "crashes", "called") > 2
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "crashes") == points
    assert numbers(report, "crashes") == (POINTS, POINTS, 0, 0)


def test_a_process_that_does_not_end_holds_nobody_up(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.HangsAtExit)
    points = log_points(exp)
    report = exp.stop()
    assert numbers(report, "hangsatexit") == (POINTS, POINTS, 0, 0)
    assert stored_points(tmp_path, "hangsatexit") == points
    assert stored(tmp_path, "hangsatexit", "close") == ["finished"]
    assert exp.dir is not None
    assert not courier_processes(exp.dir, "hangsatexit")


# ------------------------------------------------------------------------------- poisoned records


@both_couriers
def test_one_bad_point_is_found_and_the_rest_delivered(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Poisoned, courier=courier)
    log_points(exp, 0, 37)
    exp.log_metric("poison", 1.5, 7)
    points = log_points(exp, 37)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "poisoned") == points
    assert numbers(report, "poisoned") == (POINTS + 1, POINTS, 1, 0)
    assert numbers(report, "local") == (POINTS + 1, POINTS + 1, 0, 0)
    ((record, reason),) = rejected(exp, "poisoned")
    assert (record.name, record.value, record.iteration) == ("poison", 1.5, 7)
    assert reason == "ValueError: cannot hold a point called poison"
    assert report["poisoned"].last_error == reason


@both_couriers
def test_one_bad_parameter_of_a_call_is_found_and_the_rest_delivered(
    tmp_path: Path, courier: str
) -> None:
    exp = start(tmp_path, bad.Poisoned, courier=courier)
    exp.log_params(lr=0.1, poison=1, depth=18)
    exp.log_params(seed=42)
    report = exp.stop()
    delivered: dict[str, Any] = {}
    for params in stored(tmp_path, "poisoned", "params"):
        delivered.update(params)
    assert delivered == {"lr": 0.1, "depth": 18, "seed": 42}
    assert [record.values for record, _ in rejected(exp, "poisoned")] == [{"poison": 1}]
    assert numbers(report, "poisoned") == (2, 1, 1, 0)


@both_couriers
def test_many_bad_points_among_good_ones(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Poisoned, courier=courier)
    for iteration in range(200):
        exp.log_metric("poison" if iteration % 7 == 0 else "loss", 0.5, iteration)
    report = exp.stop()
    good = [iteration for iteration in range(200) if iteration % 7]
    assert stored_points(tmp_path, "poisoned") == good
    refused = [record.iteration for record, _ in rejected(exp, "poisoned")]
    assert refused == list(range(0, 200, 7))
    assert numbers(report, "poisoned") == (200, len(good), 200 - len(good), 0)


@both_couriers
def test_a_file_that_was_not_copied_and_is_gone_is_rejected(tmp_path: Path, courier: str) -> None:
    gate, file = tmp_path / "gate", tmp_path / "model.txt"
    file.write_text("weights")
    exp = start(tmp_path, bad.Held, courier=courier, gate=str(gate))
    exp.log_metric("loss", 0.5, 0)
    eventually(lambda: count(tmp_path, "held", "called"))
    exp.log_artifact(file, copy=False)
    exp.log_artifact(file, "copied.txt")
    file.unlink()
    gate.touch()
    report = exp.stop()
    assert numbers(report, "held") == (3, 2, 1, 0)
    assert stored(tmp_path, "held", "artifact") == [["copied.txt", "weights"]]
    ((record, reason),) = rejected(exp, "held")
    assert record.path == "model.txt"
    assert str(file) in reason


@pytest.mark.parametrize(
    ("courier", "how", "reason"),
    [
        ("process", "surrogate", r"ValueError: cannot write /data/\udcff.csv"),
        ("thread", "surrogate", r"ValueError: cannot write /data/\udcff.csv"),
        (
            "process",
            "unspeakable",
            "UnspeakableError: (its message cannot be shown: ZeroDivisionError)",
        ),
        (
            "thread",
            "unspeakable",
            "UnspeakableError: (its message cannot be shown: ZeroDivisionError)",
        ),
        ("thread", "interrupt", "RuntimeError: KeyboardInterrupt:"),
    ],
)
def test_a_failure_that_is_hard_to_write_down_costs_one_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, courier: str, how: str, reason: str
) -> None:
    caplog.set_level(logging.ERROR, "tracelet")  # the report of a test cannot hold it, either
    exp = start(tmp_path, bad.Speechless, courier=courier, how=how)
    log_points(exp, 0, 37)
    exp.log_metric("poison", 1.5, 7)
    points = log_points(exp, 37)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert stored_points(tmp_path, "speechless") == points
    assert numbers(report, "speechless") == (POINTS + 1, POINTS, 1, 0)
    ((record, why),) = rejected(exp, "speechless")
    assert record.name == "poison"
    assert why == report["speechless"].last_error == reason


# --------------------------------------------------------------------- answers that cannot be kept


@both_couriers
@pytest.mark.parametrize(
    ("how", "given"), [("text", "not str"), ("number", "not RunLink(int, NoneType)")]
)
def test_an_open_that_does_not_return_a_link_is_given_up_and_says_so(
    tmp_path: Path, courier: str, how: str, given: str
) -> None:
    exp = start(tmp_path, bad.OpensWrongly, courier=courier, how=how)
    points = log_points(exp, 0, 10)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert numbers(report, "openswrongly") == (10, 0, 0, 10)
    assert report["openswrongly"].health == "gave up"
    error = str(report["openswrongly"].last_error)
    assert "open() of the backend 'openswrongly' must return a tracelet.RunLink" in error
    assert "or None" in error
    assert given in error
    assert stored(tmp_path, "openswrongly", "open") == [False], "it was opened once"


@both_couriers
def test_a_checkpoint_that_cannot_be_kept_is_given_up_and_says_so(
    tmp_path: Path, courier: str
) -> None:
    exp = start(tmp_path, bad.FlushesWrongly, courier=courier)
    points = log_points(exp, 0, 10)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert numbers(report, "flusheswrongly") == (10, 0, 0, 10)
    assert report["flusheswrongly"].health == "gave up"
    assert "flush() of the backend 'flusheswrongly' must return None or a checkpoint" in str(
        report["flusheswrongly"].last_error
    )


def test_a_delivery_thread_that_dies_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Delivery, *what: Any) -> None:
        if isinstance(self.backend, bad.Recorder) and self.backend.name == "recorder":
            raise GeneratorExit("out of the blue")
        save(self, *what)

    save = Delivery._save
    monkeypatch.setattr(Delivery, "_save", die)
    exp = start(tmp_path, bad.Recorder, courier="thread")
    points = log_points(exp, 0, 10)
    report = exp.stop()
    assert_others_are_complete(tmp_path, exp, points)
    assert numbers(report, "recorder") == (10, 0, 0, 10)
    assert report["recorder"].health == "gave up"
    assert report["recorder"].last_error == "GeneratorExit: out of the blue"


def test_a_worker_that_keeps_ending_is_seen(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Crashes, how=9, crashes=1_000_000)
    points = log_points(exp)
    eventually(lambda: health(exp, "crashes") == "degraded")
    assert exp.flush(60), "it is not healthy, so nobody waits for it"
    assert_others_are_complete(tmp_path, exp, points)
    report = exp.stop(timeout=0)
    assert numbers(report, "crashes") == (POINTS, 0, 0, POINTS)
    assert "keeps ending, now with code 9" in str(report["crashes"].last_error)


# --------------------------------------------------------------------------- degraded and the rest


@both_couriers
def test_a_backend_that_is_down_is_degraded_and_recovers(
    tmp_path: Path, courier: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = tmp_path / "gate"
    exp = start(tmp_path, bad.Down, courier=courier, gate=str(gate))
    points = log_points(exp)
    eventually(lambda: health(exp, "down") == "degraded")
    assert CursorFile(exp.dir / "cursors", "down").load().last_error == (
        "TransientError: no connection"
    )
    # Nobody waits for it, and nobody else is touched; but it is named, once.
    with caplog.at_level(logging.WARNING, "tracelet.core"):
        assert exp.flush(60)
        assert exp.flush(60)
    assert_others_are_complete(tmp_path, exp, points)
    (warning,) = [entry.getMessage() for entry in caplog.records if "flush" in entry.getMessage()]
    assert "down" in warning
    assert "degraded (TransientError: no connection)" in warning
    gate.touch()
    eventually(lambda: health(exp, "down") == "ok")
    report = exp.stop()
    assert stored_points(tmp_path, "down") == points
    assert numbers(report, "down") == (POINTS, POINTS, 0, 0)


def test_a_flush_does_not_make_a_failing_backend_be_tried_sooner_but_the_end_of_the_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_SECONDS", 3600.0)
    monkeypatch.setattr(retrying, "LONGEST_SECONDS", 3600.0)
    gate = tmp_path / "gate"
    exp = start(tmp_path, bad.Down, courier="thread", gate=str(gate))
    points = log_points(exp)
    eventually(lambda: count(tmp_path, "down", "called") == 1)
    for _ in range(5):
        assert not exp.flush(0.1), "it has failed once, and is not given up yet"
    assert count(tmp_path, "down", "called") == 1
    gate.touch()
    exp.stop()
    assert stored_points(tmp_path, "down") == points


@both_couriers
def test_what_a_backend_cannot_hold_is_counted_and_kept_beside_it(
    tmp_path: Path, courier: str
) -> None:
    exp = start(tmp_path, bad.Adjusting, courier=courier)
    exp.log_metric("loss", 1.0, 0)
    exp.log_metric("loss", 0.1, 1)
    exp.log_metric("loss", 0.2, 2)
    report = exp.stop()
    assert numbers(report, "adjusting") == (3, 3, 0, 0)
    assert report["adjusting"].adjusted == 2
    assert report["local"].adjusted == 0
    ((path, content),) = stored(tmp_path, "adjusting", "artifact")
    assert path == "tracelet/adjusted.jsonl"
    exact = [msgspec.json.decode(line) for line in content.splitlines()]
    assert [(line["iteration"], line["value"], line["reason"]) for line in exact] == [
        (1, 0.1, "integers only"),
        (2, 0.2, "integers only"),
    ]


@both_couriers
def test_strict_makes_stop_raise(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, bad.Poisoned, courier=courier, strict=True)
    exp.log_metric("poison", 1, 0)
    with pytest.raises(DeliveryError, match=r"(?s)poisoned.*1 rejected"):
        exp.stop()
    assert exp.status == "finished"
    assert exp.report is not None
    assert exp.report["poisoned"].rejected == 1


@both_couriers
def test_strict_makes_stop_raise_when_the_ending_is_not_in_the_tracker(
    tmp_path: Path, courier: str
) -> None:
    exp = start(tmp_path, bad.CannotClose, courier=courier, strict=True)
    log_points(exp, 0, 10)
    with pytest.raises(DeliveryError, match="RuntimeError: the run is locked"):
        exp.stop()
    assert exp.status == "finished"


@both_couriers
def test_strict_makes_stop_raise_when_the_run_was_moved(tmp_path: Path, courier: str) -> None:
    exp = start(tmp_path, courier=courier, strict=True)
    assert exp.dir is not None
    exp.dir.rename(tmp_path / "elsewhere")
    log_points(exp)
    with pytest.raises(DeliveryError):
        exp.stop()


def test_strict_is_content_when_everything_was_delivered(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Recorder, strict=True)
    log_points(exp)
    assert exp.stop().complete


def test_a_failing_backend_is_warned_of_once_and_never_raises(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = tmp_path / "gate"
    with caplog.at_level(logging.WARNING, "tracelet"):
        exp = start(tmp_path, bad.Down, courier="thread", gate=str(gate))
        log_points(exp)
        eventually(lambda: count(tmp_path, "down", "called") >= 4)
        gate.touch()
        exp.stop()
    warnings = [entry for entry in caplog.records if "is tried again" in entry.getMessage()]
    assert len(warnings) == 1


def test_the_report_is_shown_at_the_end_one_line_a_backend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = start(tmp_path, bad.Poisoned)
    exp.log_metric("poison", 1, 0)
    exp.stop()
    shown = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert [line[:6] for line in shown] == [
        ["tracelet:", "local", "1", "of", "1", "delivered"],
        ["tracelet:", "light", "1", "of", "1", "delivered"],
        ["tracelet:", "poisoned", "0", "of", "1", "delivered,"],
    ]


@pytest.mark.parametrize(
    ("courier", "said"),
    [
        ("process", "tracelet: the courier goes on with what is pending; so does: tracelet sync"),
        ("thread", "tracelet: what is pending is delivered by: tracelet sync"),
    ],
)
def test_what_is_pending_is_said_to_be_gone_on_with_only_where_it_is(
    tmp_path: Path, courier: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = start(tmp_path, bad.Down, courier=courier, gate=str(tmp_path / "gate"))
    exp.log_metric("loss", 0.5, 0)
    assert exp.stop(timeout=0.1)["down"].pending == 1
    assert capsys.readouterr().err.splitlines()[-1] == said


def test_the_report_stays_in_run_json(tmp_path: Path) -> None:
    exp = start(tmp_path, bad.Poisoned)
    log_points(exp)
    exp.log_metric("poison", 1, 0)
    report = exp.stop()
    kept = view(exp.dir)["report"]
    assert msgspec.convert(kept, tracelet.DeliveryReport) == report
    assert tracelet.load_run(exp.dir).report == report
