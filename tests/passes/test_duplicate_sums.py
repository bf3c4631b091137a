"""Each reader of a sum has its own."""

from gatewright import passes

BEFORE = """\
graph "g"
input x: i8[1,2]
constant w: i8[1,2] = [[3, 4]]
constant mul: u32[1] = [3]
constant shift: u8[1] = [3]
acc = matmul(x, w) -> i32[1,1]
a = requantise(acc, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,1]
b = requantise(acc, mul, shift, zero=0, low=0, high=127, rounding=half_up, dtype=i8) -> i8[1,1]
output a
output b
"""
AFTER = """\
graph "g"
input x: i8[1,2]
constant w: i8[1,2] = [[3, 4]]
constant mul: u32[1] = [3]
constant shift: u8[1] = [3]
acc = matmul(x, w) -> i32[1,1]
a = requantise(acc, mul, shift, zero=0, low=-128, high=127, rounding=half_up, dtype=i8) -> i8[1,1]
acc.again = matmul(x, w) -> i32[1,1]
b = requantise(acc.again, mul, shift, zero=0, low=0, high=127, rounding=half_up, dtype=i8) -> i8[1,1]
output a
output b
"""


def test_text(check_pass):
    check_pass(passes.duplicate_sums, BEFORE, AFTER)
