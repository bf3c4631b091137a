"""Evaluation as a whole."""

from dataclasses import replace

import numpy as np
import pytest

import gatewright.ng as ng
from gatewright import ir
from gatewright.errors import DataError
from gatewright.ng.evaluation import lower


def network():
    x = ng.placeholder(ng.int8, (1, 4), name="x")
    w = ng.variable(ng.int8, (3, 4), name="w")
    w.set_value(np.arange(12).reshape(3, 4))
    return x, w, ng.matmul(x, w, transposed_b=True, dtype=ng.int16, name="y")


def test_several_outputs_in_order():
    x, w, y = network()
    given = np.array([[1, 2, 3, 4]])
    found = ng.eval([y, x, w, y], x=given)
    assert [array.dtype for array in found] == [np.int64] * 4
    np.testing.assert_array_equal(found[0], given @ w.value.T)
    np.testing.assert_array_equal(found[1], given)
    np.testing.assert_array_equal(found[2], w.value)
    np.testing.assert_array_equal(found[3], found[0])


def test_one_output_alone_and_as_a_method():
    _, _, y = network()
    assert ng.eval(y, x=[[1, 0, 0, 0]])[0].tolist() == [[0, 4, 8]]
    assert y.eval(x=[[1, 0, 0, 0]]).tolist() == [[0, 4, 8]]
    assert y.eval({}, {"x": [[1, 0, 0, 0]]}).tolist() == [[0, 4, 8]]


def test_keywords_replace_variables():
    _, w, y = network()
    assert ng.eval([y], x=[1, 1, 1, 1], w=np.ones((3, 4), int))[0].tolist() == [[4, 4, 4]]
    assert w.value[2, 3] == 11


def test_an_input_may_have_a_value_already():
    x, _, y = network()
    x.set_value([1, 0, 0, 0])
    assert ng.eval([y])[0].tolist() == [[0, 4, 8]]
    assert ng.eval([y], x=[0, 1, 0, 0])[0].tolist() == [[1, 5, 9]]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"placeholder 'x' must be given a value: ng\.eval\(\.\.\., x=array\)"),
        ({"x": [[1, 2]]}, r"value of placeholder 'x' must have shape \(1, 4\), not \(1, 2\)"),
        ({"x": [[1, 2, 3, 128]]}, r"value of placeholder 'x' must fit int8, not be 1\.\.128"),
        ({"x": [[1, 2, 3, 0.5]]}, "value of placeholder 'x' must be integers, not real numbers"),
        ({"x": [["1", "2", "3", "4"]]}, "value of placeholder 'x' must be integers, not <U1"),
    ],
)
def test_impossible_inputs(inputs, message):
    with pytest.raises(DataError, match=message):
        ng.eval([network()[2]], **inputs)


def test_variables_need_a_value():
    y = ng.add(ng.variable(ng.int8, (2,), name="v"), ng.constant([1, 2], ng.int8))
    with pytest.raises(DataError, match="variable 'v' must have a value: set_value, or v=array"):
        ng.eval([y])
    assert ng.eval([y], v=[1, 1])[0].tolist() == [2, 3]


@pytest.mark.parametrize("objs", [[], None, [3], ["x"], {}])
def test_outputs_must_be_tensors(objs):
    with pytest.raises(ValueError, match=r"outputs must be tensors of gatewright\.ng, not"):
        ng.eval(objs)


def test_the_graph_keeps_names_and_hints():
    x, w, y = network()
    y.attribute(par_ich=2, par_och=4)
    z = ng.relu(y, par=4)
    found = lower([z], "mine")
    assert found.graph.name == "mine"
    assert [value.name for value in found.graph.inputs] == ["x"]
    assert np.array_equal(found.graph.constant("w").array, w.value)
    assert found.values[x.object_id] == "x"
    assert found.hints == {"y.sum": y.asked, "y": {"par_ich": 2, "par_och": 4}, "relu0": {"par": 4}}
    port = ir.Port.plain("relu0", ir.TensorType((1, 3), ir.I16))
    assert found.graph.output_ports[0] == replace(port, row_alignment=4)  # 8 bytes: more than the least bus aligns


def test_unnamed_records_are_numbered_within_the_graph():
    graphs = []
    for _ in range(2):
        x = ng.placeholder(ng.int8, (2,))
        graphs.append(str(lower([ng.add(ng.relu(x), ng.relu(x))], "n").graph))
    assert graphs[0] == graphs[1]
    assert "add0 = add(relu0, relu1" in graphs[0]


def test_a_deep_network_is_no_problem():
    x = y = ng.placeholder(ng.int16, (2,), name="x")
    one = ng.constant([1], ng.int16)
    for _ in range(3000):
        y = ng.add(y, one)
    assert ng.eval([y], x=[0, 5])[0].tolist() == [3000, 3005]
    assert y.args[0] is not x


class TestAccumulators:
    """Sums are as wide as they need to be."""

    def layer(self, terms, dtype=ng.int16, **arguments):
        x, w = ng.placeholder(dtype, (1, terms), name="x"), ng.variable(dtype, (1, terms), name="w")
        w.set_value(np.full((1, terms), dtype.integer.min))
        return ng.matmul(x, w, transposed_b=True, dtype=ng.int8, name="layer", **arguments)

    @pytest.mark.parametrize(("terms", "width"), [(1, 32), (2, 33), (3, 33), (4, 34), (1000, 41)])
    def test_width(self, terms, width):
        graph = lower([self.layer(terms)], "n").graph
        assert graph.nodes[0].type.dtype == ir.IntType(width)

    def test_a_shift_before_the_bias_is_as_narrow_as_its_sums(self):
        graph = lower([self.layer(1000, rshift_sum=3)], "n").graph
        assert [node.type.dtype.width for node in graph.nodes] == [41, 38, 8]

    def test_sums_beyond_64_bits_are_refused(self):
        with pytest.raises(ValueError, match=r"matmul 'layer': sums of -?\d+\.\.\d+ must fit 64 bits"):
            lower([self.layer(4, ng.int32)], "n")

    def test_a_declared_sum_must_hold_it(self):
        lower([self.layer(3, sum_dtype=ng.int64)], "n")
        message = r"matmul 'layer': sum_dtype must hold sums of -3221127168\.\.3221225472, not be int32 \(left out,"
        with pytest.raises(ValueError, match=message):
            lower([self.layer(3, sum_dtype=ng.int32)], "n")

    def test_a_declared_product_must_hold_it(self):
        lower([self.layer(3, mul_dtype=ng.int32)], "n")
        with pytest.raises(ValueError, match=r"matmul 'layer': mul_dtype must hold products of .*, not be int16"):
            lower([self.layer(3, mul_dtype=ng.int16)], "n")

    def test_bounds_before_a_layer_count(self):
        x, w = ng.placeholder(ng.int16, (1, 4), name="x"), ng.variable(ng.int16, (1, 4), name="w")
        w.set_value(np.full((1, 4), -32768))
        narrow = ng.matmul(ng.relu6(x), w, transposed_b=True, dtype=ng.int8, sum_dtype=ng.int32)
        assert lower([narrow], "n").graph.nodes[1].type.dtype == ir.I32
