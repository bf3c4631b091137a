"""Any graph: passes preserve evaluation, text round trips, ranges hold, layers cover."""

import numpy as np
import pytest

from gatewright import ir, passes

SEEDS = range(40)


@pytest.mark.parametrize("step", [*dict.fromkeys(passes.PASSES), passes.remove_dead, passes.to_signed])
def test_each_pass_preserves_evaluation(step, random_graph, expect_same_results):
    for seed in SEEDS:
        graph = random_graph(seed)
        expect_same_results(graph, ir.verify(step(graph)), seed)


@pytest.mark.parametrize("seed", range(100, 160))
def test_all_passes_together_preserve_evaluation(seed, random_graph, expect_same_results):
    graph = random_graph(seed)
    result = passes.run_passes(graph, (*passes.PASSES, passes.to_signed))
    expect_same_results(graph, result, seed)
    assert len(result.nodes) <= len(graph.nodes)


def test_text_round_trips(random_graph, tmp_path):
    for seed in SEEDS:
        graph = random_graph(seed)
        ir.save(graph, tmp_path)
        assert ir.load(tmp_path) == graph


def test_values_lie_within_their_ranges(random_graph):
    for seed in SEEDS:
        graph = random_graph(seed)
        random = np.random.default_rng(seed)
        types = [value.type for value in graph.inputs]
        inputs = [random.integers(type.dtype.min, type.dtype.max + 1, type.shape) for type in types]
        for name, value in graph.evaluate(*inputs, keep=True).items():
            low, high = ir.value_range(graph, name)
            assert low <= value.min()
            assert value.max() <= high


def test_layers_cover_every_node_once_and_in_order(random_graph):
    for seed in SEEDS:
        graph = random_graph(seed)
        layers = passes.group(graph, passes.FusionRules())
        covered = [node.name for layer in layers for node in layer.nodes]
        views = passes.aliases(graph)
        assert sorted([*covered, *views]) == sorted(node.name for node in graph.nodes)
        ready = {value.name for value in graph.inputs} | {constant.name for constant in graph.constants}
        for layer in layers:
            assert {views.get(name, name) for name in layer.inputs} <= ready, layer.name
            ready.add(layer.output)
        assert {views.get(name, name) for name in graph.outputs} <= ready
