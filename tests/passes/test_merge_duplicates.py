"""Equal constants and equal nodes, also equal through them, become one."""

from gatewright import passes

BEFORE = """\
graph "g"
input x: i32[1,4]
constant mul: u32[1] = [3]
constant mul.1: u32[1] = [3]
constant shift: u8[1] = [3]
a = requantise(x, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,4]
b = requantise(x, mul.1, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,4]
c = clip(a, low=0, high=127) -> i8[1,4]
d = clip(b, low=0, high=127) -> i8[1,4]
e = clip(b, low=0, high=127) -> i8[1,4]
y = concat(c, d, b, axis=1) -> i8[1,12]
output y
output e
"""
AFTER = """\
graph "g"
input x: i32[1,4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [3]
a = requantise(x, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,4]
c = clip(a, low=0, high=127) -> i8[1,4]
e = clip(a, low=0, high=127) -> i8[1,4]
y = concat(c, c, a, axis=1) -> i8[1,12]
output y
output e
"""


def test_text(check_pass):
    check_pass(passes.merge_duplicates, BEFORE, AFTER)
