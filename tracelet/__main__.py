"""``python -m tracelet`` and the command ``tracelet``; the courier starts here, without the CLI."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    from tracelet.capture import watch

    watch.end()  # these arguments are no run's
    arguments = sys.argv[1:]
    if arguments[:1] == ["courier"] and len(arguments) > 1 and not arguments[1].startswith("-"):
        # Two processes a run start here: they do without the imports of the command line.
        if len(arguments) == 4 and arguments[2] == "--backend":
            from tracelet.courier import worker

            return worker.main(arguments[1], arguments[3])
        if len(arguments) == 2:
            from tracelet.courier import supervisor

            return supervisor.main(arguments[1])
    from tracelet.cli.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
