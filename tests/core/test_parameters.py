"""The live view of the parameters, and what of it reaches the journal."""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ids import stable

import tracelet
from tracelet.core.parameters import ParamChange, Parameters
from tracelet.errors import (
    InvalidValueError,
    KeyCollisionError,
    NotRunningError,
    ParameterConflictError,
    TraceletWarning,
    ValueTypeError,
)
from tracelet.records import Params, decode_lines, encode
from tracelet.redaction import Redactor


class Journal:
    """Keeps the records of some parameters, through their lines."""

    def __init__(self) -> None:
        self.records: list[Params] = []

    def write(self, record: Params) -> None:
        (stored,) = decode_lines(encode(record))
        assert isinstance(stored, Params)
        assert set(stored.removed).isdisjoint(stored.values)
        self.records.append(stored)

    def replay(self) -> Parameters:
        again = Parameters()
        for record in self.records:
            again.apply(record)
        return again

    @property
    def changes(self) -> list[tuple[dict[str, Any], list[str]]]:
        return [(record.values, record.removed) for record in self.records]


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def make(journal: Journal) -> Callable[..., Parameters]:
    ticks = itertools.count(1)

    def make(**options: Any) -> Parameters:
        return Parameters(journal.write, clock=lambda: float(next(ticks)), **options)

    return make


@pytest.fixture
def params(make: Callable[..., Parameters]) -> Parameters:
    return make()


# ------------------------------------------------------------------------------- setting


def test_set_merges_and_returns_itself(params: Parameters, journal: Journal) -> None:
    assert params.set({"model": {"depth": 18}}, lr=0.1) is params
    params.set(lr=0.2, epochs=3)
    assert params.flat() == {"model.depth": 18, "lr": 0.2, "epochs": 3}
    assert journal.changes == [({"model.depth": 18, "lr": 0.1}, []), ({"lr": 0.2, "epochs": 3}, [])]


def test_parameters_can_have_the_names_of_arguments(params: Parameters) -> None:
    params.set({"section": 1}, self=2, given=3)
    assert params.flat() == {"section": 1, "self": 2, "given": 3}


def test_objects_with_named_fields_can_be_set(params: Parameters) -> None:
    assert params.set(argparse.Namespace(lr=0.1, layers=(1, 2)))["layers"] == [1, 2]


def test_what_is_the_same_again_is_no_record(params: Parameters, journal: Journal) -> None:
    value = {"a": 1, "b": [1, {"c": math.nan}], "c": math.nan, "d": {}, "e": None, "f": "x"}
    params.set(value)
    params.set(value)
    params.set()
    params.set({})
    assert len(journal.records) == 1
    params.set(value, g=2)
    assert journal.changes[1:] == [({"g": 2}, [])]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, True),
        (1, 1.0),
        (0, False),
        (0.0, -0.0),
        ([1], [1.0]),
        ([1], [1, 1]),
        ("1", 1),
        ([{"a": 1}], [{"a": True}]),
        ([{"a": 1}], [{"b": 1}]),
        (None, "None"),
    ],
    ids=stable,
)
def test_another_type_is_another_value(
    params: Parameters, journal: Journal, before: object, after: object
) -> None:
    params.set(a=before).set(a=after)
    assert len(journal.records) == 2
    assert repr(params["a"]) == repr(after)


def test_values_are_taken_at_the_call_and_copied_when_read(params: Parameters) -> None:
    given_value: dict[str, Any] = {"layers": [1, {"a": [2]}]}
    params.set(given_value)
    given_value["layers"].append(3)
    params["layers"].append(4)
    params.flat()["layers"][1]["a"].append(5)
    params.nested()["layers"].clear()
    params.history("layers")[0].value.clear()
    params.get("layers").clear()
    assert params["layers"] == [1, {"a": [2]}]


@pytest.mark.parametrize(
    ("given", "keywords", "left"),
    [
        ({"lr": 1}, {"lr": 2}, {"lr": 2}),
        ({"a.b": 1}, {"a": {"b": 2}}, {"a.b": 2}),
        ({"a": {"b": 1, "c": 1}}, {"a": 2}, {"a": 2}),
        ({"a": {"b": {"c": 1}}, "d": 1}, {"a": {"b": {}}}, {"d": 1, "a.b": {}}),
        ({"a": 1, "d": 1}, {"a": {"b": {"c": 2}}}, {"d": 1, "a.b.c": 2}),
    ],
)
def test_a_keyword_wins_over_the_mapping(
    params: Parameters, given: Any, keywords: Any, left: Any
) -> None:
    params.set(given, **keywords)
    assert params == left


def test_a_key_given_twice_in_one_mapping_is_an_error(params: Parameters, journal: Journal) -> None:
    with pytest.raises(KeyCollisionError, match="are both the parameter"):
        params.set({"a": {"b": 1}, "a.b": 2})
    with pytest.raises(KeyCollisionError, match="the same parameter"):
        params.set({"lr": 1, "General/lr": 2})
    with pytest.raises(KeyCollisionError, match="both a value and a branch"):
        params.set({"a": {"b": 1}, "General/a": 2})
    assert len(params) == len(journal.records) == 0


def test_parts_of_one_branch_can_come_from_both(params: Parameters) -> None:
    assert params.set({"a": {"b": 1}}, a={"c": 2}).nested() == {"a": {"b": 1, "c": 2}}


def test_a_record_that_cannot_be_written_changes_nothing() -> None:
    def write(record: Params) -> None:
        raise OSError("disk full")

    params = Parameters(write)
    with pytest.raises(OSError, match="disk full"):
        params.set(a=1)
    assert params.flat() == {}


def test_what_has_no_names_is_a_type_error(params: Parameters) -> None:
    with pytest.raises(ValueTypeError):
        params.set([1, 2])


def test_no_assignment_passes_for_a_parameter() -> None:
    with tracelet.start_logging() as exp:
        assert exp.dir is not None
        runs: list[Any] = [exp, tracelet.load_run(exp.dir)]
        for run in runs:
            params = run.params
            with pytest.raises(AttributeError, match=r"params\.set\(lr=…\) does"):
                params.lr = 0.1
            with pytest.raises(AttributeError, match="params"):
                run.params = {"lr": 0.1}
            with pytest.raises(TypeError, match="item assignment"):
                params["lr"] = 0.1
            assert run.params == {}


def test_without_a_journal_parameters_are_read_only() -> None:
    with pytest.raises(NotRunningError, match="read-only"):
        Parameters().set(a=1)


# ------------------------------------------------------------------------------- reading


def test_it_is_a_mapping(params: Parameters) -> None:
    params.set({"model": {"depth": 18}, "lr": 0.1})
    assert params["model.depth"] == 18
    assert "model.depth" in params
    assert "model" not in params
    assert params.get("model") is None
    assert params.get("x", 3) == 3
    assert list(params) == ["model.depth", "lr"]
    assert len(params) == 2
    assert params == {"model.depth": 18, "lr": 0.1}
    assert repr(params) == "Parameters({'model.depth': 18, 'lr': 0.1})"
    with pytest.raises(KeyError):
        params["nothing"]


def test_nested_gives_back_what_went_in(params: Parameters) -> None:
    value = {"a.b": 1, "a": {"c": {}, "d.e": [1]}, "x": {"y": {"z": None}}}
    assert params.set(value).nested() == value


def test_history_has_every_value_with_its_time(params: Parameters) -> None:
    params.set(lr=0.1).set(lr=0.1).set(lr=0.2, b=1)
    assert params.history("lr") == [ParamChange(0.1, 1.0), ParamChange(0.2, 2.0)]
    assert [change.time for change in params.history("b")] == [2.0]
    with pytest.raises(KeyError):
        params.history("nothing")


def test_iteration_is_safe_while_parameters_are_set(params: Parameters) -> None:
    params.set({str(number): number for number in range(5)})
    for key in params:
        params.set({f"{key}x": 1})
    assert len(params) == 10


# ------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        ({"model": "resnet"}, {"model": {"name": "resnet", "depth": 1}}, ["model"]),
        ({"model": {"name": "a", "depth": 1}}, {"model": "b"}, ["model.name", "model.depth"]),
        ({"a": 1}, {"a": {"b": {"c": 2}}}, ["a"]),
        ({"a": {"b": {"c": 2}}}, {"a": {"b": 3}}, ["a.b.c"]),
    ],
)
def test_the_later_shape_wins_with_one_warning(
    params: Parameters,
    journal: Journal,
    before: dict[str, Any],
    after: dict[str, Any],
    gone: list[str],
) -> None:
    params.set(before, other=1)
    with pytest.warns(TraceletWarning, match=gone[0]) as caught:
        params.set(after)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert params.nested() == {"other": 1, **after}
    assert journal.records[-1].removed == gone
    assert str(caught[0].message).endswith(f"gone: {', '.join(map(repr, gone))}")
    assert params.history(gone[0])


def test_an_empty_mapping_becomes_a_branch_and_back_without_a_warning(
    params: Parameters, journal: Journal
) -> None:
    params.set(model={}).set(model={"a": 1, "b": 2}).set(model={})
    assert params.nested() == {"model": {}}
    assert [removed for _, removed in journal.changes] == [[], ["model"], ["model.a", "model.b"]]


def test_a_dotted_key_means_the_nested_one_that_is_there(params: Parameters) -> None:
    params.set(model={"depth": 18, "width": 1})
    params.set({"model.depth": 34})
    assert params.nested() == {"model": {"depth": 34, "width": 1}}
    params.set({"opt.lr": 1}).set(opt={"lr": 2, "name": "adam"})
    assert params.nested()["opt"] == {"lr": 2, "name": "adam"}
    params.set({"aug.flip": True}).set(aug={"flip": True})
    assert params.nested()["aug"] == {"flip": True}


def test_a_dotted_key_does_not_follow_where_the_same_call_builds_another_shape(
    params: Parameters,
) -> None:
    params.set(x={"y": 1})
    with pytest.warns(TraceletWarning, match=r"'x\.y'"):
        params.set({"x.y": 7, "x": 5})
    assert params.nested() == {"x.y": 7, "x": 5}
    params.set({"p": {"q": 1}})
    with pytest.warns(TraceletWarning, match=r"'p\.q'"):
        params.set({"p.q": 2, "p": {"q": {"r": 3}}})
    assert params.nested()["p"] == {"q": {"r": 3}}
    assert params["p.q"] == 2


# ------------------------------------------------------------------------------- policies


def test_keep_keeps_the_first_value(make: Callable[..., Parameters], journal: Journal) -> None:
    params = make(policy="keep")
    params.set(lr=1, model={"a": 1}, empty={})
    params.set(lr=2, model="x", empty={"b": 1}, new=3)
    params.set(lr={"a": 1}, model={})
    assert params.nested() == {"lr": 1, "model": {"a": 1}, "empty": {"b": 1}, "new": 3}
    assert journal.changes[1:] == [({"empty.b": 1, "new": 3}, ["empty"])]
    assert params.replace_all(lr=5, more=1).flat() == {
        "lr": 1,
        "model.a": 1,
        "empty.b": 1,
        "new": 3,
        "more": 1,
    }


@pytest.mark.parametrize(
    "value",
    [{"lr": 2}, {"lr": {"a": 1}}, {"model": 1}, {"model": {}}, {"lr": True}],
    ids=stable,
)
def test_error_refuses_a_change_before_anything_is_written(
    make: Callable[..., Parameters], journal: Journal, value: dict[str, Any]
) -> None:
    params = make(policy="error")
    params.set(lr=1, model={"a": 1}, empty={})
    with pytest.raises(ParameterConflictError, match="on_param_conflict") as caught:
        params.set({"new": 1, **value})
    assert caught.value.key in ("lr", "model.a")
    with pytest.raises(ParameterConflictError, match="vanish"):
        params.replace_all(lr=1)
    assert len(journal.records) == 1
    params.set(lr=1, model={"a": 1, "b": 2}, empty={"c": 3})
    assert params.flat() == {"lr": 1, "model.a": 1, "model.b": 2, "empty.c": 3}


def test_replace_all_removes_all_others_and_keeps_their_history(
    params: Parameters, journal: Journal
) -> None:
    params.set(a=1, b=2, model={"c": 3})
    params.replace_all({"General/a": 1, "model": 4})
    assert params.flat() == {"a": 1, "model": 4}
    assert journal.changes[-1] == ({"model": 4}, ["model.c", "b"])
    assert params.history("b") == [ParamChange(2, 1.0)]
    params.replace_all({"a": 1, "model": 4})
    assert len(journal.records) == 2
    assert params.replace_all().flat() == {}


# ------------------------------------------------------------------------------- sections


def test_a_section_stands_before_its_keys(params: Parameters, journal: Journal) -> None:
    params.set({"lr": 1, "model": {"depth": 2}, "a.b": 3}, section="Args", x=4)
    params.set(lr=5, section="General")
    assert params.flat() == {
        "Args/lr": 1,
        "Args/model.depth": 2,
        "Args/a.b": 3,
        "Args/x": 4,
        "lr": 5,
    }
    nested = {"Args/lr": 1, "Args/model": {"depth": 2}, "Args/a.b": 3, "Args/x": 4, "lr": 5}
    assert params.nested() == journal.replay().nested() == nested


def test_general_is_left_out_and_may_be_given(params: Parameters) -> None:
    params.set({"General/lr": 1, "General": {"x": 2}, "General/": 3})
    assert params.flat() == {"lr": 1, "General.x": 2, "General/": 3}
    assert params["General/lr"] == params["lr"] == 1
    assert "General/lr" in params
    assert len(params.history("General/lr")) == 1


def test_a_section_with_a_dot_is_one_name(params: Parameters) -> None:
    assert params.set(lr=1, section="a.b/").nested() == {"a.b/lr": 1}


def test_a_section_is_a_text_that_is_not_empty(params: Parameters) -> None:
    for empty in ("", "/"):
        with pytest.raises(InvalidValueError, match="must not be empty"):
            params.set(lr=1, section=empty)
    with pytest.raises(ValueTypeError, match=r'set\(\{"section": \.\.\.\}\)'):
        params.set(lr=1, section=3)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------- secrets


def test_secrets_never_reach_the_journal_or_the_view(
    make: Callable[..., Parameters], journal: Journal
) -> None:
    redactor = Redactor()
    params = make(redactor=redactor)
    params.set({"db": {"password": "hunter2"}, "lr": 0.1})
    params.set({"db": {"password": "hunter3"}})
    assert "hunter" not in repr([params, journal.records, params.history("db.password")])
    assert len(journal.records) == 1
    assert redactor.count == 2


def test_the_hook_is_asked_for_foreign_objects(make: Callable[..., Parameters]) -> None:
    params = make(foreign=lambda value: {"x": 1} if isinstance(value, threading.Event) else None)
    assert params.set(threading.Event(), a=threading.Event()).flat() == {"x": 1, "a.x": 1}


# ------------------------------------------------------------------------------- the journal


keys = st.sampled_from(["a", "b", "c", "a.b", "a.b.c", "General/a", "General/b.c", "x/a"])
leaves = st.sampled_from([0, False, 0.0, math.nan, "s", None, [1], [{"a": {}}], {}])
trees = st.dictionaries(
    keys, st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=2)), max_size=3
)
calls = st.lists(
    st.tuples(st.sampled_from(["set", "replace"]), trees, st.sampled_from([None, "S", "x.y"])),
    max_size=6,
)


@settings(deadline=None)
@given(calls, st.sampled_from(["overwrite", "keep", "error"]))
def test_the_journal_gives_back_exactly_the_view(calls: Any, policy: Any) -> None:
    journal = Journal()
    ticks = itertools.count()
    params = Parameters(journal.write, clock=lambda: float(next(ticks)), policy=policy)
    for method, tree, section in calls:
        before = repr(params.flat())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TraceletWarning)
            try:
                if method == "set":
                    params.set(tree, section=section)
                else:
                    params.replace_all(tree)
            except (KeyCollisionError, ParameterConflictError):
                assert repr(params.flat()) == before
    again = journal.replay()
    # Through repr, for which NaN is equal to itself and 0 is not False.
    assert repr(again.flat()) == repr(params.flat())
    assert repr(again.nested()) == repr(params.nested())
    for key in params:
        assert repr(again.history(key)) == repr(params.history(key))
        assert repr(again.history(key)[-1].value) == repr(params[key])


@settings(deadline=None)
@given(trees)
def test_after_one_call_nested_is_what_went_in(tree: dict[str, Any]) -> None:
    params = Parameters(Journal().write)
    given_keys = [key for key in tree if not key.startswith("General/")]
    try:
        params.set({key: tree[key] for key in given_keys})
    except KeyCollisionError:
        return
    assert repr(params.nested()) == repr({key: tree[key] for key in given_keys})


def test_a_later_record_of_another_process_wins() -> None:
    params = Parameters()
    params.apply(Params(1.0, {"a": 1}))
    params.apply(Params(2.0, {"a.b": 2}))
    params.apply(Params(3.0, {"a": 3}, ["nothing"], {}))
    assert params.flat() == {"a": 3}
    assert params.nested() == {"a": 3}


def test_threads_lose_nothing(params: Parameters, journal: Journal) -> None:
    start = threading.Barrier(4)

    def work(name: str) -> None:
        start.wait()
        for number in range(100):
            params.set({name: {"last": number, str(number): number}})

    threads = [threading.Thread(target=work, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(params) == 4 * 101
    assert journal.replay().flat() == params.flat()


def test_no_thread_comes_between_a_record_and_its_view() -> None:
    free = []

    def look() -> None:
        free.append(params._lock.acquire(blocking=False))
        if free[-1]:
            params._lock.release()

    def write(record: Params) -> None:
        other = threading.Thread(target=look)
        other.start()
        other.join()

    params = Parameters(write)
    params.set(a=1)
    assert free == [False]


def test_a_child_can_log_though_a_thread_of_the_parent_held_the_lock() -> None:
    held, release = threading.Event(), threading.Event()

    def write(record: Params) -> None:
        if "slow" in record.values:
            held.set()
            release.wait()

    params = Parameters(write)
    thread = threading.Thread(target=lambda: params.set(slow=1))
    thread.start()
    held.wait()
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside a thread is the point
        child = context.Process(target=lambda: params.set(a=1))
        child.start()
    child.join(60)
    child.kill()
    child.join()
    release.set()
    thread.join()
    assert child.exitcode == 0
