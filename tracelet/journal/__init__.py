"""The journal: an append-only file of JSON lines in the run's directory. It is the truth."""
