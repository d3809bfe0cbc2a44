"""The lines that a terminal would show."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.capture.terminal import LONGEST, TerminalLines


def shown(*pieces: str | bytes) -> list[str]:
    terminal = TerminalLines()
    lines = []
    for piece in pieces:
        lines += terminal.feed(piece.encode() if isinstance(piece, str) else piece)
    return lines + terminal.rest()


@pytest.mark.parametrize(
    ("printed", "lines"),
    [
        ("one\ntwo\n", ["one", "two"]),
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("no newline at the end", ["no newline at the end"]),
        ("one\n\n\ntwo\n", ["one", "", "", "two"]),
        ("", []),
        ("  0%\r 50%\r100%\ndone\n", ["100%", "done"]),
        ("long text\rshort\n", ["shorttext"]),
        ("bar 10%\r       \rtext\n", ["text"]),
        ("bar 10%\r\x1b[Ktext\n", ["text"]),
        ("bar 10%\x1b[2K\rtext\n", ["text"]),
        ("spin |\b/\b-\bok\n", ["spin ok"]),
        ("\x1b[1;31merror\x1b[0m: \x1b]0;title\x07bad\n", ["error: bad"]),
        ("a\tb\x07\x00c\n", ["a\tbc"]),
        ("ab\x1b[3Gc\x1b[1Dd\x1b[2Ce\n", ["abd  e"]),
        ("é ü ✓ 漢字\n", ["é ü ✓ 漢字"]),
    ],
)
def test_what_is_printed_is_shown_as_a_terminal_does(printed: str, lines: list[str]) -> None:
    assert shown(printed) == lines


def test_two_bars_below_each_other_are_shown_at_their_beginning_and_at_their_end() -> None:
    drawn = [f"\router {n}\n\rinner {n * 10}\x1b[A" for n in range(10)]
    assert shown(*drawn, "\n\n", "done\n") == ["outer 0", "outer 9", "inner 90", "done"]


def test_a_display_that_is_drawn_anew_is_shown_once() -> None:
    drawn = [f"\r\x1b[2K\x1b[1A\x1b[2Ktask {n}\nstep {n}" for n in range(20)]
    assert shown("before\n\n", *drawn, "\n", "after\n") == [
        "before",
        "",
        "task 19",
        "step 19",
        "after",
    ]


def test_a_line_beyond_all_measure_is_several_before_it_ends() -> None:
    text = "x" * (2 * LONGEST + 7)
    assert shown(f"{text}\n") == [text]
    parts = shown(*[text[at : at + 999] for at in range(0, len(text), 999)])
    assert "".join(parts) == text
    assert all(len(part) < LONGEST + 1000 for part in parts)


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert shown(b"\xff\xfe ok\n") == ["\ufffd\ufffd ok"]


PLAIN = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=50)


@settings(deadline=None)
@given(st.lists(PLAIN))
def test_lines_of_plain_text_are_what_they_were(lines: list[str]) -> None:
    assert shown("".join(f"{line}\n" for line in lines)) == [line.rstrip() for line in lines]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "é", "\n", "\r", "\x1b[A", "\x1b[2K", "\b", "\x1b]0;t\x07"])),
       st.data())  # fmt: skip
def test_it_does_not_matter_in_what_pieces_it_comes(tokens: list[str], data: st.DataObject) -> None:
    printed = "".join(tokens).encode()
    cuts = data.draw(st.lists(st.integers(0, len(printed)), max_size=6).map(sorted))
    pieces = [printed[a:b] for a, b in zip([0, *cuts], [*cuts, len(printed)], strict=True)]
    assert shown(*pieces) == shown(printed)
