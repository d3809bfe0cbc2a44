"""Sweeps in files: the factors of a saved one, or a list of configurations written by hand.

A file of a sweep of 10**12 configurations is as short as its axes. A value comes back with its
type: what JSON has no word for is a mapping with one key that begins with ``$``, and a mapping of
the user's that looks like one is wrapped itself. In YAML, ``1e-5`` is a number, and the text "1e-5"
is in quotes.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tracelet.errors import (
    ArtifactNotFoundError,
    InvalidValueError,
    MissingPackageError,
    TraceletError,
    ValueTypeError,
)
from tracelet.journal.files import replace_file
from tracelet.sweep.factors import (
    Columns,
    Concat,
    Entries,
    Factor,
    Picked,
    Product,
    Repeats,
    axis_factor,
)
from tracelet.sweep.values import DynamicValue, axis, is_only_numpys, size_of
from tracelet.values.fields import named_fields
from tracelet.values.plain import ATOMS, is_array
from tracelet.wire import float_token

# -- values in files ----------------------------------------------------------------------------

_TO: dict[type, tuple[str, Callable[[Any], Any]]] = {
    range: ("$range", lambda value: [value.start, value.stop, value.step]),
    bytes: ("$bytes", lambda value: base64.b64encode(value).decode()),
    complex: ("$complex", lambda value: [encoded(value.real, ""), encoded(value.imag, "")]),
    dt.datetime: ("$datetime", lambda value: value.isoformat()),
    dt.date: ("$date", lambda value: value.isoformat()),
    dt.time: ("$time", lambda value: value.isoformat()),
    dt.timedelta: ("$seconds", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("$decimal", str),
}
_INT64 = 2**63
_FROM: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$int": int,
    "$range": lambda value: range(*value),
    "$bytes": lambda value: base64.b64decode(value, validate=True),
    "$complex": lambda value: complex(*map(decoded, value)),
    "$datetime": dt.datetime.fromisoformat,
    "$date": dt.date.fromisoformat,
    "$time": dt.time.fromisoformat,
    "$seconds": lambda value: dt.timedelta(*value),
    "$decimal": Decimal,
    "$path": Path,
    "$tuple": lambda value: tuple(map(decoded, value)),
    "$set": lambda value: set(map(decoded, value)),
    "$frozenset": lambda value: frozenset(map(decoded, value)),
    "$items": lambda value: {decoded(key): decoded(item) for key, item in value},
    "$dict": lambda value: {key: decoded(item) for key, item in value.items()},
    "$dynamic": lambda value: DynamicValue(
        value_range if isinstance(value_range := decoded(value), range) else list(value_range)
    ),
}


def encoded(value: Any, path: str) -> Any:
    """Make a value JSON-like.

    Args:
        value: any value.
        path: the names that lead to it, for the message.

    Raises:
        ValueTypeError: it is of a type that no file can hold, e.g. a function or a model.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": float_token(value)}
    if type(value) is int and not -_INT64 <= value < _INT64:
        return {"$int": str(value)}
    if type(value) in ATOMS:
        return value
    if is_array(value) and getattr(value, "shape", None) == () and not is_only_numpys(value):
        return encoded(value.item(), path)
    if type(value) is list:
        return [encoded(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if type(value) is dict:
        return _mapping(value, path)
    if isinstance(value, DynamicValue):
        values = value.values
        return {"$dynamic": encoded(values if isinstance(values, range) else list(values), path)}
    if type(value) in (tuple, set, frozenset):
        items = [encoded(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return {f"${type(value).__name__}": items}
    if type(value) in _TO:
        name, convert = _TO[type(value)]
        return {name: convert(value)}
    if isinstance(value, Path):
        return {"$path": str(value)}
    raise ValueTypeError(
        f"{path or 'a value'} is a {type(value).__module__}.{type(value).__qualname__}, which no "
        f"file of configurations can hold: use a name for it, and look it up in the training"
    )


def _mapping(value: dict[Any, Any], path: str) -> Any:
    if not all(type(key) is str for key in value):
        return {
            "$items": [
                [encoded(key, path), encoded(item, f"{path}.{key}")] for key, item in value.items()
            ]
        }
    inner = {key: encoded(item, f"{path}.{key}" if path else key) for key, item in value.items()}
    return {"$dict": inner} if len(inner) == 1 and next(iter(inner)) in _FROM else inner


def decoded(value: Any) -> Any:
    """Undo :func:`encoded`.

    Raises:
        InvalidValueError: a ``$`` mapping holds what it cannot.
    """
    if type(value) is list:
        return [decoded(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        name, content = next(iter(value.items()))
        if isinstance(name, str) and name in _FROM:
            try:
                return _FROM[name](content)
            except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
                raise InvalidValueError(
                    f"{{{name}: {content!r:.60}}} is no value: {error}"
                ) from error
    return {key: decoded(item) for key, item in value.items()}


# -- formats ------------------------------------------------------------------------------------

HEADER = "tracelet_sweep"
_VERSION = 1
_SUFFIXES = ".yaml, .yml, .json or .jsonl"


def write_factors(path: Path, factors: list[Any]) -> None:
    """Write the factors of a sweep, JSON-like, such that a reader never sees half a file.

    Raises:
        InvalidValueError: for another suffix than those of YAML, JSON and JSON lines.
    """
    _, dump = _format(path)
    content = dump(factors)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content.encode())


def read_content(path: Path) -> tuple[list[Any] | None, list[Any]]:
    """Read a file: the factors of a saved sweep, or else None, and a list of configurations.

    Raises:
        ArtifactNotFoundError: there is no such file.
        InvalidValueError: it is neither a sweep nor a list of configurations.
    """
    load, _ = _format(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without a byte order mark
    except FileNotFoundError:
        raise ArtifactNotFoundError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(f"{path} cannot be read: {error}") from error
    content = load(text, path)
    if isinstance(content, Mapping) and HEADER in content:
        content = [content]
    elif isinstance(content, Mapping):
        return None, [content]
    if not isinstance(content, list) or not all(isinstance(one, Mapping) for one in content):
        raise InvalidValueError(
            f"{path} must hold a saved sweep, or a list of configurations, each a mapping"
        )
    if not content or HEADER not in content[0]:
        return None, content
    header, *others = content
    if header[HEADER] != _VERSION:
        raise InvalidValueError(
            f"{path} was saved by another version of tracelet: {HEADER} is {header[HEADER]!r}"
        )
    factors = header.get("factors", others)
    if not isinstance(factors, list):
        raise InvalidValueError(f"{path}: the factors of a sweep are a list, not {factors!r:.60}")
    return factors, []


_Load = Callable[[str, Path], Any]
_Dump = Callable[[list[Any]], str]


def _format(path: Path) -> tuple[_Load, _Dump]:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise InvalidValueError(
            f"a sweep is kept in a {_SUFFIXES} file, and {path.name!r} is none of them"
        ) from None


def _load_json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidValueError(f"{path} is not JSON: {error}") from error


def _dump_json(factors: list[Any]) -> str:
    lines = ",\n    ".join(map(json.dumps, factors))
    body = f"[\n    {lines}\n  ]" if factors else "[]"
    return f'{{\n  "{HEADER}": {_VERSION},\n  "factors": {body}\n}}\n'


def _load_lines(text: str, path: Path) -> list[Any]:
    found = []
    decoder = json.JSONDecoder()
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if not content or content.startswith("//"):
            continue
        try:
            value, end = decoder.raw_decode(content)
        except ValueError as error:
            raise InvalidValueError(f"{path}, line {number}, is not JSON: {error}") from error
        rest = content[end:].lstrip()
        if rest and not rest.startswith("//"):
            raise InvalidValueError(f"{path}, line {number}: {rest!r:.40} follows the value")
        found.append(value)
    return found


def _dump_lines(factors: list[Any]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in [{HEADER: _VERSION}, *factors])


def _load_yaml(text: str, path: Path) -> Any:
    yaml, loader, _ = _yaml()
    try:
        return yaml.load(text, loader)  # a safe loader, see below
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidValueError(f"{path} is not YAML: {error}") from error


def _dump_yaml(factors: list[Any]) -> str:
    yaml, _, dumper = _yaml()
    content = {HEADER: _VERSION, "factors": factors}
    return str(yaml.dump(content, Dumper=dumper, sort_keys=False, default_flow_style=None))


@functools.cache
def _yaml() -> tuple[Any, Any, Any]:
    """Return PyYAML with a safe loader and dumper that agree about what is a float.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingPackageError(
            "YAML files need a package; this installs it:  python -m pip install 'tracelet[yaml]'"
        ) from error

    class Loader(yaml.SafeLoader):
        pass

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    # YAML 1.1, which PyYAML reads, has no floats without a dot; people, and YAML 1.2, write them.
    number = re.compile(r"[-+]?(?:\d[\d_]*)(?:\.[\d_]*)?[eE][-+]?\d+|[-+]?\.\d[\d_]*[eE][-+]?\d+")
    whole = re.compile(rf"(?:{number.pattern})\Z")
    for kind in (Loader, Dumper):
        kind.add_implicit_resolver("tag:yaml.org,2002:float", whole, list("-+.0123456789"))
    return yaml, Loader, Dumper


_FORMATS: dict[str, tuple[_Load, _Dump]] = {
    ".yaml": (_load_yaml, _dump_yaml),
    ".yml": (_load_yaml, _dump_yaml),
    ".json": (_load_json, _dump_json),
    ".jsonl": (_load_lines, _dump_lines),
}


# -- factors in files ---------------------------------------------------------------------------


def saved(product: Product) -> list[Any]:
    """Return the factors of a product, JSON-like.

    Raises:
        ValueTypeError: a value is of a type that no file can hold.
    """
    return [_saved(factor) for factor in product.factors]


def _saved(factor: Factor) -> dict[str, Any]:
    if isinstance(factor, Columns):
        word = "product" if len(factor.columns) == 1 else "zip"
        return {word: {name: _axis(name, values) for name, values in factor.columns.items()}}
    if isinstance(factor, Entries):
        entries = [_entry(entry) for entry in factor.entries]
        if factor.is_axis:
            return {"rows": entries}
        return {"set": entries[0]} if len(entries) == 1 else {"chain": entries}
    if isinstance(factor, Repeats):
        return {"repeat": factor.size}
    if isinstance(factor, Concat):
        return {"concat": [saved(one) for one in factor.products]}
    assert isinstance(factor, Picked)
    return {"pick": _axis("", factor.indices), "of": saved(factor.product)}


def _axis(name: str, values: Sequence[Any]) -> Any:
    return encoded(values if isinstance(values, range) else list(values), name)


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encoded(value, name) for name, value in entry.items()}


def restored(factors: Sequence[Any], place: str) -> Product:
    """Undo :func:`saved`.

    Args:
        factors: what it returned.
        place: where they come from, for messages.

    Raises:
        InvalidValueError: they are not the factors of a sweep.
    """
    return Product([_restored(factor, place) for factor in factors])


def _restored(factor: Any, place: str) -> Factor:
    try:
        return _factor(factor, place)
    except TraceletError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InvalidValueError(f"{place}: {factor!r:.80} is no factor of a sweep") from error


def _factor(factor: Mapping[str, Any], place: str) -> Factor:
    word, content = next(iter(factor.items()))
    if set(factor) != ({"pick", "of"} if word in ("pick", "of") else {word}):
        raise ValueError(factor)  # it has two words, and none of them is the first
    if word in ("product", "zip"):
        columns = {name: axis(name, decoded(values)) for name, values in content.items()}
        sizes = {size_of(values) for values in columns.values()}
        if len(columns) != 1 and (word == "product" or len(sizes) != 1):
            raise ValueError(content)
        return axis_factor(columns)
    if word in ("set", "chain", "rows"):
        entries = [content] if word == "set" else content
        return Entries([decoded_entry(one) for one in entries], as_axis=word == "rows")
    if word == "repeat":
        if type(content) is not int or content < 1:
            raise ValueError(content)
        return Repeats(content)
    if word == "concat":
        return Concat([restored(one, place) for one in content])
    product = restored(factor["of"], place)
    indices = decoded(factor["pick"])
    ends = (indices[0], indices[-1]) if isinstance(indices, range) and indices else indices
    if not all(0 <= index < product.size for index in ends):
        raise ValueError(indices)
    return Picked(product, indices)


def decoded_entry(entry: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a configuration as it was before it was written to a file."""
    return {name: decoded(value) for name, value in entry.items()}


def read_product(path: Path) -> Product:
    """Read a saved sweep, or a list of configurations.

    Raises:
        ArtifactNotFoundError: there is no such file.
        InvalidValueError: it holds neither.
    """
    factors, entries = read_content(path)
    if factors is not None:
        return restored(factors, str(path))
    if not entries:
        raise InvalidValueError(f"{path} holds no configuration")
    return Product([Entries([checked_entry(decoded_entry(one), str(path)) for one in entries])])


def checked_entry(entry: Mapping[Any, Any], place: str) -> dict[str, Any]:
    """Return a configuration whose names are strings.

    Raises:
        InvalidValueError: one is not, or is empty.
    """
    for name in entry:
        if not isinstance(name, str) or not name:
            raise InvalidValueError(f"{place}: a name is a string that is not empty, not {name!r}")
    return dict(entry)


def entry_of(given: Any) -> dict[str, Any] | Product:
    """Return a configuration; the product of a sweep is that of many.

    Raises:
        ValueTypeError: it is neither, nor a mapping or a pydantic model.
        InvalidValueError: a name in it is no text.
    """
    if isinstance(given, Product):
        return given
    if isinstance(given, Mapping):
        return checked_entry(given, "a configuration")
    if hasattr(type(given), "__pydantic_fields__"):
        return {name: _without_models(one) for name, one in (named_fields(given) or {}).items()}
    raise ValueTypeError(
        f"a configuration is a mapping or a pydantic model, not a {type(given).__name__}"
    )


def read_entry(given: Any) -> dict[str, Any] | Product:
    """Return a configuration, or those of the file at a path."""
    if isinstance(given, str | os.PathLike):
        return read_product(Path(given))
    return entry_of(given)


def _without_models(value: Any) -> Any:
    if hasattr(type(value), "__pydantic_fields__"):
        return {name: _without_models(one) for name, one in (named_fields(value) or {}).items()}
    if type(value) is list:
        return [_without_models(one) for one in value]
    return value
