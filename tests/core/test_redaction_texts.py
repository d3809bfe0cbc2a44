"""In a text, secrets are hidden by the names before them and by their shapes; the rest is kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from secrets_for_tests import SHAPES, names_of_secrets, secret_texts

from tracelet.redaction import Redactor
from tracelet.wire import REDACTED


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


# ------------------------------------------------------------------------------ the forms

S = "q7Z/x+y"
FORMS = {
    # commands as lists, in JSON, Docker's files and Python's
    f'["--password","{S}"]': '["--password","[redacted]"]',
    f'CMD ["app","--password","{S}","-v"]': 'CMD ["app","--password","[redacted]","-v"]',
    f"args=['--api-key','{S}']": "args=['--api-key','[redacted]']",
    # between braces, as in ODBC
    f"PWD={{{S}}}": "PWD={[redacted]}",
    f"UID=me;PWD={{{S};x}};Server=y": "UID=me;PWD={[redacted]};Server=y",
    # what Python shows
    f"{{'api_key': '{S}', 'lr': 1}}": "{'api_key': '[redacted]', 'lr': 1}",
    f"Settings(api_key='{S}', lr=1)": "Settings(api_key='[redacted]', lr=1)",
    f"Settings(api_key=SecretStr('{S}'), lr=1)": "Settings(api_key=[redacted], lr=1)",
    f"(password=b'{S}', lr=1)": "(password=[redacted], lr=1)",
    f"def f(api_key: str = '{S}', lr=1)": "def f(api_key: str = '[redacted]', lr=1)",
    f"os.environ['HF_TOKEN'] = '{S}'": "os.environ['HF_TOKEN'] = '[redacted]'",
    f"['train.py', '--password', '{S}']": "['train.py', '--password', '[redacted]']",
    f"x(password={S}'{S}, lr=1)": "x(password=[redacted], lr=1)",
    # JSON
    f'{{"api_keys": ["{S}", "{S}"], "lr": 1}}': (
        '{"api_keys": ["[redacted]", "[redacted]"], "lr": 1}'
    ),
    f'{{"credentials": {{"user": "{S}", "old": ["{S}"]}}, "lr": 1}}': (
        '{"credentials": {"user": "[redacted]", "old": ["[redacted]"]}, "lr": 1}'
    ),
    f'{{"openai": {{"key": "{S}"}}}}': '{"openai": {"key": "[redacted]"}}',
    f'{{"password": "{S}\\"{S}"}}': '{"password": "[redacted]"}',
    '{"user_pin": 12345678, "lr": 1}': '{"user_pin": "[redacted]", "lr": 1}',
    f'[{{"name":"api_key","value":"{S}"}}]': '[{"name":"api_key","value":"[redacted]"}]',
    # YAML
    f"{{lr: 1, password: {S} {S}'{S}, x: ${{y}}}}": "{lr: 1, password: [redacted], x: ${y}}",
    f"- name: TOKEN\n  value: {S} '{S}\n  lr: 1": "- name: TOKEN\n  value: [redacted]\n  lr: 1",
    f"api_key: {S} {S}  # mine\nlr: 1": "api_key: [redacted]  # mine\nlr: 1",
    f"- name: API_KEY\n  value: {S}\n": "- name: API_KEY\n  value: [redacted]\n",
    f"token: {{value: {S}, mode: max}}": "token: {value: [redacted], mode: max}",
    f"{{secrets: [{S}'a, ']{S}', {S}], x: 'y'}}": (
        "{secrets: [[redacted], '[redacted]', [redacted]], x: 'y'}"
    ),
    f"password: '{S}''{S}'": "password: '[redacted]'",
    # TOML, INI, the environment
    f'api_key = "{S}"\nlr = 1': 'api_key = "[redacted]"\nlr = 1',
    f'token = """{S}\n{S}"""\nlr = 1': 'token = """[redacted]"""\nlr = 1',
    f"[credentials]\n- a\n- token={S}\n": "[credentials]\n- a\n- token=[redacted]\n",
    f"{{name: API_KEY, value: {S} {S}}}": "{name: API_KEY, value: [redacted]}",
    f"DB_PASSWORD={S}&{S};{S}) '{S}\nA=1": "DB_PASSWORD=[redacted]\nA=1",
    f"password='{S}": "password=[redacted]",
    # headers, command lines, addresses, others
    f"Cookie: a={S}; b={S}\nx: 1": "Cookie: [redacted]\nx: 1",
    f'curl -H \'Authorization: Digest a="{S}", b="{S}"\' http://x': (
        "curl -H 'Authorization: [redacted]' http://x"
    ),
    f"run --password {S},{S} --lr 1": "run --password [redacted] --lr 1",
    f"https://h/?api_key={S}&page=2": "https://h/?api_key=[redacted]&page=2",
    f":token => '{S}', :lr => 1": ":token => '[redacted]', :lr => 1",
    "pwd=12345678 token=1234567890 tokens=5": "pwd=[redacted] token=[redacted] tokens=5",
}


@pytest.mark.parametrize(("text", "expected"), FORMS.items())
def test_a_secret_is_hidden_in_every_form_and_the_form_is_kept(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected
    assert Redactor().text(expected) == expected
    inside = json.dumps({"text": text})
    if "\n" not in text:  # JSON in a text of JSON
        assert S not in Redactor().text(inside)


KEPT = [
    "token: {mode: max}",
    '{"token": {"mode": "max"}, "password": null, "auth": [], "secrets": {}}',
    "token: ${oc.env:HF_TOKEN}\nlr: 1",
    "token=[MASK] pad_token=<pad>",
    "mask_token_id=3, max_tokens=5, key_dim: 64, secretary: bob",
    "monkey=1\nkeyboard: us\nprimary_key = id\nsort_key=x\npin_memory: true",
    "a=1|key=2|key=three",
    "model:\n  key: abc\nquery:\n  key: abc",
    "{'key': 'x', 'value': 'y'}",
    "[model]\nkey = abc",
    "name: adam\nvalue: high",
    "token:\nlr: 1",
    "password:\n\nlr: 1",
    "columns: ['token', 'label']",
    'X="password=false,*=true"',
    "class A:\n    def f(self, user: str, key: str) -> None: ...",
    "lr: 0.1\nseed: 12345678",
    'for k in keys: print(token::value, "token: " + x)',
]


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_the_name_of_a_secret_hides_nothing(text: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.count == 0


pieces = st.sampled_from(
    [
        "lr=1",
        "a: b",
        "\n",
        "\n  ",
        " ",
        ", ",
        "x",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "'",
        '"',
        "\\",
        "-",
    ]
)


@settings(deadline=None)
@given(secret_texts, names_of_secrets, st.lists(pieces, max_size=6).map("".join))
def test_no_text_before_a_secret_lets_it_through(secret: str, name: str, before: str) -> None:
    for form in ("{}={}", "{}: {}", '"{}": "{}"', "'{}': '{}'", "{} = '{}'", '--{}="{}"'):
        assert secret not in Redactor().text(f"{before} {form.format(name, secret)}\nlr: 0.1")


plain_characters = st.characters(exclude_characters="PpSsTtKkAaCcBbJjAaRr\u212a\u017f@")


@settings(deadline=None)
@given(st.text(plain_characters, max_size=200))
def test_a_text_without_names_and_shapes_is_unchanged(text: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.content(text.encode(errors="surrogatepass")) == text.encode(
        errors="surrogatepass"
    )
    assert redactor.count == 0


def test_globs_of_the_user_hold_in_texts_too() -> None:
    redactor = Redactor(["*_id", "!token"])
    assert redactor.text("patient_id: 12, token=x, api_key=y") == (
        "patient_id: [redacted], token=x, api_key=[redacted]"
    )


# ------------------------------------------------------------------------------ long texts


def long(piece: str) -> str:
    """Repeat a piece so often that what is quadratic takes longer than a test may."""
    return piece * (800_000 // len(piece))


@pytest.mark.parametrize(
    "text",
    [
        *(long("a"), "--" + long("token"), "https://" + long("a:"), long("-eyJ"), long("/")),
        *(long("key: "), "token" + long(" "), long("a+"), long("key=1|"), long("@"), long('"')),
        *(long("://a:"), long("QUJDREVGR0hJSktMTU5PUFFSUw=="), long("--token"), long("'cookie: ")),
        *(long("auth={["), long("auth=[\n"), long("auth: |\n a\n"), long("auth:\n\n")),
        *(long("auth=\\'"), long("[token"), long('["token", '), long("  key: a\n")),
        *(
            long("curl -u "),
            long("mysql x -p"),
            long("login --a "),
            long("username=a key "),
            long("?sig="),
        ),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_a_very_long_text_takes_no_quadratic_time(text: str) -> None:
    assert Redactor().text(f"{text}\npassword=hunter2").endswith("\npassword=[redacted]")


# ------------------------------------------------------------------------------ by shape


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
        ("pg://me:hun/ter2@h/x, pg://h:5432/a@b", "pg://me:[redacted]@h/x, pg://h:5432/a@b"),
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
