"""Secrets are hidden under their names and by their shapes, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ids import stable
from secrets_for_tests import (
    PASSWORD_NAMES,
    SECRET_NAMES,
    SHAPES,
    names_of_secrets,
    secret_texts,
)

from tracelet.capture import command_line
from tracelet.redaction import Redactor
from tracelet.redaction.rules import NONE, NUMBERS, TEXTS, secrecy
from tracelet.values.flatten import flatten
from tracelet.wire import REDACTED

PLAIN_NAMES = (
    *("num_tokens", "max_tokens", "n_tokens", "max_new_tokens", "tokens", "token_ids", "tokenizer"),
    *("tokenizer_name", "token_embedding", "token_type_ids", "tokens_per_batch", "target_tokens"),
    *("cls_token", "pad_token", "padToken", "eos_token", "bos_token", "mask_token", "unk_token"),
    *("sep_token", "vocab.unk_token", "image_token", "special_tokens", "additional_special_tokens"),
    *("image_token_id", "token_dropout", "token_budget", "padtoken", "subtoken"),
    *("true_token", "no_token", "answer_token", "reserved_token", "pool_token", "id_key"),
    *("author", "authority", "key", "keys", "primary_key", "public_key", "sort_key", "monitor_key"),
    *("key_dim", "query_key", "prng_key", "num_keys", "cache_key", "keyboard", "monkey"),
    *("passes", "forward_pass", "num_passes", "bypass", "compass", "encompass", "passenger"),
    *("password_file", "secret_name", "token_url", "auth_mode", "credentials_path", "secretary"),
    *("lr", "model.depth", "Args/epochs", "accuracy", "account", "access", "private", "", "."),
)

plain_names = st.sampled_from(["model", "opt", "Args/x", "list", "a.b"])


@pytest.mark.parametrize("name", PASSWORD_NAMES)
def test_passwords_hide_texts_and_numbers(name: str) -> None:
    assert secrecy(name) == secrecy(f"db.{name}") == secrecy(f"Args/{name}") == NUMBERS


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets_hide_texts(name: str) -> None:
    assert secrecy(name) == secrecy(f"db.{name}") == secrecy(f"Args/{name}") == TEXTS


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_other_names_hide_nothing(name: str) -> None:
    assert secrecy(name) == NONE
    redactor = Redactor()
    value = [name, "adam", 3, ["x"]]
    assert redactor.params({name: value, f"a.{name}": value}) == {name: value, f"a.{name}": value}
    assert redactor.count == 0


# ------------------------------------------------------------------------------ under a name


def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Bury a value in mappings and lists."""
    return st.dictionaries(plain_names, inner, min_size=1, max_size=2) | st.lists(
        inner, min_size=1, max_size=2
    )


@settings(deadline=None)
@given(secret_texts, names_of_secrets, st.data())
def test_a_secret_never_appears_at_any_depth(secret: str, name: str, data: st.DataObject) -> None:
    below = data.draw(st.recursive(st.just(secret), around, max_leaves=4))
    above = data.draw(st.recursive(st.just({name: below}), around, max_leaves=4))
    flat = flatten({"top": above, "lr": 0.1}).values
    redactor = Redactor()
    shown = redactor.params(flat)
    assert secret not in repr(shown)
    assert shown["lr"] == 0.1
    assert shown.keys() == flat.keys()
    assert redactor.count >= 1


@settings(deadline=None)
@given(secret_texts, names_of_secrets, st.sampled_from(["--{}={}", "{}={}", "db.{}={}"]))
def test_a_secret_never_appears_on_a_command_line(secret: str, name: str, form: str) -> None:
    argv = ["train.py", form.format(name, secret), f"--{name}", secret, "--lr", "0.1"]
    shown = Redactor().argv(argv)
    assert secret not in repr(shown)
    assert shown[0] == "train.py"
    assert shown[2::2] == [f"--{name}", "--lr"]
    assert shown[-1] == "0.1"
    assert Redactor().argv(["train.py", f"--{name}"]) == ["train.py", f"--{name}"]


def test_what_a_parser_found_to_be_a_secret_is_hidden_on_the_command_line() -> None:
    redactor = Redactor()
    values = {"password": "q7Z", "api_key": ["k1", "k2"], "pin": 12, "lr": 0.1, "token": "true"}
    secrets = redactor.whole({**values, "secret": "", "auth": None}, unseen={"pin"})
    assert secrets == {"q7Z", "k1", "k2", "12"}
    assert redactor.count == 0
    shown = {
        "q7Z": REDACTED,
        "-pq7Z": f"-p{REDACTED}",
        "--pw=q7Z": f"--pw={REDACTED}",
        "k2": REDACTED,
        "-n12": f"-n{REDACTED}",
        "-n": "-n",
        "12x": "12x",
    }
    assert command_line.redacted(list(shown), redactor, secrets) == list(shown.values())
    assert redactor.count == 5
    assert Redactor(enabled=False).whole(values) == set()


@pytest.mark.parametrize("value", [True, False, None, "", {}, [], [None, True]], ids=stable)
def test_what_says_nothing_is_kept_under_every_name(value: object) -> None:
    redactor = Redactor()
    assert redactor.params({"password": value, "token": value}) == {
        "password": value,
        "token": value,
    }
    assert redactor.count == 0


def test_numbers_are_hidden_under_passwords_only() -> None:
    flat = {"password": 1234, "db.pwd": [1.5], "token": 3, "api_key": 4, "auth": [5]}
    assert Redactor().params(flat) == {**flat, "password": REDACTED, "db.pwd": [REDACTED]}


@pytest.mark.parametrize("text", ["${oc.env:HF_TOKEN}", "${env:PASSWORD}", "${db.password}"])
def test_unresolved_references_are_kept(text: str) -> None:
    assert Redactor().params({"password": text, "token": text}) == {"password": text, "token": text}
    hidden = "${oc.env:PASSWORD,hunter2}"
    assert Redactor().value("password", hidden) == REDACTED


def test_tokens_of_a_text_are_kept_under_token() -> None:
    flat = {"token": "<|endoftext|>", "my_token": "[MASK]", "password": "<p>"}
    assert Redactor().params(flat) == {**flat, "password": REDACTED}


def test_working_directories_of_the_shell_are_kept() -> None:
    flat = {"Environment/PWD": "/home/me", "Environment/OLDPWD": "/", "PWD": "hunter2", "pwd": "/x"}
    assert Redactor().params(flat) == {**flat, "PWD": REDACTED, "pwd": REDACTED}
    flat = {"env.PWD": "/home/me", "env": [{"OLDPWD": "/"}, {"PWD": 1}]}
    assert Redactor().params(flat) == {**flat, "env": [{"OLDPWD": "/"}, {"PWD": REDACTED}]}
    text = "PWD=/home/me docker run -v $PWD:/data"
    assert Redactor().text(text) == text
    assert Redactor(["PWD"]).params({"PWD": "/home/me"}) == {"PWD": REDACTED}
    assert Redactor(["PWD"]).text(text) == f"PWD={REDACTED}"


X = "q7Zx+y"
NESTED: list[dict[str, Any]] = [
    {"openai": {"key": X}},
    {"aws": {"access": {"key": X}, "secret": {"access": X}}},
    {"azure": {"keys": [X, {"a": X}]}},
    {"headers": [("Authorization", X), ("X-Api-Key", X)]},
    {"env": [["lr", 1], ["api_key", X], ["api_key", [X]]]},
    {"env": [{"name": "API_KEY", "value": X}, {"Key": "password", "Value": X}]},
    {"command": ["train.py", "--password", X, "--lr", "1"]},
    {"text": f'{{"openai": {{"key": "{X}"}}}}'},
    {"token": {"value": X, "mode": "max"}},
    {"credentials": [["me", X]], "secrets": [[X, X]]},
    {"auth": {"user": X}},
    {"card": {"pin": 1234}, "pin_code": X, "user_pin": 1234},
]


@pytest.mark.parametrize("nested", NESTED)
def test_a_name_holds_for_all_that_is_below_it(nested: dict[str, Any]) -> None:
    flat = flatten(nested).values
    whole = flatten({"x": [nested]}).values["x"]
    for shown in (Redactor().params(flat), Redactor().value("model", whole)):
        assert X not in repr(shown)
        assert "1234" not in repr(shown)


SHOWN: list[dict[str, Any]] = [
    {"token": {"mode": "max", "type": "word"}, "hub": {"token": {"dim": 3}}},
    {"model": {"key": "abc"}, "query": {"key": "abc"}, "tokens": {"pad": "<pad>"}},
    {"attention": {"key": "x", "value": "y"}},
    {"columns": ["token", "label"], "pairs": [["lr", "high"], ["token", 3]]},
    {"env": [{"name": "lr", "value": "high"}]},
    {"pin_memory": "auto", "led_pin": 13, "pin": 4, "spin": 3, "lr": 0.1, "seed": 12345678},
    {"command": ["--token", "--lr", "x"]},
]


@pytest.mark.parametrize("nested", SHOWN)
def test_what_is_below_or_beside_no_secret_is_kept(nested: dict[str, Any]) -> None:
    flat = flatten(nested).values
    whole = flatten({"x": [nested]}).values["x"]
    redactor = Redactor()
    assert redactor.params(flat) == flat
    assert redactor.value("model", whole) == whole
    assert redactor.count == 0


def test_a_secret_is_hidden_in_a_key_too() -> None:
    redactor = Redactor()
    flat = {f"{SHAPES[0]}.lr": 1, "a": [{f"x {SHAPES[1]}": 2}], "postgres://me:x@h": 3}
    assert redactor.params(flat) == {
        f"{REDACTED}.lr": 1,
        "a": [{f"x {REDACTED}": 2}],
        f"postgres://me:{REDACTED}@h": 3,
    }
    assert redactor.count == 3


def test_no_value_is_lost_for_its_key_is_hidden() -> None:
    one, other, third = SHAPES[:3]
    given = {one: 1, other: {"x": 2}, f"{third}.x": 3, f"{REDACTED} 2": 4}
    shown = {REDACTED: 1, f"{REDACTED} 2": {"x": 2}, f"{REDACTED}.x": 3, f"{REDACTED} 2 2": 4}
    assert Redactor().params(given) == shown
    assert Redactor().value("list", [given]) == [shown]


def test_an_argument_is_hidden_to_its_end() -> None:
    argv = ["--password=a b,c", "+db.password=a,b=c", "use_token=true", "note=a token=b"]
    assert Redactor().argv(argv) == [
        f"--password={REDACTED}",
        f"+db.password={REDACTED}",
        "use_token=true",
        f"note=a token={REDACTED}",
    ]


# ------------------------------------------------------------------------------ the settings


def test_extra_globs_hide_whatever_is_under_them() -> None:
    redactor = Redactor(["*_pin", "Patient*", "a.b"])
    flat = {"card_pin": 12, "x.PATIENT_name": "me", "a.b": [True, None], "b": 1, "pad_token": "x"}
    assert redactor.params(flat) == {
        **flat,
        "card_pin": REDACTED,
        "x.PATIENT_name": REDACTED,
        "a.b": [REDACTED, None],
    }
    assert redactor.argv(["--card_pin", "12"]) == ["--card_pin", REDACTED]


def test_a_glob_with_an_exclamation_mark_is_no_secret() -> None:
    redactor = Redactor(["!token", "!db.*"])
    flat = {"token": "x", "a.token": "x", "db.password": "y", "api_token": "z"}
    assert redactor.params(flat) == {**flat, "api_token": REDACTED}


def test_switched_off_it_hides_nothing() -> None:
    redactor = Redactor(["lr"], enabled=False)
    flat = {"password": "hunter2", "lr": 1, "note": SHAPES[0]}
    shown = redactor.params(flat)
    assert shown == flat
    assert shown is not flat
    assert redactor.argv(["--password", "x"]) == ["--password", "x"]
    assert redactor.text(SHAPES[0]) == SHAPES[0]
    assert redactor.value("token", "x") == "x"
    assert redactor.count == 0


def test_what_was_given_is_left_as_it_is() -> None:
    flat = {"secrets": ["a", {"b": "c"}]}
    Redactor().params(flat)
    assert flat == {"secrets": ["a", {"b": "c"}]}


def test_a_flag_hides_only_what_follows_it() -> None:
    argv = ["--use-auth-token", "--lr", "3", "--token", "--lr", "4", "-password", "x", "y"]
    assert Redactor().argv(argv) == [*argv[:7], REDACTED, "y"]


def test_it_counts_what_it_hides() -> None:
    redactor = Redactor()
    redactor.params({"password": "x", "tokens": ["a"], "secrets": ["a", "b"]})
    redactor.text("password=abcdefgh")
    redactor.argv(["--token", "abc"])
    assert redactor.count == 5
