"""What developers and CI run: one session, one concern. ``nox -l`` lists them."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "imports", "tests"]

# pyenv answers for the Pythons that are switched on; nox is to find those that are installed, too.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
INSTALLED = [platform.python_version(), *sorted(path.name for path in PYENV.glob("3.1[2-9].*"))]
os.environ.setdefault(
    "PYENV_VERSION", ":".join(name for name in INSTALLED if (PYENV / name).is_dir())
)

# The tests start hundreds of processes: each of them would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
CONSTRAINTS = str(ROOT / "constraints.txt")
PLUGINS = ["mlflow", "clearml", "tensorboard", "wandb"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OTHER_PYTHONS = ["3.12", "3.13"]
"""Those that the quick tests run on in CI; all tests run on the lowest."""
PLUGIN_SOURCES = os.pathsep.join(str(ROOT / f"plugins/tracelet-{name}/src") for name in PLUGINS)

# A test that hangs is a failure, not a stuck machine. Here and not in the configuration of pytest,
# so that a bare `pytest` works without the plugin.
PYTEST = ("python", "-m", "pytest", "--timeout=180")
# The tests of the core wait for processes more than they compute: four keep two cores busy. Those
# of an adapter compute: each of their processes imports an SDK, and a class of them has one server.
IN_FOUR = ("--numprocesses=4", "--dist=worksteal")
IN_TWO = ("--numprocesses=2", "--dist=loadscope")
IN_TWO_EVENLY = ("--numprocesses=2", "--dist=worksteal")

UNIT_TESTS = [
    "tests/backends/test_options.py",
    *(f"tests/capture/test_{name}.py" for name in ("arguments", "machine", "packages", "terminal")),
    "tests/core",
    "tests/journal/test_names.py",
    "tests/journal/test_reader.py",
    "tests/sweep/test_algebra.py",
    "tests/sweep/test_binding.py",
    "tests/sweep/test_files.py",
    "tests/sweep/test_ledger.py",
    "tests/sweep/test_sweep_properties.py",
    "tests/test_metric_calls.py",
    "tests/test_records.py",
]
"""What answers while somebody changes the code: these tests start no process, or nearly none."""
COVERED_BY = [
    "tests/backends",
    "tests/cli",
    "tests/core",
    "tests/courier",
    "tests/journal",
    "tests/survival",
    "tests/test_bad_input.py",
    "tests/test_experiment.py",
    "tests/test_metric_calls.py",
    "tests/test_parameter_examples.py",
    "tests/test_records.py",
    "tests/test_settings.py",
    "tests/trust",
    "tests/values",
    "--ignore=tests/survival/test_fuzz.py",  # it reads the same lines 2,600 times
]
"""The tests of the engine, for which the coverage is measured: it has to stay what it is."""

# What a user does first, in the environment of a user: nothing but the wheel.
SMOKE_TEST = """
import math, sys, tracelet

for courier in ("thread", "process"):
    with tracelet.start_logging(
        "smoke", "wheel", "local", params={"optimizer": {"lr": 1e-3}}, courier=courier
    ) as exp:
        for iteration in range(100):
            exp.log_metric("loss", 1 / (iteration + 1), iteration=iteration)
        exp.log_metric("loss", math.nan, iteration=100)

    run = tracelet.load_run(exp.dir)
    assert run.status == "finished", run.status
    assert run.report.complete, run.report
    assert run.params["optimizer.lr"] == 1e-3, run.params
    losses = run.metrics["loss"]
    assert [point.iteration for point in losses] == list(range(101)), losses
    assert losses[99].value == 0.01 and math.isnan(losses[100].value), losses[99:]
assert "site-packages" in tracelet.__file__, tracelet.__file__
assert not {"numpy", "pandas"} & set(sys.modules), "an optional package was imported"
print("tracelet", tracelet.__version__, "logged and read back", exp.run_id)
"""


def install(session: nox.Session, *packages: str, groups: tuple[str, ...] = ()) -> None:
    """Install packages and dependency groups in the versions of the constraints.

    Most of what they bring is never imported: to compile it takes longer than some of the tests.
    """
    requirements = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    session.install("--no-compile", "-c", CONSTRAINTS, *packages, *requirements)


@nox.session
def demo(session: nox.Session) -> None:
    """Train a classifier on the digits, log it to local files, and show the run."""
    install(session, "-e", ".", groups=("demo",))
    session.run("python", "examples/digits.py", "--backend", "local", *session.posargs)
    session.run("tracelet", "show")  # the latest run


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that start no process, or few; arguments go to pytest."""
    run_unit_tests(session)


@nox.session(python=OTHER_PYTHONS, name="unit-on")
def unit_on(session: nox.Session) -> None:
    """Run the same on the other Pythons: ``nox -s unit-on-3.12``."""
    run_unit_tests(session)


def run_unit_tests(session: nox.Session) -> None:
    """Run the tests that start no process."""
    install(session, "-e", ".[dataframe,yaml]", groups=("unit",))
    session.run(*PYTEST, *IN_TWO_EVENLY, *UNIT_TESTS, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test: the core's, each plugin's, and all together; with arguments, the core's."""
    if not session.posargs:
        for name in PLUGINS:
            session.notify(f"plugin({name})")
        session.notify("together")
    install(session, "-e", ".[dataframe,yaml]", groups=("test",))
    install_browser(session)
    session.run(*PYTEST, *IN_FOUR, *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Damage a run in 20,000 places that nobody has chosen, and read it; arguments go to pytest."""
    install(session, "-e", ".", groups=("unit",))
    environment = {"TRACELET_SOAK_MUTATIONS": os.environ.get("TRACELET_SOAK_MUTATIONS", "20000")}
    command = (*PYTEST, *IN_TWO_EVENLY, "tests/survival/test_fuzz.py", *session.posargs)
    session.run(*command, env=environment)


@nox.session(python=OTHER_PYTHONS[-1])
def coverage(session: nox.Session) -> None:
    """Measure which lines the tests reach, in couriers, workers and other processes, too.

    A newer Python than the lowest is used, which has a cheaper way to measure it.
    """
    install(session, "-e", ".[dataframe,yaml]", groups=("unit",))
    environment = {"COVERAGE_CORE": "sysmon"}
    session.run("coverage", "erase")
    run = ("coverage", "run", "-m", *PYTEST[2:], *IN_FOUR, *COVERED_BY)
    session.run(*run, *session.posargs, env=environment)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests of the core with the lowest versions that its dependencies allow."""
    install(session, "-e", ".[dataframe,yaml]", groups=("test",))
    lowest_versions = [line.replace(">=", "==") for line in PROJECT["project"]["dependencies"]]
    session.install(*lowest_versions)
    install_browser(session)
    session.run(*PYTEST, *IN_FOUR, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style and the format of every file."""
    install(session, groups=("lint",))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def spelling(session: nox.Session) -> None:
    """Find misspelt words in code and pages."""
    install(session, groups=("lint",))
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the core, the adapters, the examples and user-style code."""
    install(session, "-e", ".[dataframe,yaml]", groups=("types",))
    for version in PYTHONS:
        session.run("mypy", "--python-version", version)


@nox.session
def imports(session: nox.Session) -> None:
    """Check that imports go one way, and that neither core nor adapters cross their borders."""
    install(session, "-e", ".", groups=("imports",))
    session.run("lint-imports", env={"PYTHONPATH": PLUGIN_SOURCES})


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel from the source distribution and use it in an empty environment."""
    install(session, groups=("build",))
    # Outside the tree, where neither its packages nor its settings can be found by accident.
    with tempfile.TemporaryDirectory() as directory:
        dist, env, elsewhere = (Path(directory) / name for name in ("dist", "env", "elsewhere"))
        elsewhere.mkdir()
        session.run("python", "-m", "build", "--outdir", str(dist))
        session.run("python", "-m", "venv", str(env))
        (built,) = dist.glob("*.whl")
        commands = env / ("Scripts" if os.name == "nt" else "bin")
        python, tracelet = str(commands / "python"), str(commands / "tracelet")

        def run(*command: str) -> None:
            session.run(*command, external=True, env={"PYTHONPATH": None})

        run(python, "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS, str(built))
        with session.chdir(elsewhere):
            Path("smoke.py").write_text(SMOKE_TEST)
            run(python, "smoke.py")
            run(tracelet, "runs")
            run(python, "-m", "tracelet", "backends")


@nox.session
@nox.parametrize("plugin", PLUGINS, ids=PLUGINS)
def plugin(session: nox.Session, plugin: str) -> None:
    """Test one plugin in an environment with only the core, the plugin and its SDK."""
    source = f"plugins/tracelet-{plugin}"
    install(session, "-e", ".", "-e", source, *own_tests_need(plugin), groups=("plugin-test",))
    if plugin == "tensorboard":
        install_browser(session)
    # The checks of a contract share their runs: those of one class stay in one process.
    session.run(*PYTEST, *IN_TWO, f"{source}/tests", *session.posargs)


@nox.session
def together(session: nox.Session) -> None:
    """Test that all trackers get the same of one script, in an environment with all SDKs."""
    adapters = [part for name in PLUGINS for part in ("-e", f"plugins/tracelet-{name}")]
    install(session, "-e", ".", *adapters, groups=("together-test",))
    session.run(*PYTEST, *IN_TWO, "plugins/tests", *session.posargs)


def own_tests_need(plugin: str) -> tuple[str, ...]:
    """Return what the tests of one plugin need beside what those of all need."""
    project = nox.project.load_toml(ROOT / f"plugins/tracelet-{plugin}/pyproject.toml")
    groups = project.get("dependency-groups", {})
    return nox.project.dependency_groups(project, "test") if "test" in groups else ()


def install_browser(session: nox.Session) -> None:
    """Install Debian's Chromium, unless it is there; without it the tests say what is missing."""
    if (shutil.which("chromium") and shutil.which("chromedriver")) or not shutil.which("apt-get"):
        return
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    patient = ("--quiet", "--option", "DPkg::Lock::Timeout=300")  # another session may do the same
    packages = ("chromium", "chromium-driver")
    for command in (("update",), ("install", "--yes", "--no-install-recommends", *packages)):
        session.run(
            "apt-get", *patient, *command, external=True, env=environment, success_codes=range(256)
        )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the budgets, as ratios in one run; arguments go to the benchmarks."""
    adapters = [part for name in PLUGINS for part in ("-e", f"plugins/tracelet-{name}")]
    install(session, "-e", ".[dataframe]", *adapters, groups=("bench",))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Build the five distributions, and check that they are whole and of one version."""
    install(session, groups=("build",))
    sources = [ROOT, *(ROOT / f"plugins/tracelet-{name}" for name in PLUGINS)]
    versions = {
        nox.project.load_toml(source / "pyproject.toml")["project"]["version"] for source in sources
    }
    if len(versions) != 1:
        session.error(f"the distributions have several versions: {', '.join(sorted(versions))}")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for source in sources:
        session.run("python", "-m", "build", "--outdir", str(dist), str(source))
    built = sorted(map(str, dist.iterdir()))
    session.run("twine", "check", "--strict", *built)
    session.log(f"version {versions.pop()}: {len(built)} files in {dist}")


@nox.session
def constraints(session: nox.Session) -> None:
    """Resolve every environment of this file anew, together, and write constraints.txt."""
    report = Path(session.create_tmp()) / "resolved.json"
    local = [".[dataframe,yaml]", *(f"./plugins/tracelet-{name}" for name in PLUGINS)]
    groups = nox.project.dependency_groups(PROJECT, "dev", "plugin-test")
    groups += tuple(need for name in PLUGINS for need in own_tests_need(name))
    pip = ("python", "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed")
    session.run(*pip, "--report", str(report), *local, *groups)
    found = {
        re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"]
        for item in json.loads(report.read_text())["install"]
    }
    own = {"tracelet", *(f"tracelet-{name}" for name in PLUGINS)}
    lines = [f"{name}=={found[name]}\n" for name in sorted(found.keys() - own)]
    header = "# Every environment of noxfile.py in one resolve; made by: nox -s constraints\n"
    (ROOT / "constraints.txt").write_text(header + "".join(lines))
