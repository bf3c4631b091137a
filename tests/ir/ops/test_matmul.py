import numpy as np
import pytest

from gatewright import ir


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_equals_the_formula(shape):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, shape).astype(np.uint8)
    w = random.integers(-128, 128, (7, 5)).astype(np.int8)
    bias = random.integers(-1000, 1000, 7).astype(np.int32)
    op = ir.MatMul(x_zero=100)
    types = [ir.TensorType(shape, ir.U8), ir.TensorType(w.shape, ir.I8), ir.TensorType(bias.shape, ir.I32)]
    y = op.evaluate(x, w, bias, types=types)
    assert y.dtype == np.int32
    assert op.infer(*types) == ir.TensorType((*shape[:-1], 7), ir.I32)
    np.testing.assert_array_equal(y, (x.astype(np.int64) - 100) @ w.astype(np.int64).T + bias)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (["i8[2,5]", "i8[7,4]"], r"x must be \[\.\.\., 4\], not i8\[2,5\]"),
        (["i8[2,5]", "i8[7,5,1]"], r"w must be \[O, K\], not i8\[7,5,1\]"),
        (["i8[2,5]", "i8[7,5]", "i32[2]"], r"bias must be \[7\], not i32\[2\]"),
    ],
)
def test_impossible_types_are_refused(types, message):
    with pytest.raises(ir.GraphError, match=message):
        ir.MatMul().infer(*map(ir.TensorType.parse, types))
