"""Errors of the define-and-run interface, catchable as what NNgen raised in their place."""

from gatewright.errors import ConfigError, GraphError

__all__ = ["ArgumentError", "NotThereError"]


class ArgumentError(GraphError, ValueError):
    """An argument does not fit the operator or tensor it is meant for."""


class NotThereError(ConfigError, AttributeError):
    """A name that NNgen has and this package does not have yet."""
