"""Sums that leave the network have as few bits as they need; others stay as they are."""

from gatewright import ir, passes

BEFORE = """\
graph "g"
input x: i2[1,4]
constant w: i2[2,4] = [[1, -2, 1, 1], [1, 1, 1, 1]]
constant v: i8[2,4] = [[127, 127, 127, 127], [1, 2, 3, 4]]
constant wide: i16[1,4] = [[32767, 32767, 32767, 32767]]
constant bias: i32[2] = [3, -4]
constant mul: u32[1] = [3]
constant shift: u8[1] = [2]
few = matmul(x, w, bias) -> i32[1,2]
more = matmul(x, v) -> i32[1,2]
many = matmul(x, wide) -> i32[1,1]
inner = matmul(x, w) -> i32[1,2]
read = matmul(x, w, bias, x_zero=1) -> i32[1,2]
y = requantise(inner, mul, shift, zero=0, low=-8, high=7, rounding=half_even, dtype=i4) -> i4[1,2]
z = requantise(read, mul, shift, zero=0, low=-8, high=7, rounding=half_even, dtype=i4) -> i4[1,2]
output few
output more
output many
output read
output y
output z
"""
AFTER = BEFORE.replace("matmul(x, w, bias) -> i32[1,2]", "matmul(x, w, bias, accumulator=i8) -> i8[1,2]").replace(
    "matmul(x, v) -> i32[1,2]", "matmul(x, v, accumulator=i16) -> i16[1,2]"
)
AFTER += """\
port output 0 {"name": "few", "model_dtype": "int32", "model_shape": [1, 2]}
port output 1 {"name": "more", "model_dtype": "int32", "model_shape": [1, 2]}
"""


def test_only_what_outputs_alone_read(check_pass) -> None:
    check_pass(passes.narrow_sums, BEFORE, AFTER)


def test_every_sum_fits() -> None:
    ir.check_accumulators(passes.narrow_sums(ir.parse(BEFORE)))
