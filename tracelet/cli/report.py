"""A delivery report on a terminal: one line a backend, with its link, or what went wrong, below."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tracelet.cli.formatting import clean, many
from tracelet.courier.report import DeliveryReport

_STYLES = {"adjusted": "cyan", "rejected": "red", "pending": "yellow"}


def print_report(console: Console, report: DeliveryReport) -> None:
    """Write a report to a console."""
    width = max(map(len, report), default=0)
    for name, one in report.items():
        line = Text("  ").append(f"{clean(name):{width}}  ")
        line.append(
            f"{one.delivered:,} of {one.accepted:,} delivered", "" if one.pending else "green"
        )
        for what, style in _STYLES.items():
            if count := getattr(one, what):
                line.append(f", {count:,} {what}", style=style)
        if one.pending and one.health not in ("ok", "starting"):
            line.append(f" ({one.health})", style="yellow")
        console.print(line, soft_wrap=True)
        more = [(one.link.url or one.link.id, "dim")] if one.link is not None else []
        if one.last_error and not one.complete:
            more.append((one.last_error, "red"))
        for text, style in more:
            console.print(Text(" " * (width + 4)).append(clean(text), style=style), soft_wrap=True)
    if report.lost:
        lost = f"  {many(report.lost, 'record')} could not be written to the journal: lost"
        console.print(Text(lost, style="red"), soft_wrap=True)
    for damage in report.damaged:
        console.print(Text(f"  damaged: {clean(damage)}", style="red"), soft_wrap=True)
    if report.skipped:
        console.print(f"  {many(report.skipped, 'line')} of the journal cannot be read")
    if report.redacted:
        console.print(f"  {many(report.redacted, 'secret')} redacted")
