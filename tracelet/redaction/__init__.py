"""What a secret is, by name, shape and place, and what stands in its place."""

from tracelet.redaction.names import secrecy
from tracelet.redaction.redactor import Redactor

__all__ = ["Redactor", "secrecy"]
