"""The calls about parameters and properties, which an Experiment and a loaded Run have in common.

Each of them writes records with ``_write``, also after the end of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time as clock
from typing import Any

from tracelet.core.parameters import NOTHING, Parameters
from tracelet.plugin_hooks import foreign_params
from tracelet.records import ParamValue
from tracelet.redaction import Redactor
from tracelet.values.flatten import flatten
from tracelet.values.plain import MAX_ELEMENTS, refuse_content
from tracelet.values.sections import full_key, sections_first


class ParameterCalls:
    """The base class of :class:`~tracelet.Experiment` and :class:`~tracelet.Run`."""

    _params: Parameters
    _redactor: Redactor

    def _check_running(self) -> None:
        """Raise NotRunningError unless records are accepted."""
        raise NotImplementedError

    def _write(self, record: Any) -> None:
        """Journal a record."""
        raise NotImplementedError

    def _known_property(self, name: str) -> Mapping[str, Any] | None:
        """Return the fields of a property that is set already; None if it is not."""
        raise NotImplementedError

    def _now(self) -> float:
        """Return the time of a record that is made now, in seconds since the epoch."""
        return clock()

    @property
    def params(self) -> Parameters:
        """The parameters: flat and typed; ``.nested()``, ``.history(key)``, ``.set(...)``."""
        return self._params

    def parameters(self) -> Parameters:
        """Return ``params``, the live view of the parameters."""
        return self.params

    def log_params(
        self, params: Any = None, /, *, section: str | None = None, **values: ParamValue
    ) -> None:
        """Log parameters; nested mappings become dotted keys, later values win.

        Args:
            params: a mapping, dataclass, Namespace, pydantic model, or any object with fields.
            section: puts the keys under ``section/``; None or ``General``: under no section.
            values: more parameters, by name.

        Raises:
            KeyCollisionError: two of them become the same key.
        """
        self._check_running()
        self.params.set(params, section=section, **values)

    def log_param(self, key: str, value: ParamValue) -> None:
        """Log one parameter; see :meth:`log_params`.

        Raises:
            ValueTypeError: it is a large array or a figure: the message names their call.
        """
        if not isinstance(value, Mapping):
            refuse_content(f"the parameter {key!r} is a value", value, max_size=MAX_ELEMENTS)
        self.log_params({key: value})

    def set_parameters(self, params: Any = NOTHING, /, **values: ParamValue) -> None:
        """Replace all parameters; the journal keeps the earlier ones.

        Args:
            params: the new parameters: ``{"Args/epochs": 7, "lr": 0.5}``.
            values: more parameters, by name.

        Raises:
            ValueTypeError: None, or something else without named fields, is given.
            KeyCollisionError: two of them become the same key.
            ParameterConflictError: one would change or be removed, with
                ``on_param_conflict="error"``.
        """
        self._check_running()
        self.params.replace_all(params, **values)

    def set_parameter(self, name: str, value: ParamValue) -> None:
        """Set one parameter; ``name`` is its key, with its section: ``Args/epochs``."""
        self.log_param(name, value)

    def set_parameters_as_dict(self, dictionary: Any) -> None:
        """Merge parameters; the first level of nested ones is their section.

        Args:
            dictionary: e.g. ``{"my_args/lr": 0.3, "opt": {"momentum": 0.9}, "epochs": 10}``.

        Raises:
            KeyCollisionError: two of them become the same key.
        """
        self._check_running()
        self.params.merge(sections_first(flatten(dictionary, foreign=foreign_params)))

    def get_parameters(self) -> dict[str, ParamValue]:
        """Return the parameters, typed, under keys with their section, also ``General``."""
        return {full_key(key): value for key, value in self.params.flat().items()}

    def get_parameters_as_dict(self) -> dict[str, dict[str, Any]]:
        """Return the parameters, typed and nested, below their sections."""
        return self.params.by_section()

    def set_user_properties(self, /, *properties: Any, **named: Any) -> None:
        """Set user properties: notes, editable after the run. A known property is replaced.

        Args:
            properties: dicts with ``name``, ``value`` and maybe ``description`` and ``type``,
                mappings of properties by name, or lists of dicts.
            named: properties by name: a value, or a dict with ``value``, ``description``, ``type``.

        Raises:
            ValueTypeError: an argument is no property.
            KeyCollisionError: a property is given twice.
        """
        self._check_running()
        from tracelet.core.properties import properties_record  # start-up time

        record = properties_record(
            properties, named, self._now(), self._redactor, known=self._known_property
        )
        if record is not None:
            self._write(record)
