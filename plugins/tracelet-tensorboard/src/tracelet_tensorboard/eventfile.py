"""Writes the event file of a run, so that a killed worker leaves every event in it once.

Promises:

- A call that returns has given its bytes to the operating system: there is no buffer and no thread,
  as there is in the package's own ``EventFileWriter``.
- What stands in the file behind the size that it was opened with is cut off, and written again by
  the delivery; so is what a write that failed has left.
- Nothing that was read before is moved: a server that watches the run reads on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tracelet.errors import CheckpointLostError
from tracelet_tensorboard.framing import HEADER_BYTES, frame, unframe


class EventFile:
    """The event file at ``path``, of which ``size`` bytes are valid.

    Raises:
        CheckpointLostError: the file is shorter, or not there.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        found = path.stat().st_size if path.exists() else 0
        if found < size:
            raise CheckpointLostError(f"{path} is shorter than what was written to it")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def append(self, records: Sequence[bytes]) -> int:
        """Write records behind the others; return the offset of the first.

        Raises:
            CheckpointLostError: the file was deleted or cut meanwhile.
        """
        at, content = self.size, memoryview(frame(records))
        try:
            with self.path.open("r+b", buffering=0) as file:
                end = file.seek(0, 2)
                if end < self.size:
                    raise CheckpointLostError(f"{self.path} was cut by somebody else")
                if end > self.size:
                    file.truncate(self.size)
                file.seek(self.size)
                while content:
                    content = content[file.write(content) :]
                self.size = file.tell()
        except FileNotFoundError as error:
            raise CheckpointLostError(f"{self.path} was deleted") from error
        return at

    def read(self, offset: int) -> bytes:
        """Return the record at ``offset``.

        Raises:
            CheckpointLostError: there is no whole record.
        """
        for _, record in unframe(self._content(offset)):
            return record
        raise CheckpointLostError(f"{self.path} has been damaged at byte {offset}")

    def keep_rest(self, revise: Callable[[bytes], bytes | None]) -> bytes | None:
        """Keep the first record behind the valid part if ``revise`` gives it another content.

        Args:
            revise: returns what the record is to be, as long as it was, or None to cut it off.

        Returns:
            The record that was kept, or None.
        """
        for _, record in unframe(self._content(self.size)):
            revised = revise(record)
            if revised is None:
                return None
            framed = frame([revised])
            if len(revised) != len(record):
                raise ValueError("a record that is revised must keep its length")
            with self.path.open("r+b", buffering=0) as file:
                file.seek(self.size)
                file.write(framed)
            self.size += len(framed)
            return revised
        return None

    def cut(self) -> None:
        """Cut off what is behind the valid part."""
        with self.path.open("r+b", buffering=0) as file:
            file.truncate(self.size)

    def _content(self, offset: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            header = file.read(HEADER_BYTES)
            file.seek(offset)
            length = int.from_bytes(header[:8], "little")
            # The length of a torn record can be anything; what there is, is the most there can be.
            return file.read(min(length, self.path.stat().st_size) + 2 * HEADER_BYTES)
