# amaranth: UnusedElaboratable=no
"""Stream components: nothing lost, nothing reordered, an item a cycle, the stated latency."""

import random

import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from gatewright.hdl.stream import DeepQueue, PipelineRegister, SkidBuffer
from gatewright.sim import Model, StreamBench

COMPONENTS = {
    "PipelineRegister": lambda: PipelineRegister(signed(9)),
    "SkidBuffer": lambda: SkidBuffer(signed(9)),
    "DeepQueue": lambda: DeepQueue(signed(9), 13),
}


@pytest.fixture(scope="module", params=COMPONENTS)
def component(request):
    return COMPONENTS[request.param]()


@pytest.fixture(scope="module")
def bench(component):
    return StreamBench(component)


def items(count):
    draw = random.Random(count)
    return [draw.randrange(-256, 256) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_keeps_items_in_order_under_stalls(bench, seed):
    assert bench.run({"i": items(500)}, {"o": 500}, seed=seed).outputs["o"] == items(500)


def test_passes_an_item_a_cycle(component, bench):
    run = bench.run({"i": items(500)}, {"o": 500}, stall_probability=0)
    assert run.cycles == 500 + component.latency


def test_skid_buffer_holds_two_and_its_ready_is_a_register():
    with Model.of(SkidBuffer(8)) as model:
        model.set("i_valid", 1)
        accepted = 0
        for _ in range(5):
            accepted += model.get("i_ready")
            before = model.get("i_ready")
            model.set("o_ready", 1)
            assert model.get("i_ready") == before
            model.set("o_ready", 0)
            model.tick()
        assert accepted == 2


def test_deep_queue_holds_its_depth():
    with Model.of(DeepQueue(8, 13)) as model:
        model.set("i_valid", 1)
        model.tick(100)
        assert model.get("level") == 13


def test_structures_pass_as_they_are():
    layout = data.StructLayout({"key": 5, "value": signed(70)})
    sent = [{"key": key, "value": -(3**key)} for key in range(20)]
    run = StreamBench(SkidBuffer(layout)).run({"i": sent}, {"o": 20})
    received = [layout.from_bits(item) for item in run.outputs["o"]]
    assert [{"key": item.key, "value": item.value} for item in received] == sent


def test_depth_must_be_two_or_more():
    with pytest.raises(ValueError, match="Depth of a queue must be at least 2, not 1"):
        DeepQueue(8, 1)
