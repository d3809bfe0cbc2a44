"""What hiding secrets costs in texts of a megabyte, of shapes that are hard to read.

The time, of the processor, is to be in proportion to the length: each text is compared with its
first quarter, which takes a quarter of it, or a sixteenth if the time were quadratic.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.tools import median_seconds, row
from tracelet.redaction import Redactor

LENGTH = 1_000_000
TIMES = 3
GROWTH = 8.0
"""Between 4, which is linear, and 16, which is quadratic."""
PIECES = {
    "letters": "a",
    "an address": "://me:",
    "base64": "QUJDREVGR0hJSktMTU5PUFFSUw==",
    "a line of a log": "epoch 3: loss 0.25, max_tokens=512, took 1.5 s\n",
    "key=": "key=1|",
    "key: in lines": "  key: a\n",
    "a secret": "token=abc ",
    "quotes": "password='x\"",
    "brackets": "secrets=[{",
    "commands": "curl x; login mysql -u a ",
    "blocks": "secrets: |\n  a\n",
}


def main() -> dict[str, Any]:
    rows, details = [], {}
    for name, piece in PIECES.items():
        text = "token " + piece * (LENGTH // len(piece))
        whole, part = (
            median_seconds(partial(Redactor().text, given), TIMES, time.process_time)
            for given in (text, text[: len(text) // 4])
        )
        details[name] = {"seconds": whole, "quarter": part}
        growth = whole / part
        rows.append(row(f"1 MB, {name}", f"{whole * 1000:.0f} ms"))
        rows.append(row("… to its quarter", f"{growth:.1f} x", f"{GROWTH:.0f} x", growth < GROWTH))
    return {"rows": rows, "details": details}
