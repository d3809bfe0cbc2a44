"""What a backend says is kept in many places; none of its secrets may be in any of them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from talkative_backends import ADDRESS, ALL, ENVIRONMENT, OPTIONS, SECRETS, TEXT
from waiting import eventually

import tracelet
from tracelet.courier import error_texts
from tracelet.courier.cursor import CursorFile
from tracelet.courier.error_texts import full_text, one_line, redacted, remember_secrets
from tracelet.wire import REDACTED

FAILING = ("unreachable", "refusing", "exiting", "unclosed")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_texts, "_secrets", set())
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_no_secret_of_what_a_backend_says_is_kept_or_told(
    tmp_path: Path,
    courier: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    quick_retries: None,
) -> None:
    # What an SDK prints in the training process itself is not ours to change.
    options = {"store": str(tmp_path), "is_silent": courier == "thread", **OPTIONS}
    exp = tracelet.start_logging(
        backend=["local", *ALL],
        courier=courier,
        dir="runs",
        drain_timeout=2 if courier == "process" else 6,  # when threads are left, nobody closes
        backends={cls.name: options for cls in ALL},
    )
    exp.log_params(lr=0.1)
    exp.log_metric("loss", 0.5)
    assert exp.dir is not None
    cursors = {name: CursorFile(exp.dir / "cursors", name) for name in FAILING}
    eventually(lambda: all(cursors[name].load().last_error for name in FAILING[:-1]), 60)
    exp.stop()
    eventually(lambda: cursors["unclosed"].load().last_error is not None, 60)
    for name in FAILING:
        said = cursors[name].load().last_error
        assert said is not None
        assert said.endswith(": try again")
        assert said.count(REDACTED) == len(SECRETS)
    assert cursors["unclosed"].load().link == tracelet.RunLink(
        "1", f"https://me:{REDACTED}@tracker.example/runs"
    )
    shows = subprocess.run(
        [sys.executable, "-m", "tracelet", "show", str(exp.dir)], capture_output=True, check=True
    )
    told = {}
    for file in exp.dir.rglob("*"):
        # The courier goes on: what it has just written takes the place of another file.
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            told[file.relative_to(exp.dir).as_posix()] = file.read_bytes()
    told["terminal"] = "".join(capsys.readouterr()).encode()
    told["log"] = caplog.text.encode()
    told["show"] = shows.stdout
    places = {"cursors/exiting.json", "rejected/refusing.jsonl", "run.json", "terminal", "show"}
    places.add("log" if courier == "thread" else "courier.log")
    assert [place for place in places if b"try again" not in told[place]] == []
    assert [
        (place, secret)
        for place, text in told.items()
        for secret in SECRETS
        if secret.encode() in text
    ] == []


def test_a_text_without_secrets_stays_as_it_is() -> None:
    remember_secrets(OPTIONS)
    text = "no metrics here: (413) payload of 20 tokens is too large for http://host:80/a?b=c"
    assert redacted(text) == text
    assert one_line(RuntimeError(text)) == f"RuntimeError: {text}"


def test_the_traceback_and_the_causes_are_shown_without_secrets() -> None:
    remember_secrets(OPTIONS)
    with pytest.raises(ValueError, match="try again") as caught:
        raise ValueError(TEXT) from OSError(f"cause {TEXT}")
    text = full_text(caught.value)
    assert text.startswith("ValueError: no answer from")
    assert f'File "{__file__}"' in text
    assert "OSError: cause no answer" in text
    assert text.endswith(": try again")
    assert [secret for secret in SECRETS if secret in text] == []


def test_a_secret_that_the_end_of_a_line_would_cut_is_hidden() -> None:
    said = one_line(RuntimeError(f"{'x' * 440} {ADDRESS}"))
    assert len(said) <= 500
    assert "pw-of" not in said


@pytest.mark.parametrize("value", ["test", "", None, 5, ["a"]])
def test_a_short_or_other_value_hides_no_part_of_words(value: object) -> None:
    remember_secrets({"api_key": value, "password": value})
    assert redacted("the latest 5 of a testing None") == "the latest 5 of a testing None"
