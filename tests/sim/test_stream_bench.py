# amaranth: UnusedElaboratable=no
"""The bench of stream components finds what it says it finds."""

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gatewright.errors import MachineFault
from gatewright.hdl import StreamQueue
from gatewright.sim import ProtocolError, StreamBench, run_stream


class Wire(wiring.Component):
    """Passes its input through, with a fault."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def __init__(self, fault):
        self.fault = fault
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        count = Signal(8)
        m.d.sync += count.eq(count + 1)
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        m.d.comb += {
            "none": [],
            "waits for ready": [self.o.valid.eq(self.i.valid & self.o.ready)],
            "payload looks at ready": [self.o.payload.eq(self.i.payload + self.o.ready)],
            "gives up": [self.o.valid.eq(self.i.valid & count[1]), self.i.ready.eq(self.o.ready & count[1])],
            "changes its mind": [self.o.payload.eq(count)],
            "invents": [self.o.valid.eq(1)],
            "swallows": [self.o.valid.eq(self.i.valid & (self.i.payload != 20))],
        }[self.fault]
        return m


def test_faultless_wire_passes():
    assert run_stream(Wire("none"), list(range(100)), expected_count=100) == list(range(100))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("waits for ready", "Stream o: valid depends on ready of the same cycle"),
        ("payload looks at ready", "Stream o: payload depends on ready of the same cycle"),
        ("gives up", "Stream o: valid fell before ready"),
        ("changes its mind", "Stream o: payload changed before ready"),
        ("invents", "Stream o: (payload changed before ready|more than the expected 100 items came out)"),
        ("swallows", "No item moved for a long time: i took 100 of 100; o gave 99 of 100;"),
    ],
)
def test_faults_are_found(fault, message):
    with pytest.raises(MachineFault, match=message) as raised:
        run_stream(Wire(fault), list(range(100)), expected_count=100)
    assert isinstance(raised.value, ProtocolError) == (fault != "swallows")


def test_too_many_items_are_found_after_the_last_expected():
    with pytest.raises(ProtocolError, match="more than the expected 99 items came out"):
        run_stream(StreamQueue(8, 2), list(range(100)), expected_count=99)


def test_seeds_give_different_pauses_and_equal_results():
    bench = StreamBench(StreamQueue(8, 2))
    runs = [bench.run({"i": list(range(100))}, {"o": 100}, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0].outputs == runs[2].outputs
    assert runs[0].cycles != runs[2].cycles


def test_several_streams_signed_payloads_and_constants():
    class Merge(wiring.Component):
        a: In(stream.Signature(signed(8)))
        b: In(stream.Signature(signed(8)))
        o: Out(stream.Signature(signed(10)))
        offset: In(signed(4))

        def elaborate(self, platform):
            m = Module()
            both = self.a.valid & self.b.valid
            m.d.comb += [
                self.o.payload.eq(self.a.payload + self.b.payload + self.offset),
                self.o.valid.eq(both),
                self.a.ready.eq(both & self.o.ready),
                self.b.ready.eq(both & self.o.ready),
            ]
            return m

    a, b = list(range(-50, 50)), [3 * value % 100 - 60 for value in range(100)]
    run = StreamBench(Merge()).run({"a": a, "b": b}, {"o": 100}, seed=5, constants={"offset": -3})
    assert run.outputs["o"] == [x + y - 3 for x, y in zip(a, b, strict=True)]


def test_stream_that_is_always_valid_and_one_that_is_always_ready():
    class Sampler(wiring.Component):
        i: In(stream.Signature(8, always_ready=True))
        o: Out(stream.Signature(8, always_valid=True, always_ready=True))

        def elaborate(self, platform):
            m = Module()
            with m.If(self.i.valid):
                m.d.sync += self.o.payload.eq(self.i.payload)
            return m

    run = StreamBench(Sampler()).run({"i": [7]}, {"o": 50}, stall_probability=0)
    assert run.outputs["o"] == [0] + [7] * 49


def test_item_must_fit():
    with pytest.raises(ValueError, match="Item of a stream must fit 8 bits, not 256"):
        run_stream(StreamQueue(8, 2), [256], expected_count=1)
