"""A training script that begins when it is told to, and says when all its calls have returned."""

from __future__ import annotations

import sys

import tracelet

POINTS = 5000


def main() -> None:
    """Wait, log, and stop."""
    exp = tracelet.start_logging("patient", "together")
    print("started", flush=True)
    sys.stdin.readline()
    for iteration in range(POINTS):
        exp.log_metric("loss", 1 / (iteration + 1), iteration)
    print("logged", flush=True)
    sys.stdin.readline()
    exp.stop(timeout=0.1)


if __name__ == "__main__":
    main()
