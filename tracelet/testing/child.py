"""The process of a job: ``python -m tracelet.testing.child WORK``. It prints nothing."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from tracelet.testing.jobs import Job
from tracelet.testing.scripts import SCRIPTS


def main(work: Path) -> None:
    """Run the job that is described in ``work``, and leave its answers there."""
    # Who starts us in the background has SIGINT ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    job = msgspec.json.decode((work / "job.json").read_bytes(), type=Job, dec_hook=_path)
    job.answers.write_bytes(msgspec.json.encode(SCRIPTS[job.script](job) or {}))


def _path(kind: type, value: Any) -> Any:
    return kind(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
