"""Flattens nested parameters to dotted keys, and nests them again.

- :func:`unflatten` undoes :func:`flatten`: the path of a key with a dot of its own is kept.
- Nothing is dropped: no falsy key, no empty mapping, no None.
- The result shares no object with what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tracelet.errors import (
    InvalidValueError,
    KeyCollisionError,
    TraceletError,
    ValueTypeError,
    warn,
)
from tracelet.records import ParamValue
from tracelet.values.fields import Unreadable, named_fields, public_attributes
from tracelet.values.plain import (
    ATOMS,
    INT_BITS,
    MAX_ELEMENTS,
    UNKNOWN,
    describe,
    elements,
    flat_copy,
    is_array,
    is_set,
    is_table,
    plain_array,
    scalar,
    sort_plain,
    summary,
    unwrap,
)
from tracelet.wire import clean_text

KeyPath = tuple[str, ...]
Foreign = Callable[[Any], Mapping[str, Any] | None]
"""Returns the fields of an object of a foreign type, or None: the hook ``tracelet_as_params``."""

_LISTS = (list, tuple)

MAX_DEPTH = 100
"""Levels of nesting. Deeper values are refused: JSON readers have such limits, too."""


class Flat(NamedTuple):
    """Flat parameters: ``unflatten(*flat)`` returns the nested ones.

    Attributes:
        values: dotted key to plain value.
        paths: key to path, for the keys that have a dot of their own.
    """

    values: dict[str, ParamValue]
    paths: dict[str, list[str]]


def flatten(
    value: Any, *, foreign: Foreign | None = None, on_warning: Callable[[str], None] = warn
) -> Flat:
    """Return the named fields of an object as flat, plain parameters.

    Args:
        value: a mapping, a dataclass, attrs, pydantic or msgspec instance, a named tuple, a
            namespace, an OmegaConf configuration, or a plain object, class or module, which has its
            public attributes as fields.
        foreign: returns the fields of an object of any other type; called before the public
            attributes are used.
        on_warning: called with a sentence about values that are left out or shortened.

    Returns:
        Plain values under dotted keys. Inside ``value``, only objects that declare their fields
        become branches; other objects become a ``str``.

    Raises:
        ValueTypeError: ``value`` has no named fields, or something in it raises when it is read.
        InvalidValueError: a key is empty, a structure contains itself, or an integer has more than
            4300 digits.
        KeyCollisionError: two keys become the same.
    """
    if (plain := flat_copy(value)) is not None:
        return Flat(plain, {})
    walk = _Walk(foreign)
    try:
        walk.root(value)
    except TraceletError:
        raise
    except Exception as error:  # how a value is read can be the user's code
        what = f"parameter {show_path(walk.at)}" if walk.at else "the parameters"
        raise ValueTypeError(f"{what} cannot be read: {error!r:.200}") from error
    if walk.unreadable:
        on_warning(
            f"parameters left out, because reading them raises: {'; '.join(walk.unreadable)}"
        )
    if walk.summarised:
        on_warning(
            f"parameters {', '.join(walk.summarised)}: an array of more than {MAX_ELEMENTS} "
            "elements, or a table, is kept as its shape; log an artifact to keep its content"
        )
    return Flat(walk.values, walk.paths)


def unflatten(
    values: Mapping[str, ParamValue], paths: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """Return flat parameters as a nested mapping.

    Args:
        values: plain values under dotted keys.
        paths: key to path, for the keys that have a dot of their own.

    Raises:
        KeyCollisionError: a key is both a value and a branch.
    """
    nested: dict[str, Any] = {}
    branches: dict[KeyPath, dict[str, Any]] = {(): nested}
    for key, value in values.items():
        path = path_of(key, paths or {})
        branch = nested
        for depth in range(1, len(path)):
            inner = branches.get(path[:depth])
            if inner is None:
                if path[depth - 1] in branch:
                    raise _value_and_branch(key, path[:depth])
                inner = branches[path[:depth]] = branch[path[depth - 1]] = {}
            branch = inner
        if path[-1] in branch:
            raise _value_and_branch(key, path)
        branch[path[-1]] = value
    return nested


def path_of(key: str, paths: Mapping[str, Sequence[str]]) -> KeyPath:
    """Return the path of a flat key."""
    return tuple(paths[key]) if key in paths else tuple(key.split("."))


def is_split(key: str, path: Sequence[str]) -> bool:
    """Return whether splitting the flat key at its dots gives its path."""
    return key.count(".") == len(path) - 1


def show_path(path: Iterable[str]) -> str:
    """Return a path as an index in Python: ``["a"]["b"]``."""
    return "".join(f"[{name!r}]" for name in path)


class KeyPaths(Mapping[str, KeyPath]):
    """The path of each flat key. No path may begin with the path of another key."""

    def __init__(self) -> None:
        self._paths: dict[str, KeyPath] = {}
        self._leaves: dict[KeyPath, str] = {}
        self._below: dict[KeyPath, dict[str, None]] = {}

    def __getitem__(self, key: str) -> KeyPath:
        return self._paths[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def put(self, key: str, path: KeyPath) -> None:
        """Set the path of a key, new or known."""
        if self._paths.get(key) == path:
            return
        self.remove(key)
        self._paths[key] = path
        self._leaves[path] = key
        for prefix in _prefixes(path):
            self._below.setdefault(prefix, {})[key] = None

    def remove(self, key: str) -> None:
        """Remove a key; harmless if it is not known."""
        path = self._paths.pop(key, ())
        self._leaves.pop(path, None)
        for prefix in _prefixes(path):
            below = self._below[prefix]
            del below[key]
            if not below:
                del self._below[prefix]

    def conflicting_keys(self, key: str, path: KeyPath) -> list[str]:
        """Return the keys that a value at ``path`` replaces: those above it and those below."""
        if self._paths.get(key) == path:  # they were removed when it was put there
            return []
        above = [self._leaves[prefix] for prefix in _prefixes(path) if prefix in self._leaves]
        return [other for other in (*above, *self._below.get(path, ())) if other != key]

    def resolve_paths(self, flat: Flat) -> dict[str, KeyPath]:
        """Return the path of each key: ``"a.b"`` means the nested key ``b``, if that is known."""
        given = {key: path_of(key, flat.paths) for key in flat.values}
        deeper = [key for key, path in given.items() if len(self._paths.get(key, ())) > len(path)]
        if not deeper:
            return given
        leaves = set(given.values())
        branches = {prefix for path in leaves for prefix in _prefixes(path)}
        for key in deeper:
            old = self._paths[key]
            if old not in branches and leaves.isdisjoint(_prefixes(old)):
                given[key] = old
        return given


class _Walk:
    """One flattening: the results, and the structures that are being walked through."""

    def __init__(self, foreign: Foreign | None) -> None:
        self.values: dict[str, ParamValue] = {}
        self.paths: dict[str, list[str]] = {}
        self.summarised: list[str] = []
        self.unreadable: list[str] = []
        self.at: KeyPath = ()
        self._foreign = foreign
        self._within: set[int] = set()

    def root(self, value: Any) -> None:
        """Flatten the outermost value."""
        given = unwrap(value)
        fields = self.fields(given)
        if fields is None and not _is_plain(given):
            fields = public_attributes(given)
        if fields is None:
            raise ValueTypeError(
                "parameters need names: a mapping or an object with attributes, not "
                f"{describe(value):.80}"
            )
        self.branch((), given, fields)

    def branch(self, path: KeyPath, owner: Any, fields: Mapping[Any, Any]) -> None:
        """Flatten the fields of ``owner``, which is at ``path``."""
        self._enter(path, owner)
        for name, item in self._named(path, fields):
            self._put((*path, name), item)
        self._within.discard(id(owner))

    def fields(self, value: Any) -> Mapping[Any, Any] | None:
        """Return the named fields of a value; None for a single value, a list, an array."""
        if type(value) in _LISTS or is_array(value) or is_table(value):
            return None
        found = named_fields(value)
        if found is None and self._foreign is not None and not _is_plain(value):
            found = self._foreign(value)
        return found

    def _put(self, path: KeyPath, value: Any) -> None:
        if type(value) not in ATOMS:
            self.at = path
            value = unwrap(value)
        if type(value) not in ATOMS:
            fields = self.fields(value)
            if fields:
                self.branch(path, value, fields)
                return
            value = {} if fields is not None else self._plain(path, value)
        self._store(path, self._checked(path, value))

    def _store(self, path: KeyPath, value: ParamValue) -> None:
        key = ".".join(path)
        if key in self.values:
            other = path_of(key, self.paths)
            raise KeyCollisionError(
                key, f"{show_path(other)} and {show_path(path)} are both the parameter {key!r}"
            )
        self.values[key] = value
        if not is_split(key, path):
            self.paths[key] = list(path)

    def _plain(self, path: KeyPath, value: Any) -> ParamValue:
        """Return the plain form of a value that is no branch; a mapping in a list stays one."""
        if type(value) not in ATOMS:
            value = unwrap(value)
        if type(value) in ATOMS:
            return self._checked(path, value)
        if is_array(value) or is_table(value):
            return self._array(path, value)
        if (single := scalar(value)) is not UNKNOWN:
            return self._checked(path, single)
        fields = self.fields(value)
        if fields is not None:
            self._enter(path, value)
            plain: Any = {name: self._plain(path, item) for name, item in self._named(path, fields)}
        elif (items := elements(value)) is not None:
            self._enter(path, value)
            plain = [self._plain(path, item) for item in items]
        elif is_set(value):
            plain = sort_plain([self._plain(path, item) for item in value])
        else:
            return describe(value)
        self._within.discard(id(value))
        return plain

    def _array(self, path: KeyPath, value: Any) -> ParamValue:
        content = UNKNOWN if is_table(value) else plain_array(value)
        if content is UNKNOWN:
            self.summarised.append(".".join(path))
            return summary(value)
        return self._plain(path, content)

    def _enter(self, path: KeyPath, value: Any) -> None:
        if id(value) in self._within:
            raise InvalidValueError(f"parameter {show_path(path)} contains itself")
        if len(self._within) >= MAX_DEPTH:
            raise InvalidValueError(
                f"parameter {show_path(path[:3])}… is nested more than {MAX_DEPTH} levels deep"
            )
        self._within.add(id(value))

    def _named(self, path: KeyPath, fields: Mapping[Any, Any]) -> Iterable[tuple[str, Any]]:
        """Yield the fields by name: each key as a ``str``, all different."""
        keys: dict[str, Any] = {}
        for key, item in list(fields.items()):
            try:
                name = _name(key)
            except Exception as error:  # noqa: BLE001 - str() of a key can be the user's code
                name = ".".join((*path, describe(key)))
                self.unreadable.append(f"{name} ({type(error).__name__}: {error})")
                continue
            if type(item) is Unreadable:
                self.unreadable.append(f"{'.'.join((*path, name))} ({item.reason})")
                continue
            if not name:
                raise InvalidValueError(f"an empty key in {show_path(path) or 'the parameters'}")
            if name in keys:
                both = f"the keys {describe(keys[name])} and {describe(key)} are both"
                raise KeyCollisionError(".".join((*path, name)), f"{both} {name!r} as text")
            keys[name] = key
            yield name, item

    def _checked(self, path: KeyPath, value: ParamValue) -> ParamValue:
        if type(value) is int and value.bit_length() > INT_BITS:
            raise InvalidValueError(f"parameter {show_path(path)} has more than 4300 digits")
        return clean_text(value) if type(value) is str else value


def _name(key: Any) -> str:
    """Return a key as a ``str``; ``0``, ``None`` and ``True`` are keys like any other."""
    if type(key) is str:
        return clean_text(key)
    key = unwrap(key)
    if isinstance(key, type) or callable(key):
        return describe(key)
    single = UNKNOWN if is_array(key) else scalar(key)
    return clean_text(single if isinstance(single, str) else str(key))


def _is_plain(value: Any) -> bool:
    """Return whether a value is a single value or a list, and so has no named fields."""
    return (
        type(value) in ATOMS
        or is_array(value)
        or is_table(value)
        or scalar(value) is not UNKNOWN
        or elements(value) is not None
        or is_set(value)
    )


def _value_and_branch(key: str, path: KeyPath) -> KeyCollisionError:
    return KeyCollisionError(key, f"{show_path(path)} is both a value and a branch")


def _prefixes(path: KeyPath) -> list[KeyPath]:
    return [path[:depth] for depth in range(1, len(path))]
