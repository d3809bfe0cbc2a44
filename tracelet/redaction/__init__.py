"""What a secret is, by name, shape and place, and what stands in its place."""

from tracelet.redaction.redactor import Redactor
from tracelet.redaction.rules import secrecy

__all__ = ["Redactor", "secrecy"]
