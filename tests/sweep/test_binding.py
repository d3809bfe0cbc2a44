"""bind() sets class attributes for a while, for whoever asked for it only."""

from __future__ import annotations

import asyncio
import enum
import threading
from typing import Any

import pytest

import tracelet
from tracelet import TraceletWarning, bind


class Base:
    inherited = "base"


class Training(Base):
    lr: float = 0.1
    batch_size = 32
    only_annotated: int

    @staticmethod
    def scale(value: int) -> int:
        return value * 2


BEFORE = dict(vars(Training))


@pytest.fixture(autouse=True)
def is_restored() -> Any:
    yield
    assert dict(vars(Training)) == BEFORE


@pytest.mark.parametrize("key", ["lr", "Training.lr", "training.lr"])
def test_the_three_spellings(key: str) -> None:
    with bind(Training, **{key: 0.5}):
        assert Training.lr == Training().lr == 0.5
    assert Training.lr == 0.1


def test_an_exception_restores() -> None:
    with pytest.raises(KeyError), bind(Training, lr=0.5):
        raise KeyError
    assert Training.lr == 0.1


def test_blocks_can_be_nested() -> None:
    with bind(Training, lr=0.5, batch_size=1):
        with bind(Training, lr=0.6):
            assert (Training.lr, Training.batch_size) == (0.6, 1)
        assert Training.lr == 0.5


def test_inherited_annotated_and_static_attributes() -> None:
    with bind(Training, inherited="mine", only_annotated=3, scale=None):
        assert (Training.inherited, Training.only_annotated, Training.scale) == ("mine", 3, None)
        assert Base.inherited == "base"
    assert Training.inherited == "base"
    assert Training.scale(2) == 4
    assert not hasattr(Training, "only_annotated")


def test_other_threads_see_what_they_have_bound_themselves() -> None:
    inside, seen = threading.Barrier(3, timeout=60), {}

    def train(name: str, lr: float | None) -> None:
        if lr is None:
            inside.wait()
            seen[name] = (Training.lr, Training.inherited, hasattr(Training, "only_annotated"))
            inside.wait()
            return
        with bind(Training, lr=lr, inherited=name, only_annotated=1):
            inside.wait()
            seen[name] = (Training.lr, Training.inherited, Training.only_annotated)
            inside.wait()

    threads = [
        threading.Thread(target=train, args=args) for args in [("a", 1.0), ("b", 2.0), ("c", None)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {"a": (1.0, "a", 1), "b": (2.0, "b", 1), "c": (0.1, "base", False)}


def test_other_tasks_see_what_they_have_bound_themselves() -> None:
    async def train(lr: float, mine: asyncio.Event, others: asyncio.Event) -> float:
        with bind(Training, lr=lr):
            mine.set()
            await others.wait()
            return Training.lr

    async def main() -> list[float]:
        first, second = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(train(1, first, second), train(2, second, first))

    assert asyncio.run(main()) == [1, 2]


def test_keys_of_another_class_are_left_to_it() -> None:
    class Model:
        depth = 1

    config = {"Training.lr": 0.5, "Model.depth": 3}

    with bind(Training, **config), bind(Model, **config):
        assert (Training.lr, Model.depth) == (0.5, 3)
    assert Model.depth == 1


def test_bound_attributes_are_logged_with_the_others() -> None:
    with bind(Training, lr=0.5), tracelet.start_logging("bound") as exp:
        exp.log_params(Training)
        assert exp.params["lr"] == 0.5


def test_an_unknown_name_warns_with_the_nearest_one() -> None:
    with (
        pytest.warns(TraceletWarning, match="no parameter 'batchsize'.*'batch_size'"),
        bind(Training, batchsize=1),
    ):
        assert Training.batchsize == 1  # type: ignore[attr-defined]
    assert not hasattr(Training, "batchsize")


def test_one_attribute_in_two_spellings_is_an_error() -> None:
    with (
        pytest.raises(ValueError, match="given twice"),
        bind(Training, **{"lr": 1, "Training.lr": 2}),
    ):
        pass


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("wrong", "name"),
    [(Training(), "lr"), (5, "real"), ("Training", "lr"), (int, "real"), (Colour, "RED")],
)
def test_what_has_no_attributes_to_set_is_a_type_error(wrong: Any, name: str) -> None:
    with pytest.raises(TypeError, match=r"bind\(\)|cannot be set"), bind(wrong, **{name: 1}):
        pass
