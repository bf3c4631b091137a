"""The array datapath: output-stationary array, feed, post unit, scratchpads, and the compiler for them.

Machines are made of it; it is no target itself.
"""

__all__ = ()
