"""``python -m tracelet`` and the command ``tracelet``; the courier starts here, without the CLI."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Run the command line; return the exit code."""
    from tracelet.capture import watch

    watch.end()  # these arguments are no run's
    arguments = sys.argv[1:]
    if arguments[:1] == ["courier"] and len(arguments) > 1 and not arguments[1].startswith("-"):
        # Two processes a run start here: they do without the imports of the command line.
        options = dict(zip(arguments[2::2], arguments[3::2], strict=False))
        if len(arguments) % 2 == 0 and options.keys() <= {"--reader", "--backend"}:
            from tracelet.journal.rundir import RunDir

            reader_dir = options.get("--reader")
            run_dir = RunDir(Path(arguments[1]), None if reader_dir is None else Path(reader_dir))
            if (backend := options.get("--backend")) is not None:
                from tracelet.courier import worker

                return worker.main(run_dir, backend)
            from tracelet.courier import supervisor

            return supervisor.main(run_dir)
    from tracelet.cli.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
