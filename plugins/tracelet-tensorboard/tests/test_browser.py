"""What a person sees: a real TensorBoard server, its pages in headless Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import wait_for
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from serving import serve

from tracelet.core.experiment import Experiment

Start = Callable[..., Experiment]

INSTALL = "apt-get update && apt-get install -y chromium chromium-driver"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1600,900",
)  # fmt: skip
SEEN = """
const words = [];
(function walk(node) {
  if (node.nodeType === Node.TEXT_NODE && node.data.trim()) words.push(node.data.trim());
  if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName)) return;
  if (node.shadowRoot) walk(node.shadowRoot);
  node.childNodes.forEach(walk);
})(document.body);
return words;
"""


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


def wait_until_seen(browser: webdriver.Chrome, *words: str) -> list[str]:
    """Wait until the page shows all the words, each as a text of its own; return all it shows."""

    def seen() -> list[str] | None:
        found: list[str] = browser.execute_script(SEEN)
        return found if set(words) <= set(found) else None

    try:
        shown: list[str] = wait_for(seen)
    except AssertionError:
        pytest.fail(f"{words} are not all among {browser.execute_script(SEEN)}")
    return shown


@pytest.fixture
def runs(start: Start) -> list[str]:
    """Log two runs, and return their ids."""
    ids = []
    for number, lr in enumerate((0.1, 0.025)):
        params = {"lr": lr, "optimizer": {"name": "adam"}, "layers": [64, 10]}
        with start(f"run{number}", params=params, tags={"team": "vision"}) as exp:
            for iteration in range(50):
                exp.log_metric("train/loss", 1 / (iteration + 2 + number), iteration=iteration)
            exp.log_metric("val/accuracy", 0.875 + number / 16, iteration=49)
            exp.log("one **line** of the log")
        ids.append(str(exp.run_id))
    return ids


@pytest.fixture
def url(runs: list[str], log_dir: Path) -> Iterator[str]:
    """Serve the runs, and wait until the server has read them: a page asks once."""
    with serve(log_dir) as server:
        wait_for(lambda: {group["name"] for group in server.hparams()} == set(runs))
        wait_for(lambda: all(server.scalars(run, "val/accuracy") for run in runs))
        yield server.url


def test_the_time_series_page_shows_each_metric_of_each_run(
    browser: webdriver.Chrome, runs: list[str], url: str
) -> None:
    browser.get(f"{url}#timeseries")
    # The last values, as the tables beside the charts have them.
    values = ("0.875", "0.9375", "0.0196", "0.0192")
    shown = wait_until_seen(browser, *runs, "train", "val", "/loss", "/accuracy", *values, "49")

    assert not [word for word in shown if "_tracelet_" in word]


def test_the_scalars_page_shows_each_metric(
    browser: webdriver.Chrome, runs: list[str], url: str
) -> None:
    browser.get(f"{url}#scalars")
    shown = wait_until_seen(browser, *runs, "tag:", "train/loss", "train", "val")

    assert not [word for word in shown if "_tracelet_" in word]


def test_the_hparams_page_shows_parameters_and_final_metrics_in_columns(
    browser: webdriver.Chrome, runs: list[str], url: str
) -> None:
    browser.get(f"{url}#hparams")
    columns = ("lr", "optimizer.name", "layers", "train/loss", "val/accuracy")
    parameters = ("0.10000", "0.025000", "adam", "[64, 10]")
    metrics = ("0.87500", "0.93750", "0.019608", "0.019231")
    wait_until_seen(browser, *runs, *columns, *parameters, *metrics)


def test_the_text_page_shows_parameters_and_log_as_they_are(
    browser: webdriver.Chrome, runs: list[str], url: str
) -> None:
    browser.get(f"{url}#text")
    params = json.dumps({"lr": 0.025, "optimizer.name": "adam", "layers": [64, 10]}, indent=2)
    wait_until_seen(browser, *runs, "tracelet/parameters", "tracelet/log", params)

    line = "one **line** of the log"
    wait_for(lambda: any(word.endswith(line) for word in browser.execute_script(SEEN)))
