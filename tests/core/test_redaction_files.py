"""Files of configurations are kept byte for byte, but for the secrets in them."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path
from typing import Any

import pytest

import tracelet
from tracelet.redaction import Redactor

S = "q7Zx+y"
FILES = {
    "a.json": (
        f'{{\r\n\t"api_key": "{S}",\r\n\t"openai": {{"key" : "{S}"}}, "lr": 1e-3\r\n}}',
        '{\r\n\t"api_key": "[redacted]",\r\n\t"openai": {"key" : "[redacted]"}, "lr": 1e-3\r\n}',
    ),
    "a.yaml": (
        f"db:\n  password: {S} # é\n  keys: &k [a]\ntokens:\n  pad: <pad>\nsecrets: [{S}]\n",
        (
            "db:\n  password: [redacted] # é\n  keys: &k [a]\ntokens:\n  pad: <pad>\n"
            "secrets: [[redacted]]\n"
        ),
    ),
    "a.toml": (
        f'lr = 1\n[hub]\ntoken="{S}"\npad_token = "é"\n',
        'lr = 1\n[hub]\ntoken="[redacted]"\npad_token = "é"\n',
    ),
    "a.ini": (f"[x]\npassword : {S}\né = 1", "[x]\npassword : [redacted]\né = 1"),
    ".env": (f"LR=1\nexport HF_TOKEN={S}\nÉ=1\n", "LR=1\nexport HF_TOKEN=[redacted]\nÉ=1\n"),
}
ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "latin-1": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", FILES)
def test_secrets_are_hidden_in_a_text_of_any_encoding(name: str, encoding: str) -> None:
    content, expected = (
        ENCODINGS[encoding] + text.encode(encoding, "surrogateescape") for text in FILES[name]
    )
    redactor = Redactor()
    assert redactor.content(content) == expected
    assert redactor.content(expected) is expected
    assert redactor.count == FILES[name][1].count("[redacted]")


DIFF = """diff --git a/a.yaml b/a.yaml
--- a/a.yaml
+++ b/a.yaml
@@ -1,3 +1,4 @@
 lr: 1
-password: {0}
+credentials: [{0}]
+é: 1
   b:
-  - token: {0}
diff --git a/é b/é
--- a/é
+++ b/é
@@ -1 +1,2 @@
-PASSWORD={0}
+[credentials]
+api_key = {0}
"""


def test_secrets_are_hidden_in_a_diff_as_in_its_files() -> None:
    redactor = Redactor()
    shown = redactor.content(DIFF.format(S).encode()).decode()
    assert shown == DIFF.format("[redacted]")
    assert redactor.count == 5


def test_a_secret_of_several_lines_is_hidden_in_a_diff() -> None:
    key = "+-----BEGIN PRIVATE KEY-----\n+MIIEvQ\n+-----END PRIVATE KEY-----"
    diff = "diff --git a/key b/key\n@@ -0,0 +1,3 @@\n{}\ndiff --git a/x b/x\n+token: {}\n"
    redactor = Redactor()
    shown = redactor.content(diff.format(key, S).encode()).decode()
    assert shown == diff.format("+[redacted]", "[redacted]")
    assert redactor.count == 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_text_says_by_its_first_letter_how_wide_it_is(encoding: str) -> None:
    odd = b"\0"
    assert Redactor().content(f"token: {S}".encode(encoding) + odd) == (
        "token: [redacted]".encode(encoding) + odd
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"x",
        f"lr: 1\ntokenizer: {S}\n".encode(),
        b"token: \xff\0\xfe" + S.encode(),
        b"\xff\xfe\0\xd8token" + S.encode(),
        b"\xff\xfe\0\0token=abcdefg",
        gzip.compress(f"token: {S}".encode(), mtime=0),
    ],
)
def test_what_is_no_text_or_has_no_secret_is_as_it_was(content: bytes) -> None:
    assert Redactor().content(content) is content
    assert Redactor(enabled=False).content(b"token: abc") == b"token: abc"


@pytest.mark.parametrize("name", FILES)
def test_no_secret_of_a_file_is_on_disk(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    given, expected = FILES[name]
    file.write_bytes(given.encode("utf-16"))
    with tracelet.start_logging("run", dir=tmp_path / "runs") as exp:
        exp.connect_configuration(file)
        kept: Any = exp.get_configuration()
        assert kept.read_bytes().decode("utf-16") == expected
    assert file.read_bytes().decode("utf-16") == given
    for path in (tmp_path / "runs").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert S.encode() not in content
            assert S.encode("utf-16-le") not in content
