"""The command line. Results go to stdout, and nothing else does, so that pipes and ``jq`` work."""
