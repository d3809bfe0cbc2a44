"""Sweeps in files: the factors of a saved one, or a list of configurations written by hand.

A file of a sweep of 10**12 configurations is as short as its axes. A value comes back with its
type: in YAML, ``1e-5`` is a number, and the text "1e-5" is in quotes.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracelet.errors import ArtifactNotFoundError, InvalidValueError, MissingPackageError
from tracelet.journal.files import replace_file

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
    """Return PyYAML with a safe loader and dumper that agree about which texts are floats.

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
