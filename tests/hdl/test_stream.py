# amaranth: UnusedElaboratable=no
"""A queue between streams: nothing lost, nothing reordered, an item a cycle, one cycle of latency."""

import random

import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from gatewright.hdl import StreamQueue
from gatewright.sim import Model, StreamBench


@pytest.fixture(scope="module", params=[2, 13])
def bench(request):
    return StreamBench(StreamQueue(signed(9), request.param))


def items(count):
    draw = random.Random(count)
    return [draw.randrange(-256, 256) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_keeps_items_in_order_under_stalls(bench, seed):
    assert bench.run({"i": items(500)}, {"o": 500}, seed=seed).outputs["o"] == items(500)


def test_passes_an_item_a_cycle(bench):
    assert bench.run({"i": items(500)}, {"o": 500}, stall_probability=0).cycles == 500 + 1


def test_holds_its_depth():
    with Model.of(StreamQueue(8, 13)) as model:
        model.set("i_valid", 1)
        model.tick(100)
        assert model.get("level") == 13
        assert model.get("i_ready") == 0


def test_ready_is_a_register():
    with Model.of(StreamQueue(8, 2)) as model:
        model.set("i_valid", 1)
        accepted = 0
        for _ in range(5):
            before = model.get("i_ready")
            accepted += before
            model.set("o_ready", 1)
            assert model.get("i_ready") == before
            model.set("o_ready", 0)
            model.tick()
        assert accepted == 2


def test_structures_pass_as_they_are():
    layout = data.StructLayout({"key": 5, "value": signed(70)})
    sent = [{"key": key, "value": -(3**key)} for key in range(20)]
    run = StreamBench(StreamQueue(layout, 3)).run({"i": sent}, {"o": 20})
    received = [layout.from_bits(item) for item in run.outputs["o"]]
    assert [{"key": item.key, "value": item.value} for item in received] == sent


def test_depth_must_be_two_or_more():
    with pytest.raises(ValueError, match="Depth of a queue must be at least 2, not 1"):
        StreamQueue(8, 1)
