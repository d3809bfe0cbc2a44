"""Automatic capture: what a run records without being asked, one file a source."""
