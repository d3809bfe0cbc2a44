"""A sweep comes back from its file as it was, and a list written by hand is one, too."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from tracelet import DynamicValue, Sweep, TraceletError


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json", "jsonl", "YAML"])
def test_numbers_and_texts_that_look_like_them_stay_apart(suffix: str) -> None:
    sweep = Sweep().product(a=[1e-5, "1e-5", 1, "1", 1.0, True, "true", None, "null", 1e22, "1E5"])

    sweep.save(f"sweep.{suffix}")

    values = [config["a"] for config in Sweep.load(f"sweep.{suffix}")]
    assert list(map(repr, values)) == [
        *(
            "1e-05",
            "'1e-5'",
            "1",
            "'1'",
            "1.0",
            "True",
            "'true'",
            "None",
            "'null'",
            "1e+22",
            "'1E5'",
        )
    ]


def test_a_list_written_by_hand_in_yaml() -> None:
    Path("sweep.yaml").write_text(
        "- {lr: 1e-5, name: '1e-5', layers: [64, 64]}\n- lr: 1.5E+3\n- lr: {$dynamic: [1, 2]}\n"
    )

    assert list(Sweep.load("sweep.yaml")) == [
        {"lr": 1e-5, "name": "1e-5", "layers": [64, 64]},
        {"lr": 1500.0},
        {"lr": 1},
        {"lr": 2},
    ]


def test_json_lines_have_comments_and_blank_lines() -> None:
    Path("sweep.jsonl").write_text(
        '// the first try\n\n{"url": "http://a"}  // trailing\n   \n  // {"lr": 1}\n{"lr": 2}\n'
    )

    assert list(Sweep.load("sweep.jsonl")) == [{"url": "http://a"}, {"lr": 2}]


@pytest.mark.parametrize("suffix", ["yaml", "json", "jsonl"])
def test_a_byte_order_mark_as_some_editors_write_it_is_no_content(suffix: str) -> None:
    Path(f"sweep.{suffix}").write_text('{"lr": 1}', encoding="utf-8-sig")

    assert list(Sweep.load(f"sweep.{suffix}")) == [{"lr": 1}]


def test_a_single_mapping_is_a_configuration() -> None:
    Path("one.json").write_text('{"lr": 1}')

    assert list(Sweep.load("one.json")) == [{"lr": 1}]


def test_a_file_reads_like_the_calls_that_made_the_sweep() -> None:
    (Sweep().product(lr=[0.1, 0.01], seed=range(3)).zip(a=[1, 2], b=[3, 4]).set(c=5) ** 2).save(
        "s.yaml"
    )

    assert Path("s.yaml").read_text() == (
        "tracelet_sweep: 1\n"
        "factors:\n"
        "- product:\n    lr: [0.1, 0.01]\n"
        "- product:\n    seed:\n      $range: [0, 3, 1]\n"
        "- zip:\n    a: [1, 2]\n    b: [3, 4]\n"
        "- set: {c: 5}\n"
        "- {repeat: 2}\n"
    )


@pytest.mark.parametrize("name", ["sweep.txt", "sweep", "sweep.csv"])
def test_another_suffix_is_an_error_that_names_the_known_ones(name: str) -> None:
    for call in (lambda: Sweep().save(name), lambda: Sweep.load(name)):
        with pytest.raises(ValueError, match=r"\.yaml, \.yml, \.json or \.jsonl"):
            call()
    assert not Path(name).exists()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.json") as caught:
        Sweep.load("gone.json")
    assert isinstance(caught.value, TraceletError)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.yaml", "a: [", "is not YAML"),
        ("a.jsonl", '{"a": 1}\n{"a": }', "line 2, is not JSON"),
        ("a.jsonl", '{"a": 1} {"a": 2}', "line 1: .* follows"),
        ("a.json", "5", "a saved sweep, or a list"),
        ("a.json", "[1]", "a saved sweep, or a list"),
        ("a.json", "[]", "no configuration"),
        ("a.yaml", "", "a saved sweep, or a list"),
        ("a.yaml", "- {1: 2}", "a name is a string"),
        ("a.json", '{"tracelet_sweep": 2, "factors": []}', "another version"),
        ("a.json", '{"tracelet_sweep": 1, "factors": 5}', "factors of a sweep are a list"),
        ("a.json", '{"tracelet_sweep": 1, "factors": [5]}', "no factor"),
        ("a.json", '{"tracelet_sweep": 1, "factors": [{"repeat": 0}]}', "no factor"),
        ("a.json", '{"tracelet_sweep": 1, "factors": [{"foo": {}}]}', "no factor"),
        (
            "a.json",
            '{"tracelet_sweep": 1, "factors": [{"zip": {"a": [1], "b": [1, 2]}}]}',
            "no factor",
        ),
        ("a.json", '{"tracelet_sweep": 1, "factors": [{"pick": [3], "of": []}]}', "no factor"),
        (
            "a.yaml",
            "tracelet_sweep: 1\nfactors:\n- product: {a: [1, 2], b: [3, 4]}\n",
            "no factor",
        ),
        (
            "a.yaml",
            "tracelet_sweep: 1\nfactors:\n- product: {a: [1, 2]}\n  set: {b: 1}\n",
            "no factor",
        ),
        ("a.json", '[{"a": {"$range": ["x"]}}]', "is no value"),
    ],
)
def test_a_file_that_holds_something_else_says_so(name: str, content: str, message: str) -> None:
    Path(name).write_text(content)

    with pytest.raises(ValueError, match=message) as caught:
        Sweep.load(name)
    assert isinstance(caught.value, TraceletError)


def test_a_value_that_no_file_can_hold_is_named_and_leaves_the_file_as_it_was() -> None:
    Sweep().product(a=[1]).save("sweep.yaml")

    with pytest.raises(TypeError, match=r"activation\[1\] is a builtins"):
        Sweep().product(activation=["relu", print]).save("sweep.yaml")

    assert list(Sweep.load("sweep.yaml")) == [{"a": 1}]
    assert [file.name for file in Path().iterdir()] == ["sweep.yaml"]


def test_a_number_of_numpys_that_python_has_no_type_for_is_refused_and_not_made_another() -> None:
    for value in (np.datetime64("2026-01-01", "ns"), np.timedelta64(5, "ns"), np.longdouble(0.1)):
        with pytest.raises(TypeError, match="at is a numpy"):
            Sweep().set(at=value).save("sweep.json")
    assert not Path("sweep.json").exists()


def test_a_reader_never_sees_half_a_file() -> None:
    sweep = Sweep().product(a=list(range(2000)))
    sweep.save("new/sweep.json")
    stop = threading.Event()
    found: list[int] = []

    def read() -> None:
        while not stop.is_set():
            found.append(len(Sweep.load("new/sweep.json")))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        sweep.save("new/sweep.json")
    stop.set()
    reader.join()

    assert set(found) <= {2000}


def test_a_loaded_sweep_is_for_a_target_again() -> None:
    def train(lr: float) -> None: ...

    Sweep().product(lr=[1], rate=[2]).save("sweep.json")

    with pytest.raises(ValueError, match=r"train.* has no parameter 'rate'"):
        Sweep.load("sweep.json", train, strict=True)


def test_choices_of_choices_come_back() -> None:
    choice = DynamicValue([{"name": "sgd", "momentum": DynamicValue(range(2))}, {"name": "adam"}])
    sweep = Sweep(configs=[{"opt": choice, "x": [choice]}])

    sweep.save("sweep.yaml")

    assert list(Sweep.load("sweep.yaml")) == list(sweep)
    assert len(sweep) == 9
