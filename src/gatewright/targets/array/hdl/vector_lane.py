"""One lane of the vector unit: from two elements a cycle to a result."""

from amaranth.hdl import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.pipeline import delayed
from gatewright.hdl.requantise import ShiftRoundClip, conversion_layout
from gatewright.hdl.scratchpad import READ_LATENCY, WordScratchpad
from gatewright.ir import numerics
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.hdl.post import TABLE_BYTES, TableWrite
from gatewright.targets.array.isa import parameter_layout
from gatewright.targets.array.isa_vector import VECTOR_LANES

__all__ = ["ACCUMULATE", "INDEX_WIDTH", "VectorLane", "lane_settings"]

INDEX_WIDTH = 20
"""Bits of the number of a tap, in a search for the largest."""

ACCUMULATE = data.StructLayout({"valid": 1, "first": 1, "index": INDEX_WIDTH})
"""What a lane does with the products that arrive: nothing, start a sum, add to it; `index` is the number of the tap."""


def lane_settings(config: ArrayConfig) -> data.StructLayout:
    """What all lanes share, each part in the cycle that needs it."""
    zero = signed(8 * config.vector_operand_bytes + 1)
    return data.StructLayout(
        {
            "a_zero": zero,
            "b_zero": zero,
            "factor": VECTOR_LANES["mul_a"].shape,  # of a, where that is not b
            "by_factor": 1,
            "mul_b": VECTOR_LANES["mul_b"].shape,  # 0: nothing is added to the product
            "product_shift": 6,
            "maximum": 1,
            "index": 1,  # the result is the place of the maximum
            "per_channel": 1,
            "bias": signed(config.vector_sum_width),
            "mul": config.vector_multiplier_width,
            "shift": 6,
            "by_b": 1,  # b is the shift
            "negative_shift": 6,
            "leaky": 1,
            "conversion": conversion_layout(8 * config.vector_result_bytes),
            "read_table": 1,
            "table": 1,
        }
    )


class VectorLane(wiring.Component):
    """A lane: elements in, a result `vector_latency` - `OPERAND_LATENCY` cycles after those of the last tap out.

    `accumulate` comes with the product, `parameter` with the sum.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        element = signed(8 * config.vector_operand_bytes)
        super().__init__(
            {
                "settings": In(lane_settings(config)),
                "a": In(element),
                "b": In(element),
                "accumulate": In(ACCUMULATE),
                "parameter": In(parameter_layout(config.bias_width)),
                "table": In(TableWrite(config)),
                "result": Out(8 * config.vector_result_bytes),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        total, amount = self._accumulate(m)
        sum, mul, shift = self._scale(m, total, amount)
        value = self._convert(m, sum, mul, shift)
        m.d.comb += self.result.eq(self._look_up(m, value) if self.config.vector_table else value)
        return m

    def _operands(self, m: Module) -> tuple[Value, Value, Value]:
        """Differences of a and b to their zero points, and what a is multiplied by."""
        config, settings = self.config, self.settings
        one = Const(1, signed(2))
        a = delayed(m, delayed(m, self.a, 1, "a") - settings.a_zero, 1, "difference_a")
        factor = settings.factor if config.vector_affine else one
        if not config.vector_operand:
            return (
                a,
                one,
                delayed(m, Mux(settings.by_factor, factor, one), 1, "factor") if config.vector_affine else one,
            )
        b = delayed(m, self.b, 1, "b") - settings.b_zero
        factor = delayed(m, Mux(settings.by_factor, factor, b), 1, "factor")
        return a, delayed(m, b, 1, "difference_b"), factor

    def _accumulate(self, m: Module) -> tuple[Value, Value]:
        """Sum, maximum or last, and b as an amount to shift by.

        Product and sum without a shift between them, and no more than 48 bits, are the registers of one DSP.
        """
        config, settings, accumulate = self.config, self.settings, self.accumulate
        a, b, factor = self._operands(m)
        late = 2 * config.vector_product_shift
        product = delayed(m, a * factor, 1, "product")
        other = delayed(m, settings.mul_b * b, 1 + late, "other") if config.vector_affine else Const(0, 1)
        sum = Signal(signed(max(config.vector_sum_width, len(a))), reset_less=True)
        start = Signal()
        keep = Signal()
        m.d.comb += start.eq(accumulate.first)
        total = sum
        if config.vector_maximum:
            index = Signal(INDEX_WIDTH, reset_less=True)
            larger = delayed(m, a, 1 + late, "candidate") > sum[: len(a)].as_signed()
            m.d.comb += [
                start.eq(accumulate.first | (settings.maximum & larger)),
                keep.eq(settings.maximum & ~start),
            ]
            with m.If(accumulate.valid & start):
                m.d.sync += index.eq(accumulate.index)
            total = Mux(delayed(m, settings.index, 1, "index_of_sum"), index, sum)
        before = Mux(start, other, sum)
        added = self._add_shifted(m, product, before) if config.vector_product_shift else product + before
        with m.If(accumulate.valid & ~keep):
            m.d.sync += sum.eq(added)
        return total, self._amount(m, b, 2 + late)

    def _add_shifted(self, m: Module, product: Value, before: Value) -> Value:
        """The product, shifted and rounded, plus `before`: the half comes in as a carry."""
        doubled = Signal(signed(len(product) + 1))
        shifted = Signal.like(doubled, reset_less=True)
        m.d.comb += doubled.eq(delayed(m, product, 1, "product_again") << 1)
        m.d.sync += shifted.eq(doubled >> self.settings.product_shift)
        return (shifted + Cat(Const(1, 1), before).as_signed())[1:]

    def _amount(self, m: Module, b: Value, late: int) -> Value:
        """b within 0..63, as late as the sum."""
        amount = Signal(6)
        if not self.config.vector_shift:
            return amount
        with m.If(b > numerics.MAX_SHIFT):
            m.d.comb += amount.eq(numerics.MAX_SHIFT)
        with m.Elif(b > 0):
            m.d.comb += amount.eq(b)
        return delayed(m, amount, late, "amount")

    def _scale(self, m: Module, total: Value, amount: Value) -> tuple[Value, Value, Value]:
        """Sum with bias, and the factor and shift for it."""
        config, settings, parameter = self.config, self.settings, self.parameter
        sum = Signal(signed(config.vector_sum_width), name="biased", reset_less=True)
        m.d.sync += sum.eq(total + Mux(settings.per_channel, parameter.bias, settings.bias))

        per_channel = delayed(m, settings.per_channel, 1, "per_channel")
        negative = sum[-1]
        as_it_is = settings.leaky & ~negative
        mul = Signal(config.vector_multiplier_width, reset_less=True)
        channel_mul = delayed(m, parameter.mul[: len(mul)], 1, "channel_mul")
        usual = Mux(per_channel, delayed(m, parameter.shift[:6], 1, "channel_shift"), settings.shift)
        if config.vector_shift:
            usual = Mux(settings.by_b, delayed(m, amount, 1, "amount_of_biased"), usual)
        shift = Signal(7)
        m.d.comb += shift.eq(usual + Mux(negative, settings.negative_shift, 0))
        right = Signal(6, reset_less=True)
        m.d.sync += [
            mul.eq(Mux(as_it_is, 1, Mux(per_channel, channel_mul, settings.mul))),
            right.eq(Mux(as_it_is, 0, shift[:6] | shift[6].replicate(6))),
        ]
        return delayed(m, sum, 1, "biased_again"), mul, right

    def _convert(self, m: Module, sum: Value, mul: Value, shift: Value) -> Value:
        config = self.config
        product = Signal(signed(len(sum) + len(mul)), name="scaled", reset_less=True)
        m.d.sync += product.eq(sum * mul)
        m.submodules.convert = tail = ShiftRoundClip(len(product), 8 * config.vector_result_bytes)
        m.d.comb += [
            tail.value.eq(delayed(m, product, 1, "scaled_again")),
            tail.shift.eq(delayed(m, shift, 2, "shift")),
            tail.conversion.eq(self.settings.conversion),
        ]
        return tail.result[: len(self.result)]

    def _look_up(self, m: Module, value: Value) -> Value:
        m.submodules.table = table = WordScratchpad(TABLE_BYTES, 1, self.config.bus_bytes)
        m.d.comb += [
            table.read_enable.eq(self.settings.read_table),
            table.read_address.eq(value[:8] ^ 0x80),  # value + 128
            table.write_enable.eq(self.table.enable),
            table.write_address.eq(self.table.row),
            table.write_data.eq(self.table.data),
            table.write_mask.eq(self.table.mask),
        ]
        past = delayed(m, value, READ_LATENCY, "past_table")
        return Mux(self.settings.table, table.read_data.as_signed(), past)
