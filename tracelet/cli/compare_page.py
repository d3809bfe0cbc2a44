"""The page of ``tracelet compare --html``: curves and parallel coordinates, in one file.

It is drawn by plotly, whose script is inside the page, so that it is read without a network.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import msgspec

from tracelet.backends.base import nearest_float
from tracelet.cli.formatting import clean, value_text
from tracelet.cli.metrics import MetricSummary
from tracelet.core.run import Run
from tracelet.errors import MissingPackageError
from tracelet.journal.files import replace_file
from tracelet.records import DEFAULT_AXIS, MetricPoint

_MOST_POINTS = 2000
_STYLE = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"


class Compared(msgspec.Struct):
    """Runs, side by side.

    Attributes:
        runs: the runs.
        differing: the parameters that are not the same in all, in order of appearance.
        metrics: the names of all metrics, in order of appearance.
        summaries: of each run, its metrics by name.
    """

    runs: list[Run]
    differing: list[str]
    metrics: list[str]
    summaries: list[dict[str, MetricSummary]]


def write_page(path: Path, compared: Compared) -> None:
    """Write the page.

    Raises:
        MissingPackageError: plotly is not installed; the message has the install line.
    """
    try:
        import plotly.graph_objects as go
        import plotly.io
    except ImportError as error:
        raise MissingPackageError(
            "--html needs plotly; this installs it:  python -m pip install 'tracelet[html]'"
        ) from error

    figures: list[Any] = []
    if len(compared.runs) > 1 and (dimensions := _dimensions(compared)):
        figure = go.Figure(go.Parcoords(dimensions=dimensions))
        figures.append(figure.update_layout(title="Parameters that differ, and what came of them"))
    for name in compared.metrics:
        figure = go.Figure()
        for run in compared.runs:
            points = _thinned([p for p in run.metrics.get(name, []) if p.axis == DEFAULT_AXIS])
            figure.add_scatter(
                x=[point.iteration for point in points],
                y=[nearest_float(point.value) for point in points],
                name=html.escape(clean(run.run_id)),
                mode="lines+markers" if len(points) < 50 else "lines",
            )
        title = html.escape(clean(name))
        figures.append(
            figure.update_layout(title=title, xaxis_title="iteration", yaxis_title=title)
        )
    parts = [
        plotly.io.to_html(figure, full_html=False, include_plotlyjs=number == 0)
        for number, figure in enumerate(figures)
    ]
    title = f"{len(compared.runs)} runs"
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n{''.join(parts)}</body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, page.encode())


def _thinned(points: list[MetricPoint]) -> list[MetricPoint]:
    """Return as many points as a screen can show, the last among them."""
    step = -(-len(points) // _MOST_POINTS) or 1
    return [*points[:-1:step], *points[-1:]]


def _dimensions(compared: Compared) -> list[dict[str, Any]]:
    """Return the axes of the parallel coordinates: a str is a place on its axis."""
    found = []
    for name in compared.differing:
        values: list[Any] = [run.params.flat().get(name) for run in compared.runs]
        label = html.escape(clean(name))
        if all(type(value) in (int, float) for value in values):
            found.append({"label": label, "values": [nearest_float(value) for value in values]})
        else:
            texts = [value_text(value) for value in values]
            places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
            found.append(
                {
                    "label": label,
                    "values": [places[text] for text in texts],
                    "tickvals": list(places.values()),
                    "ticktext": list(places),  # no markup here, unlike in titles
                }
            )
    for name in compared.metrics:
        if all(name in one for one in compared.summaries):
            lasts = [nearest_float(one[name].last) for one in compared.summaries]
            found.append({"label": html.escape(clean(name)), "values": lasts})
    return found
