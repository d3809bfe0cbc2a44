"""A script as a training: each configuration becomes options of its command line.

The script runs as a child of the worker that has the run, so what it logs is in that run, whether
it is written for a sweep or not.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracelet.errors import ArtifactNotFoundError, ConfigurationFailedError

_LAST_BYTES = 4000
_HELP_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Script:
    """A script that is called with every configuration.

    Attributes:
        path: the script, absolute.
        arguments: what its command line has besides.
        options: the options that its help names.
        directory: where it runs.
    """

    path: str
    arguments: tuple[str, ...]
    options: frozenset[str]
    directory: str

    @classmethod
    def of(cls, path: Path, arguments: tuple[str, ...], directory: Path) -> Script:
        """Look at a script.

        Raises:
            ArtifactNotFoundError: there is none.
        """
        absolute = (directory / path).absolute()
        if not absolute.is_file():
            raise ArtifactNotFoundError(f"there is no script {path}")
        return cls(str(absolute), arguments, _options_of(absolute, directory), str(directory))

    @property
    def __name__(self) -> str:
        return Path(self.path).stem

    def command(self, config: dict[str, Any]) -> list[str]:
        """Return the command line of a configuration."""
        options = [word for name, value in config.items() for word in self._options(name, value)]
        return [sys.executable, self.path, *self.arguments, *options]

    def __call__(self, config: dict[str, Any]) -> None:
        """Run the script.

        Raises:
            ConfigurationFailedError: it ends with another exit code than 0.
        """
        with subprocess.Popen(
            self.command(config),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            try:
                output = b""
                while part := process.stderr.read1(_LAST_BYTES):  # type: ignore[attr-defined]
                    output = (output + part)[-_LAST_BYTES:]
                code = process.wait()
            except BaseException:
                process.kill()
                raise
        if code:
            ending = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
            last = output.decode(errors="replace").strip()
            raise ConfigurationFailedError(f"{Path(self.path).name}: {ending}\n{last}".strip())

    def _options(self, name: str, value: Any) -> Iterator[str]:
        """Yield a name and its value as options of the command line; None is left out."""
        option = self._option(name)
        if value is True and f"--no-{option[2:]}" not in self.options and not self._takes(option):
            yield option
        elif isinstance(value, bool):
            yield from self._flag(option, value=value)
        elif isinstance(value, list | tuple):
            yield from (option, *map(str, value))
        elif value is not None:
            word = str(value)
            # Behind a space, -1e-05 or -x would be taken for an option.
            yield from (f"{option}={word}",) if word.startswith("-") else (option, word)

    def _flag(self, option: str, *, value: bool) -> Iterator[str]:
        negated = f"--no-{option[2:]}"
        if negated in self.options:
            yield option if value else negated
        elif self._takes(option):
            yield from (option, str(value))

    def _takes(self, option: str) -> bool:
        """Whether the help shows a value behind the option."""
        return f"{option} VALUE" in self.options

    def _option(self, name: str) -> str:
        """Return the option of a name, in the spelling that the script's help has."""
        dashes = f"--{name.replace('_', '-')}"
        return dashes if dashes in self.options or f"--{name}" not in self.options else f"--{name}"


def _options_of(path: Path, directory: Path) -> frozenset[str]:
    """Return the options that the help of a script names, with ``VALUE`` if one follows."""
    try:
        output = subprocess.run(
            [sys.executable, str(path), "--help"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_HELP_SECONDS,
            check=False,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    found: set[str] = set()
    words = output.replace("[", " ").replace("]", " ").replace(",", " ").replace("/", " ").split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option, equals, _ = word.partition("=")
        if option.startswith("--"):
            found.add(option)
            if equals or following.strip(".<{").isupper() or following.startswith("{"):
                found.add(f"{option} VALUE")
    return frozenset(found)
