"""Anything with named fields becomes flat, plain parameters, and comes back."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime as dt
import enum
import functools
import math
import types
import uuid
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple

import attrs
import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ids import stable
from omegaconf import OmegaConf

from tracelet.errors import (
    InvalidValueError,
    KeyCollisionError,
    TraceletWarning,
    ValueTypeError,
)
from tracelet.records import Params, decode_lines, encode
from tracelet.values.flatten import Flat, flatten, unflatten

# ------------------------------------------------------------------------------ what comes back

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text()
    | st.just("$float")
)
awkward = st.sampled_from(["a", "b", "a.b", "a.b.c", "a/b", "General/a", ".", "..", "$float", "é"])
keys = awkward | st.text(min_size=1)
listed = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)
values = leaves | st.lists(listed, max_size=3)
nested = st.dictionaries(
    keys, st.recursive(values, lambda inner: st.dictionaries(keys, inner, max_size=3)), max_size=4
)


def same(left: Any, right: Any) -> bool:
    """Tell equality of JSON-like values that knows types, NaN and the sign of zero."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


def flat_or_none(value: Any) -> Flat | None:
    """Flatten, or return None for the few mappings whose flat keys really collide."""
    try:
        return flatten(value)
    except KeyCollisionError:
        return None


@settings(deadline=None)
@given(nested)
def test_every_nested_mapping_comes_back(value: dict[str, Any]) -> None:
    flat = flat_or_none(value)
    if flat is not None:
        assert same(unflatten(*flat), value)


@settings(deadline=None)
@given(nested)
@example({"a": [{"$float": "NaN"}, {"$dict": {"$float": 1}}]})
@example({"a": [{"b": math.inf}, "null"]})
def test_every_nested_mapping_comes_back_from_its_line_in_the_journal(
    value: dict[str, Any],
) -> None:
    flat = flat_or_none(value)
    if flat is not None:
        (record,) = decode_lines(encode(Params(1.0, flat.values, [], flat.paths)))
        assert isinstance(record, Params)
        assert same(unflatten(record.values, record.paths), value)


@settings(deadline=None)
@given(nested)
def test_paths_are_kept_only_where_they_say_more_than_the_key(value: dict[str, Any]) -> None:
    flat = flat_or_none(value)
    if flat is not None:
        assert all(key.split(".") != path for key, path in flat.paths.items())
        assert all(key == ".".join(path) for key, path in flat.paths.items())


def test_nested_mappings_become_dotted_keys() -> None:
    flat = flatten({"model": {"depth": 18, "head": {"classes": 10}}, "lr": 0.1})
    assert flat == ({"model.depth": 18, "model.head.classes": 10, "lr": 0.1}, {})


def test_a_key_with_a_dot_keeps_its_path() -> None:
    flat = flatten({"a.b": 1, "a": {"c.d": 2}})
    assert flat == ({"a.b": 1, "a.c.d": 2}, {"a.b": ["a.b"], "a.c.d": ["a", "c.d"]})


def test_lists_empty_mappings_and_nulls_stay() -> None:
    value = {"layers": [1, [2, {"a": {}}]], "empty": {}, "deep": {"empty": {}}, "none": None}
    assert flatten(value).values == {
        "layers": [1, [2, {"a": {}}]],
        "empty": {},
        "deep.empty": {},
        "none": None,
    }


def test_later_changes_to_what_was_given_change_nothing() -> None:
    given_value: dict[str, Any] = {"a": [1, {"b": [2]}], "c": {}}
    flat = flatten(given_value)
    given_value["a"][1]["b"].append(3)
    given_value["c"]["d"] = 4
    assert flat.values == {"a": [1, {"b": [2]}], "c": {}}


def test_unflatten_refuses_a_key_that_is_a_value_and_a_branch() -> None:
    with pytest.raises(KeyCollisionError, match="both a value and a branch"):
        unflatten({"a": 1, "a.b": 2})
    with pytest.raises(KeyCollisionError, match="both a value and a branch"):
        unflatten({"a.b": 2, "a": 1})
    with pytest.raises(KeyCollisionError, match="both a value and a branch"):
        unflatten({"a": {}, "a.b": 2})


# ------------------------------------------------------------------------------------- the keys


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


def test_keys_that_are_no_strings_become_strings() -> None:
    value = {0: 1, None: 2, True: 3, 1.5: 4, (1, 2): 5, Colour.RED: 6, int: 7, np.int64(8): 8}
    assert flatten({"a": value}).values == {
        "a.0": 1,
        "a.None": 2,
        "a.True": 3,
        "a.1.5": 4,
        "a.(1, 2)": 5,
        "a.red": 6,
        "a.int": 7,
        "a.8": 8,
    }


def test_two_paths_to_one_key_are_an_error_that_names_both() -> None:
    with pytest.raises(KeyCollisionError) as caught:
        flatten({"a": {"b": 1}, "a.b": 2})
    assert caught.value.key == "a.b"
    assert "['a']['b']" in str(caught.value)
    assert "['a.b']" in str(caught.value)


@pytest.mark.parametrize("value", [1, {"x": 1}, []], ids=stable)
def test_two_keys_that_become_the_same_text_are_an_error(value: object) -> None:
    with pytest.raises(KeyCollisionError, match="the keys 1 and '1' are both '1'"):
        flatten({"a": {1: value, "1": {"y": 2}}})
    with pytest.raises(KeyCollisionError, match="the keys 1 and '1' are both '1'"):
        flatten({"a": [{1: value, "1": 2}]})


@pytest.mark.parametrize("value", [{"": 1}, {"a": {"": 1}}, {"a": [{"": 1}]}], ids=stable)
def test_an_empty_key_is_an_error(value: object) -> None:
    with pytest.raises(InvalidValueError, match="an empty key in"):
        flatten(value)


def test_text_that_utf8_cannot_hold_is_escaped() -> None:
    assert flatten({"a\udc80": "b\udc80"}).values == {"a\\udc80": "b\\udc80"}


# ----------------------------------------------------------------------------------- the values


def function() -> None: ...


class Odd:
    def __repr__(self) -> str:
        return "<odd at 0x7f12ab>"


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


class Whole(enum.IntEnum):
    THREE = 3


class Text(enum.StrEnum):
    ADAM = "adam"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Colour.PAIR, [1, 2]),
        (Whole.THREE, 3),
        (Text.ADAM, "adam"),
        (PurePosixPath("data/train"), "data/train"),
        (dt.date(2024, 2, 3), "2024-02-03"),
        (dt.datetime(2024, 2, 3, 4, 5, tzinfo=dt.UTC), "2024-02-03T04:05:00+00:00"),
        (dt.time(4, 5), "04:05:00"),
        (dt.timedelta(minutes=1.5), 90.0),
        (pd.Timestamp("2024-02-03"), "2024-02-03T00:00:00"),
        (pd.Timedelta("90s"), 90.0),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(False), False),
        (np.str_("adam"), "adam"),
        (np.complex64(1j), "1j"),
        (np.clongdouble(1j), "1j"),
        (np.datetime64("2024-02-03", "ns"), "2024-02-03T00:00:00.000000000"),
        (np.array(["2024-02-03"], dtype="M8[ns]"), ["2024-02-03T00:00:00.000000000"]),
        (np.timedelta64(90, "s"), 90.0),
        (np.array([90, "NaT"], dtype="m8[ns]"), [9e-08, math.nan]),
        (np.array(3), 3),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([Path("a"), None], dtype=object), ["a", None]),
        (np.zeros(0), []),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Index(["a", "b"]), ["a", "b"]),
        (Decimal("0.1"), 0.1),
        (Decimal("0.1000000000000000000001"), "0.1000000000000000000001"),
        (Decimal("1e400"), "1E+400"),
        (Decimal("Infinity"), math.inf),
        (Fraction(1, 3), "1/3"),
        (1j, "1j"),
        (b"\x00a", "b'\\x00a'"),
        (bytearray(b"a"), "b'a'"),
        ((1, (2, 3)), [1, [2, 3]]),
        (collections.deque([1, 2]), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({3, 1, 2}), [1, 2, 3]),
        ({1, "a"}, [1, "a"]),
        (range(3), "range(0, 3)"),
        (function, f"{__name__}.function"),
        (Odd, f"{__name__}.Odd"),
        (Odd().__repr__, f"{__name__}.Odd.__repr__"),
        (len, "len"),
        (int, "int"),
        (math, "math"),
        (Odd(), "<odd>"),
        (Broken(), f"<{__name__}.Broken object>"),
        (uuid.UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
        (10**400, 10**400),
    ],
    ids=lambda value: stable(value)[:40] if not isinstance(value, Broken) else "broken",
)
def test_foreign_values_become_plain(value: object, expected: object) -> None:
    flat = flatten({"a": value, "list": [value]})
    assert same(flat.values, {"a": expected, "list": [expected]})


def test_nan_stays_a_number() -> None:
    value = flatten({"a": np.float32("nan"), "b": Decimal("NaN"), "c": [math.nan]}).values
    assert all(isinstance(number, float) for number in (value["a"], value["b"], value["c"][0]))


def test_an_address_never_makes_two_runs_differ() -> None:
    first, second = (functools.partial(lambda: None), functools.partial(lambda: None))
    assert flatten({"a": object()}) == flatten({"a": object()})
    assert flatten({"a": first}) == flatten({"a": second})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros((40, 40)), "numpy.ndarray(shape=(40, 40), dtype=float64)"),
        (pd.DataFrame({"a": [1, 2]}), "DataFrame(shape=(2, 1))"),
    ],
    ids=["array", "table"],
)
def test_a_large_array_is_kept_as_its_shape_and_says_so(value: object, expected: str) -> None:
    with pytest.warns(TraceletWarning, match=r"data\.train.*log an artifact") as caught:
        flat = flatten({"data": {"train": value}})
    assert flat.values["data.train"].endswith(expected)
    assert caught[0].filename == __file__


def test_a_tensor_without_content_is_kept_as_its_shape() -> None:
    class Meta:
        dtype = "float32"
        shape = (2, 2)

        def tolist(self) -> list[float]:
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")

    with pytest.warns(TraceletWarning):
        flat = flatten({"a": Meta()})
    assert flat.values["a"].endswith("Meta(shape=(2, 2), dtype=float32)")


def test_a_tensor_that_only_converts_to_numpy_is_a_list() -> None:
    class Eager:
        dtype = "float32"
        shape = (2,)

        def numpy(self) -> np.ndarray[Any, Any]:
            return np.array([1.0, 2.0])

    assert flatten({"a": Eager()}).values == {"a": [1.0, 2.0]}


def test_an_integer_too_long_to_be_read_back_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="4300 digits"):
        flatten({"a": [10**5000]})


def test_a_structure_that_contains_itself_is_refused() -> None:
    mapping: dict[str, Any] = {"a": {}}
    mapping["a"]["b"] = mapping
    sequence: list[Any] = []
    sequence.append(sequence)
    with pytest.raises(InvalidValueError, match=r"\['a'\]\['b'\] contains itself"):
        flatten(mapping)
    with pytest.raises(InvalidValueError, match=r"\['s'\] contains itself"):
        flatten({"s": sequence})


def test_a_structure_used_twice_is_no_cycle() -> None:
    shared = {"x": [1]}
    assert flatten({"a": shared, "b": [shared, shared]}).values == {
        "a.x": [1],
        "b": [{"x": [1]}, {"x": [1]}],
    }


def test_bottomless_structures_are_refused() -> None:
    class Bottomless(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return Bottomless()

        def __iter__(self) -> Any:
            return iter("a")

        def __len__(self) -> int:
            return 1

    with pytest.raises(InvalidValueError, match="levels deep"):
        flatten(Bottomless())


# --------------------------------------------------------------------------- what has fields


@dataclasses.dataclass
class Data:
    lr: float
    inner: Any = None
    kind: ClassVar[str] = "not a field"


@dataclasses.dataclass(slots=True)
class Slotted:
    lr: float
    unset: int = dataclasses.field(init=False)


@attrs.define
class Attrs:
    lr: float
    inner: Any = None


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    lr: float
    inner: Any = None
    _private: int = 0


class Root(pydantic.RootModel[dict[str, int]]):
    pass


class OldModel:
    """Marked as the models of pydantic's first version are."""

    __fields__: ClassVar[dict[str, Any]] = {"lr": None, "inner": None}
    __slots__ = ("__dict__", "__fields_set__")

    def __init__(self, lr: float, inner: Any) -> None:
        self.lr, self.inner = lr, inner


class Struct(msgspec.Struct):
    lr: float
    inner: Any = None


class Named(NamedTuple):
    lr: float
    inner: Any = None


class ConfigDict:
    """A mapping in all but name."""

    def __init__(self, **content: Any) -> None:
        self.content = content

    def keys(self) -> Any:
        return self.content.keys()

    def __getitem__(self, key: str) -> Any:
        return self.content[key]


@pytest.mark.parametrize(
    "make",
    [
        dict,
        Data,
        Attrs,
        Model,
        OldModel,
        Struct,
        Named,
        ConfigDict,
        argparse.Namespace,
        types.SimpleNamespace,
        lambda **fields: types.MappingProxyType(fields),
    ],
)
def test_fields_become_keys_at_any_depth(make: Any) -> None:
    value = make(lr=0.1, inner=make(lr=0.2, inner=[make(lr=0.3, inner=None)]))
    assert flatten(value).values == {
        "lr": 0.1,
        "inner.lr": 0.2,
        "inner.inner": [{"lr": 0.3, "inner": None}],
    }


def test_extra_fields_of_a_model_are_kept_and_private_ones_are_not() -> None:
    assert flatten(Model(lr=0.1, more=2)).values == {"lr": 0.1, "inner": None, "more": 2}  # type: ignore[call-arg]


def test_a_root_model_is_what_is_in_it() -> None:
    assert flatten({"a": Root({"b": 1})}).values == {"a.b": 1}
    assert flatten(Root({"b": 1})).values == {"b": 1}


def test_a_field_that_was_never_set_is_absent() -> None:
    assert flatten(Slotted(lr=0.1)).values == {"lr": 0.1}


def test_fields_that_raise_are_left_out_with_a_warning_and_the_others_kept() -> None:
    class Base:
        lr = 0.1
        decay = 0.0
        name = "base"

        def method(self) -> None: ...

        @staticmethod
        def static() -> None: ...

        @classmethod
        def of_class(cls) -> None: ...

        def depth(self) -> None: ...

    class Child(Base):
        __slots__ = ("slot",)
        decay = 0.5
        activation = len
        depth = 18  # type: ignore[assignment]

        def name(self) -> None: ...  # type: ignore[assignment]

        def __init__(self) -> None:
            self.slot = 1
            self.lr = 0.2
            self.loss = function
            self._hidden = 2

        @property
        def double(self) -> float:
            return self.lr * 2

        @property
        def broken(self) -> float:
            raise ValueError("not yet")

        @functools.cached_property
        def expensive(self) -> float:
            raise AssertionError("was computed for logging")

    with pytest.warns(TraceletWarning, match=r"left out.*: broken \(ValueError: not yet\)$"):
        flat = flatten(Child())
    assert flat.values == {
        "lr": 0.2,
        "decay": 0.5,
        "depth": 18,
        "slot": 1,
        "activation": "len",
        "double": 0.4,
        "loss": f"{__name__}.function",
    }
    assert flatten(Child).values == {"lr": 0.1, "decay": 0.5, "depth": 18, "activation": "len"}


@dataclasses.dataclass(slots=True)
class NeedsDepth:
    depth: int
    lr: float = 0.1
    layers: list[int] = dataclasses.field(default_factory=lambda: [1])


class NeedsDepthModel(pydantic.BaseModel):
    model_config = {"extra": "allow"}

    depth: int
    lr: float = 0.1
    layers: list[int] = pydantic.Field(default_factory=lambda: [1])


@attrs.define
class NeedsDepthAttrs:
    depth: int
    lr: float = 0.1
    layers: list[int] = attrs.field(factory=lambda: [1])


class NeedsDepthStruct(msgspec.Struct, kw_only=True):
    lr: float = 0.1
    depth: int
    layers: list[int] = msgspec.field(default_factory=lambda: [1])


@pytest.mark.parametrize("cls", [NeedsDepth, NeedsDepthModel, NeedsDepthAttrs, NeedsDepthStruct])
def test_a_class_that_declares_its_fields_is_their_defaults(cls: type) -> None:
    assert flatten(cls).values == {"lr": 0.1, "layers": [1]}


def test_an_attribute_of_a_class_wins_over_the_default_it_declared() -> None:
    @dataclasses.dataclass
    class Config:
        lr: float = 0.1

    Config.lr = 0.2
    assert flatten(Config).values == {"lr": 0.2}


def test_a_class_that_exec_made_is_one_too() -> None:
    names: dict[str, Any] = {}
    exec("class Config:\n    lr = 0.1", names)
    assert names["Config"].__module__ == "builtins"
    assert flatten(names["Config"]).values == flatten(names["Config"]()).values == {"lr": 0.1}


def test_a_module_is_its_public_values() -> None:
    module = types.ModuleType("config")
    module.__dict__.update(lr=0.1, np=np, Path=Path, function=function, _private=1)
    assert flatten(module).values == {"lr": 0.1}


def test_a_plain_object_inside_is_its_text() -> None:
    assert flatten({"a": Odd(), "b": [Odd()]}).values == {"a": "<odd>", "b": ["<odd>"]}


def test_a_hook_is_asked_for_unknown_objects_only() -> None:
    asked = []

    def foreign(value: Any) -> Mapping[str, Any] | None:
        asked.append(type(value).__name__)
        return {"x": 1, "odd": [Odd2()]} if isinstance(value, Odd) else None

    class Odd2(Broken):
        pass

    value = {"a": Odd(), "b": [1, "c", Path("d")], "e": Data(0.1), "f": np.zeros(2)}
    flat = flatten(value, foreign=foreign).values
    assert flat["a.x"] == 1
    assert flat["a.odd"][0].startswith("<")
    assert asked == ["Odd", "Odd2"]
    assert flatten(Odd(), foreign=foreign).values["x"] == 1


@pytest.mark.parametrize(
    "value",
    [
        *(None, 3, "lr", b"lr", 0.5, [("lr", 1)], (1,), {1}, np.zeros(3), function, int),
        *(object(), Path("a"), pd.DataFrame({"a": [1]}), Colour.RED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_fields_is_a_type_error(value: object) -> None:
    with pytest.raises(ValueTypeError, match="parameters need names"):
        flatten(value)


def test_omegaconf_is_resolved_where_it_can_be() -> None:
    config = OmegaConf.create(
        {
            "lr": 0.1,
            "same": "${lr}",
            "missing": "???",
            "broken": "${oc.env:NO_SUCH_VARIABLE}",
            "nothing": None,
            "optimizer": {"lr": "${lr}", "broken": "${nowhere}", "empty": {}},
            "layers": [1, "${lr}", {"size": "${nowhere}"}],
        }
    )
    expected = {
        "lr": 0.1,
        "same": 0.1,
        "missing": "???",
        "broken": "${oc.env:NO_SUCH_VARIABLE}",
        "nothing": None,
        "optimizer": {"lr": 0.1, "broken": "${nowhere}", "empty": {}},
        "layers": [1, 0.1, {"size": "${nowhere}"}],
    }
    assert unflatten(*flatten(config)) == expected
    assert unflatten(*flatten({"inside": config})) == {"inside": expected}
    assert unflatten(*flatten(config.optimizer)) == expected["optimizer"]
    assert flatten({"list": config.layers}).values == {"list": expected["layers"]}


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Structured:
    color: Color = Color.RED
    path: Path = Path("x")
    lr: float = 0.1


def test_a_structured_omegaconf_has_plain_values() -> None:
    found = flatten(OmegaConf.structured(Structured)).values
    assert found == {"color": "red", "path": "x", "lr": 0.1}
