"""Delivery: from the journal to the backends, by a process of its own or by threads."""
