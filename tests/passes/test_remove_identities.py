"""Nothing that changes nothing remains."""

from gatewright import passes

BEFORE = """\
graph "g"
input x: i8[1,2,2,1]
constant mul: u32[1] = [16]
constant shift: u8[1] = [4]
a = reshape(x, shape=(1, 2, 2, 1)) -> i8[1,2,2,1]
b = clip(a, low=-128, high=127) -> i8[1,2,2,1]
c = transpose(b, permutation=(0, 1, 2, 3)) -> i8[1,2,2,1]
d = pad(c, pads=((0, 0), (0, 0), (0, 0), (0, 0))) -> i8[1,2,2,1]
e = slice(d, starts=(0, 0, 0, 0), stops=(1, 2, 2, 1), steps=(1, 1, 1, 1)) -> i8[1,2,2,1]
f = upsample(e, factors=(1, 1)) -> i8[1,2,2,1]
g = concat(f, axis=0) -> i8[1,2,2,1]
h = max_pool(g, kernel=(1, 1)) -> i8[1,2,2,1]
i = requantise(h, mul, shift, zero=3, low=-128, high=127, rounding=floor, dtype=i8, x_zero=3) -> i8[1,2,2,1]
j = transpose(i, permutation=(0, 2, 1, 3)) -> i8[1,2,2,1]
k = clip(j, low=-127, high=127) -> i8[1,2,2,1]
output k
"""
AFTER = """\
graph "g"
input x: i8[1,2,2,1]
j = transpose(x, permutation=(0, 2, 1, 3)) -> i8[1,2,2,1]
k = clip(j, low=-127, high=127) -> i8[1,2,2,1]
output k
"""


def test_text(check_pass):
    check_pass(passes.remove_identities, BEFORE, AFTER)
