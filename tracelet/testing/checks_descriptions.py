"""Configuration objects, text, tags, properties, and what the run is called."""

from __future__ import annotations

from tracelet.backends.base import Property, Support
from tracelet.journal.rundir import RunDir
from tracelet.records import DELIVERABLE
from tracelet.testing import values
from tracelet.testing.checks import check
from tracelet.testing.context import Context
from tracelet.testing.expect import fail_if, runs_match, values_match


@check(thread=True)
def config_values(context: Context) -> None:
    """A configuration object is not there whole, under its name, with its types."""
    values_match(context, context.everything, "config", values.CONFIG_VALUES, "configs")


@check()
def config_file(context: Context) -> None:
    """A configuration that was given as a file is not there byte for byte.

    ``ConfigObject.source`` is the file; ``value`` is None. ``read_back`` gives its bytes.
    """
    values_match(context, context.everything, "config", values.CONFIG_FILE, "configs")


@check(thread=True)
def texts(context: Context) -> None:
    """A line of the log is missing, changed or out of order."""
    support = context.support("texts")
    if support is Support.UNSUPPORTED:
        return
    outcome = context.everything
    kept = [line.get("text") for line in outcome.read.adjusted]
    found = [text for text in outcome.read.texts if text in values.TEXTS]
    if found != values.TEXTS and not (
        support is Support.EMULATED and all(text in [*found, *kept] for text in values.TEXTS)
    ):
        raise AssertionError(f"logged: {values.TEXTS}\nread back: {outcome.read.texts}")


@check(thread=True)
def tags(context: Context) -> None:
    """A tag is missing or changed, or an earlier value of it is there."""
    expected = {key: value for several in values.TAGS for key, value in several.items()}
    values_match(context, context.everything, "tag", expected, "tags")


@check(thread=True)
def properties(context: Context) -> None:
    """A user property is missing or changed, has another type, or an earlier value."""
    outcome = context.everything
    expected = {key: value for several in values.PROPERTIES for key, value in several.items()}
    expected["backbone"] = values.DESCRIBED["value"]
    values_match(context, outcome, "property", expected, "properties")
    described = outcome.read.properties.get("backbone")
    if isinstance(described, Property):
        assert described.description == values.DESCRIBED["description"], described


@check(thread=True)
def identity(context: Context) -> None:
    """The run has not the name, the project or the group it was started with.

    ``open`` gets them in ``RunInfo``.
    """
    read = context.everything.read
    expected = {"name": values.NAME, "project": values.PROJECT, "group": values.GROUP}
    fail_if(
        [
            f"the {what} is {getattr(read, what)!r}, and was given as {given!r}"
            for what, given in expected.items()
            if getattr(read, what) != given
        ]
    )


@check(thread=True)
def one_run(context: Context) -> None:
    """The tracker has no run, or more than one, for one run."""
    runs_match(context.everything, "for one run")


@check(thread=True)
def report(context: Context) -> None:
    """The delivery report does not say what became of every record.

    Everything here can be delivered, so a rejected record is a bug of the backend: it raises where
    it should call ``adjusted``. Each record that is adjusted is counted once, and its exact line is
    in ``tracelet/adjusted.jsonl``.
    """
    outcome = context.everything
    found = outcome.report
    reader = RunDir(outcome.run.dir).reader()
    logged = sum(isinstance(record, DELIVERABLE) for record in reader.records())
    reader.close()
    problems = []
    if found.rejected:
        first = outcome.rejected[0]["reason"] if outcome.rejected else found.last_error
        problems.append(f"{found.rejected} records were rejected, the first because: {first}")
    if found.accepted != found.delivered + found.rejected + found.pending:
        problems.append(f"the sums are wrong: {found}")
    if found.accepted != logged or found.pending:
        problems.append(f"{logged} records were logged, and the report says: {found}")
    if context.backend.capabilities.artifacts is not Support.UNSUPPORTED and found.adjusted != len(
        outcome.read.adjusted
    ):
        problems.append(
            f"{found.adjusted} records are counted as adjusted, and tracelet/adjusted.jsonl has "
            f"{len(outcome.read.adjusted)} lines"
        )
    fail_if(problems)


@check()
def declared(context: Context) -> None:
    """A capability is ``UNKNOWN``: say ``FULL``, ``EMULATED`` or ``UNSUPPORTED``."""
    unknown = [
        field
        for field in context.backend.capabilities.__struct_fields__
        if getattr(context.backend.capabilities, field) is Support.UNKNOWN
    ]
    if unknown:
        raise AssertionError(
            f"the Capabilities of the backend {context.name!r} do not declare "
            f"{', '.join(unknown)}; each is Support.FULL, EMULATED or UNSUPPORTED"
        )
