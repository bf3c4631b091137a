"""The figures that ours stand beside are those its formula gives, for the network that we measure."""

import numpy as np
import pytest

from gatewright import ir
from networks import vgg8
from scale_sim import PUBLISHED, VGG8, Product, ideal_cycles, scale_sim_cycles


@pytest.mark.parametrize(("side", "total", "ideal"), [(8, 2_781_876, 2_743_552), (16, 740_646, 719_744)])
def test_published_figures_follow_the_formula(side, total, ideal):
    assert tuple(scale_sim_cycles(layer, side) for layer in VGG8.values()) == PUBLISHED[side]
    assert sum(PUBLISHED[side]) == total
    assert sum(ideal_cycles(layer, side) for layer in VGG8.values()) == ideal


def test_the_network_has_these_products():
    graph = vgg8()
    found = {node.name: product(graph, node) for node in graph.nodes if isinstance(node.op, ir.Conv2d | ir.MatMul)}
    assert found == VGG8
    assert sum(one.pixels * one.taps * one.filters for one in found.values()) == 168_002_816


def product(graph: ir.Graph, node: ir.Node) -> Product:
    weights = graph.type_of(node.inputs[1])
    filters = weights.shape[0]
    return Product(node.type.size // filters, weights.size // filters, filters)


def test_the_network_has_as_many_weights_as_the_published_one():
    graph = vgg8()
    assert sum(graph.type_of(node.inputs[1]).size for node in graph.nodes if node.name in VGG8) == 3_333_056


def test_what_the_network_computes_shows_in_its_outputs():
    graph = vgg8()
    random = np.random.default_rng(0)
    images = [random.integers(-128, 128, (1, 32, 32, 3)).astype(np.int8) for _ in range(2)]
    first, second = (next(iter(graph.evaluate(image).values())).ravel() for image in images)
    assert len(set(first)) >= 8
    assert np.count_nonzero(first != second) >= 8
