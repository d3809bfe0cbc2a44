"""Sweeps: many configurations of one training, described, saved, run, and compared."""
