"""Biases, multipliers and shifts of a group of lanes: read while its first sums form, there when these are ready."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from gatewright.hdl.core_port import READ_LATENCY
from gatewright.hdl.pipeline import delayed
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.vector_sequencer import parameter_pieces
from gatewright.targets.array.isa import parameter_layout
from gatewright.targets.array.timing_vector import fetch_cycles, sum_latency

__all__ = ["VectorParameters"]


class VectorParameters(wiring.Component):
    """`fetch` comes one cycle after a group's first step; `parameters` change `sum_latency` cycles after that step.

    A group's parameters take `fetch_cycles` reads; the last one comes just in time. `piece` is the place of the first,
    in units of what one read gives.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "fetch": In(1),
                "piece": In(exact_log2(parameter_pieces(config))),
                "read_enable": Out(1),
                "read_address": Out(exact_log2(config.parameter_bytes // config.parameter_word_bytes)),
                "read_data": In(8 * config.parameter_word_bytes),
                "parameters": Out(data.ArrayLayout(parameter_layout(config.bias_width), config.vector_lanes)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        reads = fetch_cycles(self.config)
        delay = sum_latency(self.config) - 1 - READ_LATENCY - reads  # one cycle has gone by
        fetch = delayed(m, self.fetch, delay, "fetch", keep_reset=True)
        first = delayed(m, self.piece, delay, "piece")
        following = Signal.like(first, reset_less=True)
        piece = Signal.like(first, name="piece_now")
        left = Signal(range(reads))
        m.d.comb += [piece.eq(Mux(fetch, first, following)), self.read_enable.eq(fetch | (left != 0))]
        m.d.sync += following.eq(piece + 1)
        with m.If(fetch):
            m.d.sync += left.eq(reads - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        arrived = delayed(m, self.read_enable, READ_LATENCY, "arrived")
        complete = delayed(m, fetch if reads == 1 else left == 1, READ_LATENCY, "complete")

        word = self.read_data
        within = len(piece) - len(self.read_address)
        m.d.comb += self.read_address.eq(piece[within:])
        if within:
            part = delayed(m, piece[:within], READ_LATENCY, "part")
            word = word.word_select(part, len(word) >> within)
        before = Signal(len(word) * (reads - 1), name="words_before", reset_less=True)
        parameters = Signal.like(self.parameters.as_value(), reset_less=True)
        if reads > 1:
            with m.If(arrived):
                m.d.sync += before.eq(Cat(before[len(word) :], word))
        with m.If(complete):
            m.d.sync += parameters.eq(Cat(before, word))
        m.d.comb += self.parameters.as_value().eq(parameters)
        return m
