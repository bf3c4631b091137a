"""The host transposes at inputs and outputs."""

from gatewright import passes

BEFORE = """\
graph "g"
input x: i8[1,2,3,4]
y = transpose(x, permutation=(0, 2, 3, 1)) -> i8[1,3,4,2]
z = clip(y, low=0, high=127) -> i8[1,3,4,2]
t = transpose(z, permutation=(0, 3, 1, 2)) -> i8[1,2,3,4]
output t
port input 0 {"name": "image", "model_dtype": "float32", "model_shape": [null, 4, 2, 3], "permutation": [0, 2, 3, 1], \
"scale": 0.5}
"""
AFTER = """\
graph "g"
input x: i8[1,3,4,2]
z = clip(x, low=0, high=127) -> i8[1,3,4,2]
output z
port input 0 {"name": "image", "model_dtype": "float32", "model_shape": [null, 4, 2, 3], "permutation": [0, 3, 1, 2], \
"scale": 0.5}
port output 0 {"name": "t", "model_dtype": "int8", "model_shape": [1, 2, 3, 4], "permutation": [0, 2, 3, 1]}
"""


def test_text(check_pass):
    check_pass(passes.absorb_transposes, BEFORE, AFTER)
