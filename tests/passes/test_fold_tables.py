"""Everything element-wise around a table becomes the table."""

from gatewright import passes

BEFORE = """\
graph "g"
input x: u4[1,4]
constant half: u32[1] = [1]
constant one: u8[1] = [1]
constant square: i8[16] = [0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 122, 123, 124, 125]
low = clip(x, low=3, high=15) -> u4[1,4]
y = lut(low, square, dtype=i8) -> i8[1,4]
z = requantise(y, half, one, zero=-8, low=-8, high=7, rounding=half_up, dtype=i4, x_zero=60) -> i4[1,4]
output z
"""
AFTER = """\
graph "g"
input x: u4[1,4]
constant z.table: i4[16] = [-8, -8, -8, -8, -8, -8, -8, -8, -6, 3, 7, 7, 7, 7, 7, 7]
z = lut(x, z.table, dtype=i4) -> i4[1,4]
output z
"""


def test_text(check_pass):
    check_pass(passes.fold_tables, BEFORE, AFTER)
