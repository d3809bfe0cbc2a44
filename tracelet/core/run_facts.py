"""How a run was started: what a colleague asks first when a number looks wrong."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import sys
from pathlib import Path
from typing import Any

_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


def process_rank() -> int:
    """Return this process's rank in a distributed job; 0 outside of one.

    The first that is set of RANK (torchrun), SLURM_PROCID, OMPI_COMM_WORLD_RANK, PMI_RANK.
    """
    for variable in _RANKS:
        text = os.environ.get(variable, "").strip()
        if text.isdigit():
            return int(text)
    return 0


def _user() -> str | None:
    """Return who runs this: the name at the login, else the number that a container gives."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else None


def run_facts(argv: list[str]) -> dict[str, Any]:
    """Return process, machine and command line.

    Args:
        argv: the command line without secrets.
    """
    facts: dict[str, Any] = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "argv": argv,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": sys.platform,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "user": _user(),
    }
    try:
        facts["cwd"] = str(Path.cwd())
    except OSError:  # the working directory was deleted
        facts["cwd"] = None
    return facts
