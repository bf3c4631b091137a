"""Constant parts and dead code go."""

from gatewright import passes

BEFORE = """\
graph "g"
input x: i8[1,4]
constant c: i8[2,2] = [[1, 2], [3, 4]]
constant unused: i8[1] = [0]
flat = reshape(c, shape=(1, 4)) -> i8[1,4]
high = clip(flat, low=2, high=3) -> i8[1,4]
dead = clip(x, low=0, high=1) -> i8[1,4]
y = concat(x, high, axis=1) -> i8[1,8]
output y
"""
AFTER = """\
graph "g"
input x: i8[1,4]
constant high: i8[1,4] = [[2, 2, 3, 3]]
y = concat(x, high, axis=1) -> i8[1,8]
output y
"""


def test_text(check_pass):
    check_pass(passes.fold_constants, BEFORE, AFTER)
