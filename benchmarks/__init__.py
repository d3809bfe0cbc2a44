"""Measurements against the budgets: ``python -m benchmarks [NAME …] [--json]``.

A benchmark is a module of this package with ``main() -> dict``. It runs in a process of its own,
and compares with a baseline that it measures itself, in the same run: figures of two machines, or
of two hours on one, say little about each other. What it returns::

    {
        "rows": [
            {"what": "log_metric, p50", "measured": "1.9 µs", "budget": "2 µs", "met": True},
            {"what": "a bare os.write of the same bytes", "measured": "1.2 µs"},  # no budget
        ],
        "details": {...},  # anything JSON can hold; only with --json
    }

``benchmarks.tools.row`` makes such a row. A benchmark that needs a package which is not installed
lets the ImportError pass; the table then says that it was not run, and why.
"""
