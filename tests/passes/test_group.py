"""Layers: what fuses, what does not, and what it costs."""

import numpy as np
import pytest

from gatewright import ir, passes
from gatewright.passes import FusionRules


class Net:
    """A graph of i8[1,8,8,4] images with a word for each usual piece."""

    def __init__(self):
        self.b = ir.Builder("net")
        self.x = self.b.input("x", ir.TensorType((1, 8, 8, 4), ir.I8))
        self.table = self.b.constant(np.arange(-128, 128), ir.I8, "table")

    def conv(self, x, name):
        w = self.b.constant(np.ones((4, 3, 3, 4), int), ir.I8, f"{name}.w")
        return self.b.add(ir.Conv2d(pads=(1, 1, 1, 1)), x, w, name=name)

    def requantise(self, x, name):
        mul, shift = self.b.constant([1], ir.U32), self.b.constant([8], ir.U8)
        return self.b.add(ir.Requantise(0, -128, 127, ir.Rounding.HALF_UP, ir.I8), x, mul, shift, name=name)

    def conv_q(self, x, name):
        return self.requantise(self.conv(x, name), f"{name}.q")

    def add(self, a, b, name):
        return self.b.add(ir.Add(1, 1, 0, 0, 0, 0, -128, 127, ir.Rounding.FLOOR, ir.I8), a, b, name=name)

    def lut(self, x, name):
        return self.b.add(ir.Lut(ir.I8), x, self.table, name=name)

    def pool(self, x, name, kernel=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0)):
        return self.b.add(ir.MaxPool(kernel, strides, pads), x, name=name)

    def layers(self, *outputs, fuse=FusionRules()):  # noqa: B008 - frozen data
        for output in outputs:
            self.b.output(output)
        self.graph = self.b.build()
        found = passes.group(self.graph, fuse)
        return [f"{layer.kind}: {' '.join(node.name for node in layer.nodes)}" for layer in found]


def test_whole_tail_fuses():
    net = Net()
    residual = net.pool(net.x, "before", (1, 1), (1, 1))
    y = net.pool(net.lut(net.add(net.conv_q(net.x, "conv"), residual, "add"), "lut"), "pool", (3, 2), (3, 2))
    assert net.layers(y) == ["pool: before", "mac: conv conv.q add lut pool"]
    layer = passes.group(net.graph, FusionRules())[1]
    assert (layer.name, layer.inputs, layer.output) == ("conv", ("x", "before"), "pool")
    assert layer.macs == 8 * 8 * 4 * 9 * 4
    assert layer.find(ir.Add).name == "add"
    assert layer.find(ir.Clip) is None


@pytest.mark.parametrize(
    ("fuse", "expected"),
    [
        (FusionRules(max_pool=False), ["mac: conv conv.q add lut", "pool: pool"]),
        (FusionRules(lut=False), ["mac: conv conv.q add", "elementwise: lut", "pool: pool"]),
        (FusionRules(add=False), ["mac: conv conv.q", "elementwise: add", "elementwise: lut", "pool: pool"]),
    ],
)
def test_rules_limit_the_tail(fuse, expected):
    net = Net()
    y = net.pool(net.lut(net.add(net.conv_q(net.x, "conv"), net.x, "add"), "lut"), "pool")
    assert net.layers(y, fuse=fuse) == expected


def test_addition_joins_the_chain_that_comes_last():
    net = Net()
    a, b = net.conv_q(net.x, "a"), net.conv_q(net.x, "b")
    assert net.layers(net.add(a, b, "add")) == ["mac: a a.q", "mac: b b.q add"]


def test_addition_of_a_value_to_itself_stays_alone():
    net = Net()
    a = net.conv_q(net.x, "a")
    assert net.layers(net.add(a, a, "add")) == ["mac: a a.q", "elementwise: add"]


def test_values_with_other_readers_end_the_chain():
    net = Net()
    acc = net.conv(net.x, "conv")
    q = net.requantise(acc, "q")
    pool = net.pool(q, "pool")
    assert net.layers(acc, q, pool) == ["mac: conv", "elementwise: q", "pool: pool"]


@pytest.mark.parametrize(
    "window", [((3, 3), (2, 2), (0, 0, 0, 0)), ((2, 2), (2, 2), (0, 0, 1, 1)), ((2, 2), (1, 1), (0, 0, 0, 0))]
)
def test_pools_with_overlap_or_padding_stay_alone_with_their_table(window):
    net = Net()
    assert net.layers(net.lut(net.pool(net.conv_q(net.x, "conv"), "pool", *window), "lut")) == [
        "mac: conv conv.q",
        "pool: pool lut",
    ]


def test_moves_and_views():
    net = Net()
    q = net.conv_q(net.x, "conv")
    moved = net.b.add(ir.Concat(3), q, net.b.add(ir.Transpose((0, 2, 1, 3)), net.x, name="turned"), name="joined")
    flat = net.b.add(ir.Reshape((1, 64, 8)), moved, name="flat")
    w = net.b.constant(np.ones((10, 512), int), ir.I8, "w")
    y = net.b.add(ir.MatMul(), net.b.add(ir.Reshape((1, 512)), flat, name="flatter"), w, name="dense")
    assert net.layers(y) == ["mac: conv conv.q", "move: turned", "move: joined", "mac: dense"]
    assert passes.aliases(net.graph) == {"flat": "joined", "flatter": "joined"}
    dense = passes.group(net.graph, FusionRules())[-1]
    assert (dense.inputs, dense.macs) == (("flatter",), 5120)


def test_products_of_activations_read_both():
    b = ir.Builder("g")
    x, y = b.input("x", ir.TensorType((2, 4), ir.I8)), b.input("y", ir.TensorType((3, 4), ir.I8))
    b.output(b.add(ir.MatMul(), x, y))
    (layer,) = passes.group(b.build(), FusionRules())
    assert layer.inputs == ("x", "y")


@pytest.mark.parametrize(
    ("main", "result", "title"), [("conv", "relu", "conv"), ("y.sum", "y", "y"), ("a.1", "b", "a.1")]
)
def test_people_know_a_layer_by_its_main_node(main, result, title):
    net = Net()
    net.layers(net.pool(net.requantise(net.conv(net.x, main), result), "pool"))
    (layer,) = passes.group(net.graph, FusionRules())
    assert layer.title == title


def test_pool_behind_a_product_stays_alone():
    """The pixels of a product stand in one column, whatever image they are of."""
    net = Net()
    weights = net.b.constant(np.ones((4, 4), int), ir.I8, "w")
    product = net.requantise(net.b.add(ir.MatMul(), net.x, weights, name="product"), "product.q")
    assert net.layers(net.pool(product, "pool")) == ["mac: product product.q", "pool: pool"]
