"""Automatic capture: what a run records without a call, in one file for each source."""
