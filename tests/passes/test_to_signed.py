"""Every unsigned activation becomes signed; unsigned weights that fit are retyped."""

from gatewright import passes

BEFORE = """\
graph "g"
input x: u8[1,4,4,1]
constant w: u8[1,2,2,1] = [[[[1], [2]], [[3], [127]]]]
constant wide: u8[1,1,1,1] = [[[[255]]]]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
constant one: u32[1] = [16]
constant table: u4[16] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
acc = conv2d(x, w, pads=(0, 0, 1, 1), x_zero=130) -> i32[1,4,4,1]
q = requantise(acc, mul, shift, zero=7, low=0, high=15, rounding=half_up, dtype=u4) -> u4[1,4,4,1]
t = lut(q, table, dtype=u4) -> u4[1,4,4,1]
p = pad(t, pads=((0, 0), (1, 0), (0, 0), (0, 0)), value=3) -> u4[1,5,4,1]
m = max_pool(p, kernel=(2, 1)) -> u4[1,4,4,1]
s = add(m, x, mul_a=5, mul_b=7, shift=4, a_zero=3, b_zero=130, zero=1, low=-128, high=127, rounding=half_away, \
dtype=i8) -> i8[1,4,4,1]
a = average_pool(m, kernel=(4, 4), strides=(1, 1), pads=(0, 0, 0, 0), x_zero=3, multipliers=((16, 9),), shift=5, \
zero=100, low=0, high=255, rounding=half_even, dtype=u8) -> u8[1,1,1,1]
c = clip(a, low=10, high=200) -> u8[1,1,1,1]
y = conv2d(c, wide, x_zero=100) -> i32[1,1,1,1]
output s
output c
output y
port output 1 {"name": "c", "model_dtype": "float32", "model_shape": [1, 1, 1, 1], "scale": 0.25, "model_zero_point": \
100, "zero_point": 100}
"""
AFTER = """\
graph "g"
input x: i8[1,4,4,1]
constant wide: u8[1,1,1,1] = [[[[255]]]]
constant mul: u32[1] = [3]
constant shift: u8[1] = [4]
constant w.signed: i8[1,2,2,1] = [[[[1], [2]], [[3], [127]]]]
constant table.signed: i4[16] = [7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6, -7, -8]
acc = conv2d(x, w.signed, pads=(0, 0, 1, 1), x_zero=2) -> i32[1,4,4,1]
q = requantise(acc, mul, shift, zero=-1, low=-8, high=7, rounding=half_up, dtype=i4) -> i4[1,4,4,1]
t = lut(q, table.signed, dtype=i4) -> i4[1,4,4,1]
p = pad(t, pads=((0, 0), (1, 0), (0, 0), (0, 0)), value=-5) -> i4[1,5,4,1]
m = max_pool(p, kernel=(2, 1)) -> i4[1,4,4,1]
s = add(m, x, mul_a=5, mul_b=7, shift=4, a_zero=-5, b_zero=2, zero=1, low=-128, high=127, rounding=half_away, \
dtype=i8) -> i8[1,4,4,1]
a = average_pool(m, kernel=(4, 4), strides=(1, 1), pads=(0, 0, 0, 0), x_zero=-5, multipliers=((16, 9),), shift=5, \
zero=-28, low=-128, high=127, rounding=half_even, dtype=i8) -> i8[1,1,1,1]
c = clip(a, low=-118, high=72) -> i8[1,1,1,1]
y = conv2d(c, wide, x_zero=-28) -> i32[1,1,1,1]
output s
output c
output y
port input 0 {"name": "x", "model_dtype": "uint8", "model_shape": [1, 4, 4, 1], "zero_point": -128}
port output 1 {"name": "c", "model_dtype": "float32", "model_shape": [1, 1, 1, 1], "scale": 0.25, "model_zero_point": \
100, "zero_point": -28}
"""


def test_text(check_pass):
    check_pass(passes.to_signed, BEFORE, AFTER)
