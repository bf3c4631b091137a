import pytest

from gatewright import ir, passes

GRAPH = """\
graph "g"
input x: u8[1,1000]
constant mul: u32[1] = [1]
constant shift: u8[1] = [8]
y = requantise(x, mul, shift, zero=0, low=0, high=255, rounding=floor, dtype=u8, x_zero=3) -> u8[1,1000]
z = clip(y, low=0, high=200) -> u8[1,1000]
output z
"""


def test_passes_run_in_order():
    seen = []

    def first(graph):
        seen.append("first")
        return graph

    def second(graph):
        seen.append("second")
        return passes.fold_clip(graph)

    result = passes.run_passes(ir.parse(GRAPH), (first, second))
    assert seen == ["first", "second"]
    assert [node.name for node in result.nodes] == ["z"]


def test_a_pass_that_breaks_the_graph_is_named():
    def lose_output(graph):
        editor = passes.Editor(graph)
        editor.outputs = []
        editor.output_ports = []
        return editor.finish()

    with pytest.raises(ir.GraphError, match="pass 'lose_output': graph 'g' must have at least one output"):
        passes.run_passes(ir.parse(GRAPH), (lose_output,))


def test_sums_that_may_overflow_are_refused():
    b = ir.Builder("g")
    x = b.input("x", ir.TensorType((1, 1000), ir.U8))
    b.output(b.add(ir.MatMul(accumulator=ir.I16), x, b.constant([[1] * 1000], ir.I8), name="dense"))
    message = r"matmul 'dense': sums of 0\.\.255000 \(output channel 0\) must fit the accumulator i16"
    with pytest.raises(ir.GraphError, match=message):
        passes.run_passes(b.build())


def test_products_of_unsigned_activations_have_no_signed_form():
    b = ir.Builder("g")
    x, y = b.input("x", ir.TensorType((1, 4), ir.U8)), b.input("y", ir.TensorType((2, 4), ir.U8))
    b.output(b.add(ir.MatMul(), x, y, name="scores"))
    with pytest.raises(ir.GraphError, match=r"matmul 'scores': w must be a constant or signed, not the u8\[2,4\] 'y'"):
        passes.to_signed(b.build())
