"""Importing tracelet, and starting a run, costs what it needs: nobody's SDK, not even NumPy."""

from __future__ import annotations

from pathlib import Path

import pytest
from user_scripts import run_script

HEAVY = {
    *("numpy", "pandas", "matplotlib", "torch", "yaml", "pydantic"),
    *("argparse", "click", "typer", "rich"),
    *("mlflow", "wandb", "clearml", "tensorboard"),
    *("asyncio", "multiprocessing"),
}

LOADED = """
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def loaded(tmp_path: Path, script: str) -> set[str]:
    output = run_script(tmp_path, "import sys\n" + script + LOADED)
    return set(output.splitlines()[-1].split())


def test_importing_tracelet_imports_nothing_heavy(tmp_path: Path) -> None:
    assert not loaded(tmp_path, "import tracelet\n") & HEAVY


@pytest.mark.parametrize("courier", ["process", "thread"])
def test_a_run_imports_nothing_heavy(tmp_path: Path, courier: str) -> None:
    script = f"""
import tracelet
exp = tracelet.start_logging("net", courier={courier!r}, params={{"lr": 0.1}}, tags={{"a": "b"}})
exp.log_metric("loss", 0.5)
exp.log_metrics({{"a": 1}})
exp.log_artifact(__file__)
exp.flush(60)
exp.stop()
"""
    assert not loaded(tmp_path, script) & HEAVY


def test_a_backend_of_ones_own_is_not_imported_for_the_training(tmp_path: Path) -> None:
    """But to look at what it declares, which must not import its SDK."""
    (tmp_path / "own.py").write_text(
        "from tracelet.backends.null import NullBackend\n"
        "from tracelet.backends.base import Capabilities\n"
        "class Own(NullBackend):\n"
        "    name = 'own'\n"
        "    capabilities = Capabilities.everything()\n"
        "    def open(self, run):\n"
        "        import colorsys\n"
        "        return super().open(run)\n"
    )
    script = 'import tracelet\nwith tracelet.start_logging(backend="own:Own") as exp: pass\n'
    assert "colorsys" not in loaded(tmp_path, script)


def test_sources_of_capture_are_imported_with_what_they_watch(tmp_path: Path) -> None:
    """And what has the hooks of imports with the first of these modules."""
    script = """
import sys, tracelet
def there(*names): return {name for name in names if name in sys.modules}
SOURCES = [f"tracelet.capture.{name}" for name in
           ("argparse", "click", "hydra", "absl", "environment")]
tracelet.start_logging("net").stop()
assert not there("wrapt", *SOURCES), there("wrapt", *SOURCES)
import argparse
assert there("wrapt", *SOURCES) == {"wrapt", "tracelet.capture.argparse"}
import typer
assert there(*SOURCES) == {"tracelet.capture.argparse", "tracelet.capture.click"}
"""
    run_script(tmp_path, script)


def test_a_source_that_is_off_is_not_imported(tmp_path: Path) -> None:
    script = """
import sys, tracelet
tracelet.start_logging("net", capture=["absl"]).stop()
tracelet.start_logging("net", capture=False, log_environment=["*"]).stop()
print(*[name for name in sys.modules if name.startswith("tracelet.capture.")])
"""
    said = run_script(tmp_path, script).splitlines()
    loaded = next(line for line in said if line.startswith("tracelet.capture.")).split()
    sources = ("base", "names", "registry", "watch")
    session = ("argument_secrets", "captured", "command_line", "held", "recorder", "session")
    jobs = ("jobs", "program")
    names = (*sources, *session)
    assert set(loaded) == {f"tracelet.capture.{name}" for name in (*names, *jobs)}
