"""What a program prints, as lines of its run, while the terminal shows it as ever."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import textwrap
import threading
from pathlib import Path

import psutil
import pytest
from user_scripts import TESTS, Script, ended_view, journaled, run_script
from waiting import eventually

import tracelet
from tracelet.capture.console_reader import LONGEST
from tracelet.courier import exit_status
from tracelet.records import Finished, Text

PRINTS = """
import ctypes, os, subprocess, sys
def everything():
    print("from Python")
    print("an error of Python", file=sys.stderr)
    sys.stdout.flush()
    subprocess.run(["sh", "-c", "echo from a child; echo an error of a child >&2"])
    os.write(1, b"raw\\n")
    for part in range(0, 101, 10):
        print(f"\\r{part:3} %", end="", flush=True)
    print()
    libc = ctypes.CDLL(None)
    libc.printf(b"from C\\n")
    libc.fflush(None)
    os.write(1, "no newline é".encode())
"""
LINES = [
    *("from Python", "an error of Python", "from a child", "an error of a child"),
    *("raw", "100 %", "from C", "no newline é"),
]
START = """
import tracelet
exp = tracelet.start_logging(run_id="r", capture_console=True, capture=["console"])
"""


def environment() -> dict[str, str]:
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run_dir(directory: Path) -> Path:
    return directory / ".tracelet" / "default" / "r"


def recorded(directory: Path) -> list[str]:
    """The lines of console.log, which are those of the journal, none behind the ending."""
    records = journaled(run_dir(directory))
    lines = (run_dir(directory) / "console.log").read_text().splitlines()
    assert [record.text for record in records if type(record) is Text] == list(filter(None, lines))
    ends = [number for number, record in enumerate(records) if type(record) is Finished]
    assert ends in ([], [len(records) - 1])
    return lines


def without_report(output: bytes) -> bytes:
    return re.sub(rb"tracelet: .*\n", b"", output)


def run(directory: Path, text: str) -> tuple[bytes, bytes]:
    """Run a script whose two streams go apart, and return them."""
    (directory / "train.py").write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=directory,
        capture_output=True,
        check=True,
        env=environment(),
    )
    return done.stdout, without_report(done.stderr)


def test_everything_that_is_printed_is_recorded_and_printed_as_ever(tmp_path: Path) -> None:
    start = f"{PRINTS}\nprint('before'){START}\n"
    # Python holds back what goes into a file: the order is that of what is really printed.
    text = f"{start}everything()\nexp.stop()\nprint('after')\n"
    plain = f"{PRINTS}\nprint('before', flush=True)\neverything()\nprint('after')\n"
    (tmp_path / "plain").mkdir()
    expected = run_script(tmp_path / "plain", plain)
    printed = run_script(tmp_path, text)
    assert without_report(printed.encode()).decode() == expected
    assert recorded(tmp_path) == LINES
    found = tracelet.load_run(run_dir(tmp_path))
    assert found.report.complete
    assert found.report["local"].delivered == len(LINES)
    log = (run_dir(tmp_path) / "log.txt").read_text().splitlines()
    assert [line.partition("INFO    ")[2] for line in log] == LINES


def test_two_streams_that_go_apart_stay_apart(tmp_path: Path) -> None:
    no_text = "everything()\nos.write(1, b'\\xff\\xfe\\n')\n"
    plain = run(tmp_path, f"{PRINTS}\n{no_text}")
    assert run(tmp_path, f"{PRINTS}{START}\n{no_text}exp.stop()\n") == plain
    assert sorted(recorded(tmp_path)) == sorted([*LINES[:-1], f"{LINES[-1]}\ufffd\ufffd"])


def test_it_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    run_script(tmp_path, 'import tracelet\nwith tracelet.start_logging(run_id="r"): print("x")\n')
    assert not (run_dir(tmp_path) / "console.log").exists()


@pytest.mark.parametrize("courier", ["thread", "process"])
@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(3)", "ctypes.string_at(0)"])
def test_the_last_words_of_a_program_that_is_killed_are_kept(
    tmp_path: Path, end: str, courier: str
) -> None:
    start = START.replace("capture_console", f"courier={courier!r}, capture_console")
    script = Script(tmp_path, f"{PRINTS}{start}\neverything()\nos.write(1, b'!')\n{end}\n")
    assert script.wait() != 0
    eventually(lambda: "no newline é!" in script.output)
    eventually((run_dir(tmp_path) / "console.log").exists)
    eventually(lambda: tracelet.load_run(run_dir(tmp_path)).status == "killed")
    eventually(lambda: ended_view(run_dir(tmp_path)))
    assert recorded(tmp_path) == [*LINES[:-1], "no newline é!"]
    assert tracelet.load_run(run_dir(tmp_path)).report["local"].delivered == len(LINES)


def test_whoever_finds_a_program_killed_waits_for_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exit_status, "_CONSOLE_SECONDS", 60.0)
    script = Script(
        tmp_path,
        f"""{PRINTS}{START}
print("begun", flush=True)
while not os.path.exists("go"): time.sleep(0.01)
everything()
os.kill(os.getpid(), 9)
""".replace("import ctypes", "import time, ctypes"),
    )
    eventually(lambda: "begun" in script.output)
    (reader,) = [
        child
        for child in psutil.Process(script.pid).children()
        if any("console_reader" in word for word in child.cmdline())
    ]
    reader.suspend()
    (tmp_path / "go").touch()
    assert script.wait() == -9
    finder = threading.Thread(target=tracelet.load_run, args=(run_dir(tmp_path),))
    finder.start()
    finder.join(0.3)
    reader.resume()
    finder.join()
    assert recorded(tmp_path) == ["begun", *LINES]


def test_forked_children_print_into_the_run_and_do_not_end_its_capture(tmp_path: Path) -> None:
    text = f"""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork(), from 3.12 on
        import os, sys
        {START.strip().replace(chr(10), chr(10) + " " * 8)}
        if os.fork() == 0:
            print("from the child")
            sys.exit()  # through atexit
        os.wait()
        if os.fork() == 0:
            os.write(1, b"and another\\n")
            os._exit(0)
        os.wait()
        print("from the parent")
        exp.stop()
    """
    printed = run_script(tmp_path, text)
    expected = ["from the child", "and another", "from the parent"]
    assert recorded(tmp_path) == expected
    assert without_report(printed.encode()).decode().splitlines() == expected


def test_a_child_that_outlives_the_run_still_prints_to_the_terminal(tmp_path: Path) -> None:
    text = f"""
        import subprocess
        {START.strip().replace(chr(10), chr(10) + " " * 8)}
        print("first", flush=True)
        wait = "while ! test -e go; do sleep 0.01; done; echo late >&2; echo done"
        subprocess.Popen(["sh", "-c", f"echo early; {{wait}}"])
        exp.stop()
        print("after", flush=True)
    """
    script = Script(tmp_path, text)
    script.succeed()
    (tmp_path / "go").touch()
    eventually(lambda: script.output.endswith("late\ndone\n"))
    assert recorded(tmp_path) in (["first"], ["first", "early"])


READER = """
import signal, time
from tracelet.capture import console
def kill_reader():
    reader = console._of_process[0]._reader
    if reader is not None:
        reader.send_signal(signal.SIGKILL)
    return reader
"""


def test_if_the_reading_process_dies_another_goes_on(tmp_path: Path) -> None:
    text = f"""{READER}{START}
print("one", flush=True)
while not any(b'"one"' in file.read_bytes() for file in (exp.dir / "journal").iterdir()):
    time.sleep(0.01)  # the journal has a line last
kill_reader()
for number in range(30_000): print("line", number)
exp.stop()
"""
    printed = without_report(run_script(tmp_path, text).encode()).decode().splitlines()
    expected = ["one", *(f"line {number}" for number in range(30_000))]
    assert printed == expected
    assert recorded(tmp_path) == expected


def test_if_reading_processes_keep_dying_the_program_prints_on(tmp_path: Path) -> None:
    text = f"""{READER}{START}
while kill_reader() is not None: time.sleep(0.01)
for number in range(30_000): print("line", number)
exp.stop()
print("after")
"""
    printed = without_report(run_script(tmp_path, text).encode()).decode().splitlines()
    said = "the output is not recorded any more"
    assert printed[0].startswith(said)
    assert printed[1:] == [*(f"line {number}" for number in range(30_000)), "after"]
    assert tracelet.load_run(run_dir(tmp_path)).status == "finished"


def test_secrets_are_hidden_in_the_run_and_shown_on_the_terminal(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkq\\n-----END PRIVATE KEY-----"
    text = f"""{START}
print("login with password=hunter2hunter2", flush=True)
print("{key}")
exp.stop()
"""
    printed = run_script(tmp_path, text)
    assert "hunter2hunter2" in printed
    assert "MIIEvQIBADANBgkq" in printed
    assert recorded(tmp_path) == ["login with password=[redacted]", "[redacted]"]
    for path in run_dir(tmp_path).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"hunter2hunter2" not in content, path
            assert b"MIIEvQIBADANBgkq" not in content, path


def test_a_secret_is_hidden_wherever_it_is_in_a_line_that_is_recorded_as_several(
    tmp_path: Path,
) -> None:
    text = f"""{START}
print("x" * {LONGEST - 10} + " password=hunter2hunter2 end", flush=True)
print("y" * {2 * LONGEST - 8} + " token=hunter3hunter3 end", flush=True)
exp.stop()
"""
    run_script(tmp_path, text)
    lines = recorded(tmp_path)
    assert all(len(line) <= LONGEST for line in lines)
    assert "".join(lines) == (
        f"{'x' * (LONGEST - 10)} password=[redacted] end"
        f"{'y' * (2 * LONGEST - 8)} token=[redacted] end"
    )


def test_a_second_run_of_a_process_is_told_that_the_first_has_the_console(tmp_path: Path) -> None:
    text = f"""{START}
import warnings
print("one")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    other = tracelet.Experiment(run_id="s", capture_console=True, capture=["console"]).start()
assert "console" in str(caught[0].message), caught
other.stop()
print("two")
exp.stop()
again = tracelet.start_logging(run_id="t", capture_console=True, capture=["console"])
print("three")
again.stop()
"""
    run_script(tmp_path, text)
    assert [line for line in recorded(tmp_path) if "tracelet:" not in line] == ["one", "two"]
    other = run_dir(tmp_path).with_name("t") / "console.log"
    assert other.read_text() == "three\n"
    assert not (run_dir(tmp_path).with_name("s") / "console.log").exists()


def test_a_stream_that_is_closed_is_left_alone(tmp_path: Path) -> None:
    text = f"""
import os
os.close(1)
{START}
os.write(2, b"an error\\n")
exp.stop()
try:
    os.fstat(1)
except OSError:
    exit(0)
exit("descriptor 1 is open now")
"""
    assert "descriptor" not in run_script(tmp_path, text)
    assert recorded(tmp_path) == ["an error"]


def on_a_terminal(directory: Path, text: str) -> bytes:
    """Run a script on a terminal of 99 columns, and return what is seen there."""
    (directory / "train.py").write_text(textwrap.dedent(text))
    screen, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "train.py"],
        cwd=directory,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(),
    )
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # the last has closed the terminal
        while content := os.read(screen, 4096):
            seen += content
    os.close(screen)
    assert process.wait(60) == 0, seen.decode()
    return seen


REDIRECTS = (
    START
    + """
import os
print("before", flush=True)
mine = os.open("mine", os.O_WRONLY | os.O_CREAT)
{redirect}
os.write(1, b"within\\n")
exp.stop()
os.write(1, b"after\\n")
"""
)


@pytest.mark.parametrize("redirect", ["os.dup2(mine, 1)", "os.dup2(mine, 1); os.dup2(mine, 2)"])
def test_where_a_program_prints_by_its_own_choice_is_left_alone(
    tmp_path: Path, redirect: str
) -> None:
    script = Script(tmp_path, REDIRECTS.format(redirect=redirect))
    assert script.wait() == 0

    assert (tmp_path / "mine").read_text().startswith("within\n")
    assert "after\n" in (tmp_path / "mine").read_text()
    assert "\x1b" not in (tmp_path / "mine").read_text()
    eventually(lambda: script.output.startswith("before\n"))
    assert "after" not in script.output
    console = run_dir(tmp_path) / "console.log"
    eventually(lambda: console.exists() and console.read_text() == "before\n")


def test_a_terminal_stays_one(tmp_path: Path) -> None:
    look = """
print(sys.stdout.isatty(), os.isatty(2), os.get_terminal_size(1).columns)
subprocess.run(["sh", "-c", "test -t 1 && stty size < /dev/fd/1"])
"""
    plain = on_a_terminal(tmp_path, f"{PRINTS}{look}everything()\n")
    seen = on_a_terminal(tmp_path, f"{PRINTS}{START}{look}everything()\nexp.stop()\n")
    assert without_report(seen) == plain
    assert plain.startswith(b"True True 99\r\n33 99\r\n")
    assert recorded(tmp_path)[2:] == LINES
