"""``tracelet config``: every setting that holds here, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.text import Text

from tracelet.cli.formatting import clean, value_text
from tracelet.cli.options import Json
from tracelet.cli.output import add_row, columns, print_json, results
from tracelet.redaction import Redactor
from tracelet.settings import Settings, resolve


class Setting(NamedTuple):
    """A setting: its dotted key, its value without secrets, and where it comes from."""

    key: str
    value: Any
    origin: str


def config(as_json: Json = False) -> None:
    """Show every setting, and where it comes from.

    Secrets are redacted.
    """
    found = list(_settings(resolve()))
    if as_json:
        print_json({one.key: {"value": one.value, "origin": one.origin} for one in found})
        return
    table = columns("setting", "value", "from", indent=0)
    table.columns[0].no_wrap = True
    for one in found:
        style = "dim" if one.origin == "default" else ""
        value = "-" if one.value is None else _describe(one.value)
        add_row(table, Text(one.key, style=style), Text(value, style=style), _origin(one.origin))
    results().print(table)


def _settings(settings: Settings) -> Iterator[Setting]:
    redact = settings.redact
    redactor = Redactor(() if isinstance(redact, bool) else redact)
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name == "origins":
            continue
        if name == "backends":
            items = {
                f"backends.{backend}.{option}": item
                for backend, options in value.items()
                for option, item in options.items()
            }
        elif name == "tags":
            items = {f"tags.{tag}": item for tag, item in value.items()}
        else:
            items = {name: list(value) if isinstance(value, tuple) else value}
        for key, item in items.items():
            yield Setting(key, redactor.value(key, item), settings.origins[key])


def _describe(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(clean(str(item)) for item in value) or "-"
    if isinstance(value, Path):
        return clean(_near(value))
    return clean(value) if isinstance(value, str) else value_text(value)


def _origin(origin: str) -> Text:
    """Return an origin, with a file's path from here if it is below, and short if it is long."""
    path, _, table = origin.partition(" [")
    place = _near(Path(path)) if Path(path).is_absolute() else path
    return Text(
        clean(f"{place} [{table}" if table else place), "dim" if origin == "default" else ""
    )


def _near(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
