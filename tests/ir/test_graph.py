"""Building, verifying, evaluating."""

from dataclasses import replace

import numpy as np
import pytest

from gatewright import ir


def small_graph():
    b = ir.Builder("small")
    x = b.input("x", ir.TensorType((1, 2), ir.I8))
    w = b.constant([[1, 2], [3, -4]], ir.I8, "w")
    acc = b.add(ir.MatMul(), x, w, name="acc")
    parameters = b.constant([1], ir.U32, "mul"), b.constant([1], ir.U8, "shift")
    y = b.add(ir.Requantise(0, -128, 127, ir.Rounding.HALF_UP, ir.I8), acc, *parameters, name="y")
    b.output(y)
    return b.build()


def test_evaluate_returns_outputs_or_everything():
    graph = small_graph()
    assert {name: y.tolist() for name, y in graph.evaluate([[10, 5]]).items()} == {"y": [[10, 5]]}
    assert list(graph.evaluate({"x": np.array([[10, 5]])}, keep=True)) == ["x", "acc", "y"]


def test_outputs_may_be_inputs_or_constants():
    b = ir.Builder("direct")
    b.output(b.input("x", ir.TensorType((1,), ir.I8)))
    b.output(b.constant([3], ir.I8, "c"))
    assert {name: y.tolist() for name, y in b.build().evaluate([7]).items()} == {"x": [7], "c": [3]}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], r"graph 'small' must be given arrays for \['x'\], not 0 arrays"),
        ([{"z": [[1, 2]]}], r"must be given arrays for \['x'\], not arrays for \['z'\]"),
        ([[[1.0, 2.0]]], r"input 'x' must be integers of type i8\[1,2\], not float64 of shape \[1, 2\]"),
        ([[1, 2]], r"input 'x' must be integers of type i8\[1,2\], not int64 of shape \[2\]"),
        ([[[1, 200]]], r"input 'x' must fit i8\[1,2\], not 1\.\.200"),
    ],
)
def test_wrong_inputs_are_refused(arrays, message):
    with pytest.raises(ir.DataError, match=message):
        small_graph().evaluate(*arrays)


def test_queries():
    graph = small_graph()
    assert str(graph.type_of("acc")) == "i32[1,2]"
    assert [node.name for node in graph.consumers("acc")] == ["y"]
    assert graph.producer("x") is None
    assert graph.is_constant("w")
    assert graph.node("y").inputs == ("acc", "mul", "shift")
    with pytest.raises(ir.GraphError, match="name must be a node of the graph, not 'x'"):
        graph.node("x")


def test_names_are_cleaned_and_made_unique():
    b = ir.Builder("names")
    x = b.input("a/b:0", ir.TensorType((1,), ir.I8))
    assert x == "a_b_0"
    assert b.constant([1], ir.I8, "a/b/0") == "a_b_0.1"
    assert b.add(ir.Clip(0, 1), x, name="") == "clip"
    assert b.add(ir.Clip(0, 1), x) == "clip.1"


def test_builder_errors_name_operator_node_and_types():
    b = ir.Builder("errors")
    x, w = b.input("x", ir.TensorType((1, 8, 8, 3), ir.U8)), b.constant(np.zeros((4, 3, 3, 4), int), ir.I8)
    message = r"conv2d 'conv1' \(u8\[1,8,8,3\], i8\[4,3,3,4\]\): w must have 3 / 1 channels, not i8\[4,3,3,4\]"
    with pytest.raises(ir.GraphError, match=message):
        b.add(ir.Conv2d(), x, w, name="conv1")
    with pytest.raises(ir.GraphError, match="clip 'clip': operand must be a value added before, not 'y'"):
        b.add(ir.Clip(0, 1), "y")


def test_constants_hold_integers_of_their_type():
    b = ir.Builder("constants")
    with pytest.raises(ir.GraphError, match=r"constant 'c' must fit i8, not 0\.\.128"):
        b.constant([0, 128], ir.I8, "c")
    with pytest.raises(ir.GraphError, match="constant 'c' must hold integers, not float64"):
        b.constant([0.5], ir.I8, "c")
    array = b.array_of(b.constant([1], ir.I8, "c"))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2


def rename(graph, old, new):
    return tuple(replace(node, name=new) if node.name == old else node for node in graph.nodes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: {"outputs": ()}, "graph 'small' must have at least one output"),
        (lambda g: {"outputs": ("z",)}, "output must be a value of the graph, not 'z'"),
        (lambda g: {"output_ports": ()}, "every output must have a port: 1 outputs, not 0 ports"),
        (
            lambda g: {"input_ports": (ir.Port("x", "int8", (1, 3)),)},
            "input port 'x': type must be .*, not None",
        ),
        (lambda g: {"nodes": g.nodes[::-1]}, "requantise 'y': operand must be defined before it is read, not 'acc'"),
        (lambda g: {"nodes": rename(g, "acc", "x")}, "name of a value must be unique, not 'x' twice"),
        (
            lambda g: {"nodes": rename(g, "acc", "a/b")},
            "name of a value must be letters, digits, .* not 'a/b'",
        ),
        (
            lambda g: {"nodes": (replace(g.nodes[0], type=g.nodes[1].type), g.nodes[1])},
            r"matmul 'acc': type must be i32\[1,2\], not i8\[1,2\]",
        ),
        (
            lambda g: {"constants": (*g.constants[:2], ir.Constant.of("shift", [64], ir.U8))},
            r"requantise 'y': shift must be 0\.\.63 \(negative_shift added\), not 64\.\.64",
        ),
        (
            lambda g: {"constants": (replace(g.constants[0], array=np.zeros((2, 2))), *g.constants[1:])},
            r"constant 'w' must be stored as i8\[2,2\], not float64",
        ),
    ],
)
def test_verify_names_what_is_wrong(change, message):
    graph = small_graph()
    with pytest.raises(ir.GraphError, match=message):
        ir.verify(replace(graph, **change(graph)))
