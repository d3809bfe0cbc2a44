"""``tracelet compare``: what differs between runs, as a table, as data, and as a page."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from typer.testing import CliRunner
from waiting import eventually

import tracelet
from tracelet.cli.app import app
from tracelet.errors import MissingPackageError

INSTALL = "apt-get update && apt-get install -y chromium chromium-driver"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1600,900"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def command(*arguments: object, columns: int = 200) -> str:
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, list(map(str, arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def ids() -> list[str]:
    """Three runs, of which the first two are a group."""
    found = []
    for number, (lr, kind) in enumerate([(0.1, "<b>adam</b>"), (0.2, "sgd"), (0.3, "sgd")]):
        params = {"lr": lr, "kind": kind, "same": 1} | ({"more": None} if number == 1 else {})
        group = "pair" if number < 2 else None
        with tracelet.start_logging(f"r{number}", "demo", params=params, group=group) as exp:
            for iteration in range(4):
                exp.log_metric("loss", lr * abs(iteration - 1), iteration=iteration)
            if number:
                exp.log_metric("nan", float("nan"))
        found.append(str(exp.run_id))
    return found


def test_a_group_as_a_table(ids: list[str]) -> None:
    lines = command("compare", "--group", "pair").splitlines()

    assert lines[0].split() == [
        *("run", "status", "lr", "kind", "more", "loss", "loss", "min", "nan", "nan", "min"),
        *("nan", "max"),
    ]
    assert lines[1].split() == ["r0", "finished", "0.1", "<b>adam</b>", "-", "0.2", "0", *"---"]
    assert lines[2].split() == ["r1", "finished", "0.2", "sgd", "None", "0.4", "0", "NaN", "-", "-"]
    assert lines[3].strip() == "1 parameter the same in all"


def test_columns_that_do_not_fit_are_in_another_table_and_whole() -> None:
    config = {f"param{number}": "a text of several words" for number in range(3)}
    for place in (1, 0):
        tags = {"sweep.index": str(place)}
        params = {name: f"{text} {place}" for name, text in config.items()}
        with tracelet.start_logging(
            f"wide-{place}", "demo", params=params, group="wide", tags=tags
        ) as exp:
            for metric in ("train/loss", "val/loss"):
                exp.log_metric(metric, 0.123456 + place, iteration=0)

    lines = [line.split() for line in command("compare", "-g", "wide", columns=80).splitlines()]

    heads = [line for line in lines if line[:1] == ["run"]]
    assert [name for head in heads for name in head] == [
        *("run", "status", "param0", "param1", "run", "param2", "train/loss", "val/loss")
    ]
    rows = [line for line in lines if line and line[0].startswith("wide")]
    assert [row[0] for row in rows] == ["wide-0", "wide-1"] * 2  # as in the sweep
    assert [row[-2:] for row in rows[2:]] == [["0.12346"] * 2, ["1.1235"] * 2]
    lines = command("compare", "-g", "wide", columns=80).splitlines()
    assert max(map(len, lines)) <= 80


def test_runs_as_json_and_as_csv(ids: list[str]) -> None:
    found = json.loads(command("compare", *ids, "--json"))
    rows = list(csv.DictReader(io.StringIO(command("compare", *ids, "--csv", "-m", "loss"))))

    assert found["differing"] == ["lr", "kind", "more"]
    assert [run["run_id"] for run in found["runs"]] == ids
    assert found["runs"][1]["params"] == {"lr": 0.2, "kind": "sgd", "more": None}
    assert found["runs"][1]["metrics"]["loss"] == {"last": 0.4, "min": 0.0, "max": 0.4}
    assert found["runs"][1]["metrics"]["nan"] == {"last": "NaN", "min": None, "max": None}
    assert [row["params.lr"] for row in rows] == ["0.1", "0.2", "0.3"]
    assert [row["metrics.loss.last"] for row in rows][:2] == ["0.2", "0.4"]
    assert "metrics.nan.last" not in rows[0]


def test_a_run_is_compared_once_and_alone_it_differs_in_nothing(ids: list[str]) -> None:
    found = json.loads(command("compare", ids[0], ids[0], "--json"))

    assert len(found["runs"]) == 1
    assert found["differing"] == []


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail(f"this test needs a browser; this installs it:  {INSTALL}")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def test_a_page_without_a_network_shows_curves_and_parallel_coordinates(
    ids: list[str], browser: webdriver.Chrome, tmp_path: Path
) -> None:
    command("compare", *ids, "--html", "page/all.html")

    browser.get((tmp_path / "page" / "all.html").as_uri())

    def texts(selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
        found: list[str] = browser.execute_script(script, selector)
        return found

    eventually(lambda: len(texts(".legendtext")) >= 3 and texts(".parcoords"))
    assert set(texts(".legendtext")) == set(ids)
    assert texts(".parcoords .axis-title") == ["lr", "kind", "more", "loss"]
    assert "<b>adam</b>" in texts(".parcoords .axis text")
    drawn: list[Any] = browser.execute_script(
        "return [...document.querySelectorAll('.js-plotly-plot')][1].data.map(one => [...one.y])"
    )
    assert drawn[0] == [0.1, 0, 0.1, 0.2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], ValueError, "takes runs, or a group"),
        (["--group", "pairs"], LookupError, "no runs of the group 'pairs'.*'pair'"),
        (["nothing"], LookupError, "no run 'nothing'"),
        (["--group", "pair", "-m", "los"], ValueError, "no run has the metric 'los'.*'loss'"),
        (["--group", "pair", "--csv", "--json"], ValueError, "exclude each other"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], error: type, message: str, ids: list[str]) -> None:
    with pytest.raises(error, match=message):
        command("compare", *arguments)


def test_without_plotly_the_line_that_installs_it_is_told(
    ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)

    with pytest.raises(MissingPackageError, match=r"pip install 'tracelet\[html\]'"):
        command("compare", ids[0], "--html", "page.html")
    assert not Path("page.html").exists()
