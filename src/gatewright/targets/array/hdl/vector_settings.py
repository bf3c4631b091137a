"""Settings of the vector unit, each in the cycle that needs it.

Results of a COMPUTE are on their way while the next one starts. So each stage has settings of its own, taken from the
configuration when the first step of a COMPUTE is about to reach it.
"""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.instruction import INSTRUCTION_BITS
from gatewright.hdl.pipeline import delayed
from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.fields import fields_of, take
from gatewright.targets.array.hdl.vector_lane import lane_settings
from gatewright.targets.array.isa_vector import VECTOR_LANES, VECTOR_POST, LaneOperation
from gatewright.targets.array.timing_vector import OPERAND_LATENCY, sum_latency, vector_latency

__all__ = ["VectorSettings"]

LANES = fields_of(VECTOR_LANES)
POST = fields_of(VECTOR_POST)


class VectorSettings(wiring.Component):
    """Takes CONFIG_LANES and CONFIG_POST; `begin` comes with the first step of a COMPUTE.

    `operand` and `per_channel` are those of the COMPUTE whose steps are taken, the others those of the COMPUTE that has
    reached the stage where they are used.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "command": In(INSTRUCTION_BITS),
                "set_lanes": In(1),
                "set_post": In(1),
                "begin": In(1),
                "operand": Out(1),
                "per_channel": Out(1),
                "a_wide_early": Out(1),
                "a_wide": Out(1),
                "a_repeat": Out(1),
                "b_wide": Out(1),
                "b_repeat": Out(1),
                "read_b": Out(1),
                "each_tap": Out(1),
                "lanes": Out(lane_settings(config)),
                "out_size": Out(2),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        use = Signal(LANES, reset_less=True)
        post = Signal(POST, reset_less=True)
        with m.If(self.set_lanes):
            m.d.sync += take(use, VECTOR_LANES, self.command)
        with m.If(self.set_post):
            m.d.sync += take(post, VECTOR_POST, self.command)
        m.d.comb += [self.operand.eq(use.operand), self.per_channel.eq(post.per_channel)]
        begins = [self.begin]
        for stage in range(1, vector_latency(self.config)):
            begins.append(delayed(m, begins[-1], 1, f"begin_{stage}"))
        for stage, target, source in self._uses(use, post):
            register = Signal(Shape.cast(target.shape()), name=f"setting_{stage}", reset_less=True)
            with m.If(begins[stage - 1]):
                m.d.sync += register.eq(source)
            m.d.comb += Value.cast(target).eq(register)
        return m

    def _uses(self, use: Value, post: Value) -> list[tuple[int, Value, Value]]:
        """Stages (cycles after a step), what they need, and what that is."""
        config, lanes = self.config, self.lanes
        conversion = lanes.conversion
        operation = use.operation
        affine = operation == LaneOperation.AFFINE
        by_b = operation == LaneOperation.SHIFT
        maximum = (operation == LaneOperation.MAX) | (operation == LaneOperation.ARG_MAX)
        element = OPERAND_LATENCY + 1
        sums = sum_latency(config)
        tail = sums + 4
        uses = [
            (2, self.a_wide_early, use.a_size[0]),
            (OPERAND_LATENCY, self.a_wide, use.a_size[0]),
            (OPERAND_LATENCY, self.a_repeat, use.a_repeat),
            (OPERAND_LATENCY, self.b_wide, use.b_size[0]),
            (OPERAND_LATENCY, self.b_repeat, use.b_repeat),
            (OPERAND_LATENCY, self.read_b, use.operand),
            (element, lanes.a_zero, use.a_zero),
            (element, lanes.b_zero, Mux(use.operand, use.b_zero, -1)),  # 0 - -1: an operand of 1
            (element, lanes.factor, Mux(affine, use.mul_a, 1)),
            (element, lanes.by_factor, affine | by_b | maximum),
            (element + 1, lanes.mul_b, Mux(affine, use.mul_b, 0)),
            (element + 3, lanes.product_shift, Mux(operation == LaneOperation.MULTIPLY_ADD, use.product_shift, 0)),
            (sums - 1, self.each_tap, affine | by_b),
            (sums - 1, lanes.maximum, maximum),
            (sums - 1, lanes.index, operation == LaneOperation.ARG_MAX),
            (sums, lanes.per_channel, post.per_channel),
            (sums, lanes.bias, post.bias),
            (sums + 1, lanes.mul, post.mul),
            (sums + 1, lanes.shift, post.shift),
            (sums + 1, lanes.by_b, by_b),
            (sums + 1, lanes.negative_shift, post.negative_shift),
            (sums + 1, lanes.leaky, post.leaky),
            (tail + 1, conversion.rounding, post.rounding),
            *((tail + 2, conversion[name], post[name]) for name in ("zero", "low", "high")),
            (vector_latency(config), self.out_size, use.out_size),
        ]
        if config.vector_table:
            uses += [(tail + 3, lanes.read_table, post.table), (tail + 3 + READ_LATENCY, lanes.table, post.table)]
        return uses
