"""Secrets are hidden under their names and by their shapes, and nothing else is."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ids import stable

from tracelet.core.flatten import flatten
from tracelet.redaction import REDACTED, Redactor
from tracelet.secret_names import NONE, NUMBERS, TEXTS, secrecy

PASSWORD_NAMES = (
    *("password", "db_password", "userPassword", "DB-PASSWORD", "PGPASSWORD", "passwd", "pwd"),
    *("MYSQL_PWD", "passphrase", "password2", "dbpassword"),
)
SECRET_NAMES = (
    *("secret", "client_secret", "clientSecret", "aws_secret_access_key", "secrets", "SECRET_KEY"),
    *("token", "hf_token", "HF_TOKEN", "accessToken", "access_tokens", "token_v2", "authtoken"),
    *("GITLAB_PRIVATE_TOKEN", "session-token", "refresh_token", "api_token", "bearer_token"),
    *("api_key", "apiKey", "APIKey", "API_KEY", "x-api-key", "apikey", "api_keys", "wandb_api_key"),
    *("access_key", "private_key", "ssh_key", "account_key", "openai_key", "api_key_openai"),
    *("credential", "credentials", "git_credentials", "auth", "basic_auth", "Authorization"),
    *("smtp_pass", "pass", "jwt", "cookie"),
)
PLAIN_NAMES = (
    *("num_tokens", "max_tokens", "n_tokens", "max_new_tokens", "tokens", "token_ids", "tokenizer"),
    *("tokenizer_name", "token_embedding", "token_type_ids", "tokens_per_batch", "target_tokens"),
    *("cls_token", "pad_token", "padToken", "eos_token", "bos_token", "mask_token", "unk_token"),
    *("sep_token", "vocab.unk_token", "image_token", "special_tokens", "additional_special_tokens"),
    *("image_token_id", "token_dropout", "token_budget", "padtoken", "subtoken"),
    *("author", "authority", "key", "keys", "primary_key", "public_key", "sort_key", "monitor_key"),
    *("key_dim", "query_key", "prng_key", "num_keys", "cache_key", "keyboard", "monkey"),
    *("passes", "forward_pass", "num_passes", "bypass", "compass", "encompass", "passenger"),
    *("password_file", "secret_name", "token_url", "auth_mode", "credentials_path", "secretary"),
    *("lr", "model.depth", "Args/epochs", "accuracy", "account", "access", "private", "", "."),
)

secret_texts = st.text(string.ascii_letters + string.digits + "!#%*+^_~", min_size=8).map(
    lambda text: f"q7{text}Z"
)
names_of_secrets = st.sampled_from(PASSWORD_NAMES + SECRET_NAMES)
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
    assert redactor.argv(list(shown), secrets) == list(shown.values())
    assert redactor.count == 5
    assert Redactor(enabled=False).whole(values) == set()


@settings(deadline=None)
@given(secret_texts, names_of_secrets)
def test_a_secret_never_appears_in_a_text(secret: str, name: str) -> None:
    assume(not any(character in secret for character in "&,;"))
    for text in (
        f"host=db {name}={secret} port=5",
        f'{{"{name}": "{secret}", "lr": 0.1}}',
        f"{{'{name}': '{secret}'}}",
        f"{name}: {secret}\nlr: 0.1",
        f"python train.py --{name} {secret} --lr 0.1",
        f"https://host/path?{name}={secret}&page=2",
        f"monitor_key: {name}={secret}",
    ):
        shown = Redactor().text(text)
        assert secret not in shown
        assert REDACTED in shown


def test_the_rest_of_a_text_is_kept() -> None:
    text = (
        '{"password": "hunter2", "lr": 0.1} --token abc https://h/p?api_key=x&page=2 num_tokens=5'
    )
    assert Redactor().text(text) == (
        '{"password": "[redacted]", "lr": 0.1} --token [redacted] '
        "https://h/p?api_key=[redacted]&page=2 num_tokens=5"
    )


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


# ------------------------------------------------------------------------------ by shape


SHAPES = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
    "glpat-abcDEF123_4567890xyz",
    "sk-abcdefghijklmnopqrstuvwxyz012345",
    "sk-proj-abc_DEF-ghijklmnopqrstuvwxyz",
    "sk-ant-api03-abcDEF_ghi-jklmnopqrstuvw",
    "sk_live_0123456789abcdefghij",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
    "xoxb-123456789012-abcdefABCDEF",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
]


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize("form", ["{}", "use {} now", "'{}'", "x={},y", "Bearer {}"])
def test_well_known_shapes_are_hidden_wherever_they_are(secret: str, form: str) -> None:
    redactor = Redactor()
    shown = redactor.params({"note": form.format(secret), "list": [{"a": form.format(secret)}]})
    assert shown["note"] == shown["list"][0]["a"] == form.format(REDACTED)
    assert redactor.count == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://me:hunter2@db:5432/x", "postgres://me:[redacted]@db:5432/x"),
        ("redis://:hunter2@h", "redis://:[redacted]@h"),
        ("a https://me:p@ss@h/x, b", "a https://me:[redacted]@h/x, b"),
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        ("Authorization: Basic bWU6aHVudGVyMg==", "Authorization: [redacted]"),
        ("curl -H 'bearer abcdefgh1234'", "curl -H 'bearer [redacted]'"),
        (
            "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nb",
            "a\n[redacted]\nb",
        ),
        ("private_key: -----BEGIN PRIVATE KEY-----\nMIIE\n", "private_key: [redacted]"),
        ("password='it is long', x", "password='[redacted]', x"),
    ],
)
def test_what_is_around_a_secret_is_kept(text: str, expected: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == expected
    assert redactor.value("note", text) == expected
    assert redactor.count == 2


@pytest.mark.parametrize(
    "text",
    [
        "adam",
        "sk-learn-random-forest-classifier-v2",
        "hf_hub_download_with_a_long_name",
        "https://user@host/x",
        "git@github.com:me/project.git",
        "https://auth.example.com:443/a?b=c",
        "s3://bucket/tokens/part-0001",
        "secret://vault/path",
        "loss per token: 2.31",
        "num_tokens=5, pad_token=<pad>, tokenizer=bert",
        "--max-tokens 5 --tokenizer bert --pad-token x",
        "use_auth_token=True token=None",
        "a key: a value",
        "0123456789abcdef0123456789abcdef01234567",
        "bearer of news",
        "[redacted]",
        "password=[redacted]",
        "postgres://me:[redacted]@db",
        "${oc.env:HF_TOKEN}",
    ],
)
def test_texts_without_a_secret_are_untouched(text: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.argv([text]) == [text]
    assert redactor.params({"note": text}) == {"note": text}
    assert redactor.count == 0


@settings(deadline=None)
@given(st.text() | st.sampled_from(SHAPES).map(lambda shape: f"a {shape} b"))
def test_a_text_is_redacted_once(text: str) -> None:
    redactor = Redactor()
    once = redactor.text(text)
    count = redactor.count
    assert redactor.text(once) == once
    assert redactor.count == count


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


@pytest.mark.parametrize(
    "long",
    [
        *("a" * 300_000, "--" + "token" * 60_000, "https://" + "a:" * 100_000, "-eyJ" * 60_000),
        *("key: " * 60_000, "token" + " " * 300_000, "/" * 300_000, "a+" * 100_000),
    ],
    ids=lambda text: text[:12],
)
def test_a_very_long_text_takes_no_quadratic_time(long: str) -> None:
    assert Redactor().text(f"{long}\npassword=hunter2") == f"{long}\npassword=[redacted]"
