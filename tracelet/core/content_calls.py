"""The calls of an experiment that log what is not a number: objects, files, texts, tags."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from time import time as clock
from typing import TYPE_CHECKING, Any, TypeVar

from tracelet.core.connect import Connections
from tracelet.core.parameter_calls import ParameterCalls, foreign_params
from tracelet.errors import InvalidValueError, JournalError, ValueTypeError
from tracelet.records import Tags, Text
from tracelet.values.plain import copied, describe
from tracelet.values.sections import GENERAL
from tracelet.wire import clean_text

if TYPE_CHECKING:
    from tracelet.core.artifacts import Destinations, PathLike
    from tracelet.core.configurations import Configurations
    from tracelet.core.session import Session

_Object = TypeVar("_Object")
_LEVELS = ("debug", "info", "warning", "error", "critical")


class ContentCalls(ParameterCalls):
    """What an :class:`~tracelet.Experiment` does with objects, files, texts and tags."""

    _session: Session | None

    @contextlib.contextmanager
    def _counting_losses(self) -> Iterator[None]:
        """Count what the disk cannot take, as the journal does; the training goes on."""
        try:
            yield
        except JournalError as error:
            if self._session is None:
                raise
            self._session.writer.failed(error)

    def _write(self, record: Any) -> None:
        """Journal a record, if this process writes."""
        self._check_running()  # for exp.params.set(), which comes here by itself
        if self._session is not None:
            self._session.writer.append(record)

    @functools.cached_property
    def _configurations(self) -> Configurations:
        from tracelet.core.configurations import Configurations

        return Configurations(self._redactor, foreign_params)

    @functools.cached_property
    def _connections(self) -> Connections:
        return Connections(self.params, foreign_params)

    def connect(self, obj: _Object, name: str | None = GENERAL) -> _Object:
        """Log the fields of an object as parameters, and again what of them changes.

        The object is read again at :meth:`flush` and at the end of the run, and what has changed in
        it since is logged. Until then it is kept.

        Args:
            obj: a mapping, Namespace, dataclass, attrs or pydantic instance, an OmegaConf
                configuration, or any class or object, of which the public attributes are taken.
            name: the section of the parameters.

        Returns:
            The same object.

        Raises:
            ValueTypeError: it has no named fields.
            InvalidValueError: the name is empty.
        """
        self._check_running()
        self._connections.add(obj, name)
        return obj

    def log_artifact(
        self, file: PathLike, destination: PathLike | None = None, *, copy: bool = True
    ) -> None:
        """Store a file or a directory; its content is taken now.

        Args:
            file: the file or directory.
            destination: where it goes in the run, relative; None: under its own name; ``models/``:
                into that folder. The same destination again: the later content wins.
            copy: False only notes where the file is, and trusts it to stay.

        Raises:
            ArtifactNotFoundError: it does not exist.
            ArtifactUnreadableError: it, or something in it, cannot be read.
            InvalidValueError: the destination is a folder of other artifacts, or in one of them, or
                is longer than file systems allow: 255 bytes a name.
            UnsafePathError: the destination is absolute or contains ``..``.
        """
        self._check_running()
        from tracelet.core.artifacts import artifact_records

        blobs = self._session.run_dir.blobs if self._session is not None else None
        with self._counting_losses():
            for record in artifact_records(
                file, destination, blobs, clock(), copy=copy, known=self._destinations
            ):
                self._write(record)

    @functools.cached_property
    def _destinations(self) -> Destinations:
        from tracelet.core.artifacts import Destinations

        return Destinations()

    def log(self, text: str, level: str = "info") -> None:
        """Log a line of text.

        Args:
            text: the text; anything else is shown with ``str``.
            level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        """
        self._check_running()
        known = _as_text("the level of a line", level).lower()
        if known not in _LEVELS:
            raise InvalidValueError(
                f"log: the level is one of {', '.join(_LEVELS)}: {describe(level):.80}"
            )
        self._write(Text(clock(), self._redactor.text(_as_text("a line of the log", text)), known))

    def set_tags(self, tags: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Set tags, short texts by name; a tag that is there is replaced."""
        self._check_running()
        shown = tag_values({**self._given_tags(tags), **values})
        if shown:
            self._write(Tags(clock(), self._redactor.params(shown)))

    @staticmethod
    def _given_tags(tags: Any) -> Mapping[Any, Any]:
        if tags is not None and not isinstance(tags, Mapping):
            raise ValueTypeError(
                "tags are a mapping of names to texts, such as {'team': 'ml'}, not "
                f"{type(tags).__name__}: {describe(tags):.80}"
            )
        return copied("the tags", tags) if tags is not None else {}

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""
        self.set_tags({key: value})

    def connect_configuration(self, configuration: Any, name: str = "General") -> Any:
        """Keep a configuration object whole: a mapping or a list typed, a file byte for byte.

        Args:
            configuration: a mapping, a list, an object with fields, or the path of a file.
            name: what it is called; a later one of the same name takes its place.

        Returns:
            What was given.

        Raises:
            ArtifactNotFoundError: the file does not exist.
            ValueTypeError: it is nothing that can be a configuration.
        """
        self._check_running()
        blobs = self._session.run_dir.blobs if self._session is not None else None
        record = None
        with self._counting_losses():
            record = self._configurations.take(name, configuration, blobs, clock())
        if record is not None:
            self._write(record)
        return configuration

    def get_configuration(self, name: str = "General") -> Any:
        """Return a configuration object of this run: the value, or the path of the file as it was.

        Raises:
            ConfigurationNotFoundError: there is none of that name.
        """
        run_dir = self._session.run_dir if self._session is not None else None
        return self._configurations.get(name, run_dir)


def tag_values(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Return tags as they are stored.

    Raises:
        ValueTypeError: a tag has no name.
    """
    for key in tags:
        if not isinstance(key, str) or not key:
            raise ValueTypeError(
                f"the name of a tag is a text that is not empty: {describe(key):.80}"
            )
    return {clean_text(key): _as_text(f"the tag {key!r}", value) for key, value in tags.items()}


def _as_text(what: str, value: Any) -> str:
    try:
        return clean_text(str(value))
    except Exception as error:  # how it is written is the user's code
        raise ValueTypeError(f"{what} cannot be made a text: {error!r}") from error
