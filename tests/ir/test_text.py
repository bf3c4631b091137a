"""The text form: golden, and its own inverse."""

import numpy as np
import pytest

from gatewright import ir

TEXT = """\
graph "tiny"
input x: u8[1,4,4,1]
constant w: i8[1,3,3,1] = [[[[1], [2], [3]], [[-1], [-2], [-3]], [[0], [0], [1]]]]
constant b: i32[1] = [7]
constant mul: u32[1] = [1]
constant shift: u8[1] = [4]
acc = conv2d(x, w, b, pads=(1, 1, 1, 1), x_zero=128) -> i32[1,4,4,1]
q = requantise(acc, mul, shift, zero=128, low=0, high=255, rounding=half_up, dtype=u8) -> u8[1,4,4,1]
p = average_pool(q, kernel=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0), x_zero=128, multipliers=((4, 1),), shift=2, \
zero=128, low=0, high=255, rounding=half_even, dtype=u8) -> u8[1,2,2,1]
flat = reshape(p, shape=(1, 4)) -> u8[1,4]
output flat
port output 0 {"name": "probabilities", "model_dtype": "float32", "model_shape": [1, 4], "scale": 0.5, \
"model_zero_point": 128, "zero_point": 128, "tail": [{"kind": "dequantize", "scale": 0.5, "zero_point": 128}, \
{"kind": "softmax"}]}
"""


def test_text_round_trip():
    graph = ir.parse(TEXT)
    assert str(graph) == TEXT
    assert graph.node("acc").op == ir.Conv2d(pads=(1, 1, 1, 1), x_zero=128)
    assert graph.output_ports[0].tail == (
        ir.HostStep("dequantize", scale=0.5, zero_point=128),
        ir.HostStep("softmax"),
    )


def awkward_graph():
    """Names that NumPy's own writer would not take, large constants, every kind of attribute."""
    b = ir.Builder('a "name"')
    x = b.input("file", ir.TensorType((1, 1, 40), ir.U4), ir.Port("in/0", "float32", (None, 40), scale=0.1))
    w = b.constant(np.arange(-40, 40).reshape(2, 40), ir.I8, "allow_pickle")
    acc = b.add(ir.MatMul(3, ir.IntType(24)), x, w)
    mul, shift = b.constant([3, 5], ir.U32), b.constant([10, 11], ir.U8)
    y = b.add(ir.Requantise(0, -8, 7, ir.Rounding.HALF_AWAY, ir.I4, negative_shift=3), acc, mul, shift)
    b.output(b.add(ir.Lut(ir.I16), y, b.constant(np.arange(16) ** 2, ir.I16)))
    b.output(b.add(ir.Pad(((0, 0), (0, 1), (0, 0)), -1), y))
    return b.build()


def test_files_round_trip(tmp_path):
    graph = awkward_graph()
    ir.save(graph, tmp_path)
    loaded = ir.load(tmp_path)
    assert loaded == graph
    assert str(loaded) == str(graph)


def test_files_are_deterministic(tmp_path):
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        ir.save(awkward_graph(), tmp_path / name)
        contents.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("acc = conv2d(", "acc = dance(", "operator must be one of add, arg_max, .*, not 'dance'"),
        ("x_zero=128) -> i32", "x_zerro=128) -> i32", r"line 7 must be a line of a graph, .*'x_zerro'"),
        ("pads=(1, 1, 1, 1)", "pads=(1, 1", "line 7 must be a line of a graph"),
        ("half_up", "half_down", "line 8 must be a line of a graph, .*half_down"),
        ("output flat", "result flat", "first word must be graph, input, constant, output or port, not 'result'"),
        ("output flat", "output flatt", "output must be a value of the graph, not 'flatt'"),
        ("-> u8[1,4]", "-> u8[4]", r"reshape 'flat': type must be u8\[1,4\], not u8\[4\]"),
        ("b: i32[1] = [7]", "b: i32[1]", r"constant 'b' must be among the arrays given, not only \[\]"),
        ("b: i32[1] = [7]", "b: i32[1] = [7, 8]", r"constant 'b' must have the shape of i32\[1\], not \[2\]"),
    ],
)
def test_errors_say_where(old, new, message):
    assert old in TEXT
    with pytest.raises(ir.GraphError, match=message):
        ir.parse(TEXT.replace(old, new, 1))
