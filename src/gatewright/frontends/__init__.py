"""Readers of trained networks: everything that turns a model file into a graph. Sees `ir`, never a target."""

from gatewright.errors import ModelError
from gatewright.frontends.reference import run_reference

__all__ = ["ModelError", "run_reference"]
