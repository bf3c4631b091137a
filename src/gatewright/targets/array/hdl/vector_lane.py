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
        product, half, amount = self._product(m)
        total = self._accumulate(m, product, half)
        sum, mul, shift = self._scale(m, total, amount)
        value = self._convert(m, sum, mul, shift)
        m.d.comb += self.result.eq(self._look_up(m, value) if self.config.vector_table else value)
        return m

    def _product(self, m: Module) -> tuple[Value, Value, Value]:
        """Product, what is to be added to round it, and b as an amount to shift by."""
        config, settings = self.config, self.settings
        a = delayed(m, delayed(m, self.a, 1, "a") - settings.a_zero, 1, "difference_a")
        now = Const(1, signed(2))
        if config.vector_operand:
            now = delayed(m, self.b, 1, "b") - settings.b_zero
        b = delayed(m, now, 1, "difference_b")
        factor = settings.factor if config.vector_affine else Const(1, signed(2))
        product = delayed(m, a * delayed(m, Mux(settings.by_factor, factor, now), 1, "factor"), 2, "product")
        half: Value = Const(0, 1)
        if config.vector_product_shift:
            product, half = self._shift_product(m, product)
        if config.vector_affine:
            other = delayed(m, b * settings.mul_b, 2 + config.vector_product_shift, "other")
            product = delayed(m, product + other, 1, "both")
            half = delayed(m, half, 1, "half_of_both")
        return product, half, self._amount(m, b)

    def _amount(self, m: Module, b: Value) -> Value:
        """b within 0..63, as late as the sum."""
        config = self.config
        amount = Signal(6)
        if not config.vector_shift:
            return amount
        with m.If(b > numerics.MAX_SHIFT):
            m.d.comb += amount.eq(numerics.MAX_SHIFT)
        with m.Elif(b > 0):
            m.d.comb += amount.eq(b)
        return delayed(m, amount, 3 + config.vector_product_shift + config.vector_affine, "amount")

    def _shift_product(self, m: Module, product: Value) -> tuple[Value, Value]:
        doubled = Signal(signed(len(product) + 1))
        shifted = Signal.like(doubled, reset_less=True)
        m.d.comb += doubled.eq(product << 1)
        m.d.sync += shifted.eq(doubled >> self.settings.product_shift)
        return shifted[1:].as_signed(), shifted[0]

    def _accumulate(self, m: Module, product: Value, half: Value) -> Value:
        config, settings, accumulate = self.config, self.settings, self.accumulate
        element = 8 * config.vector_operand_bytes + 2
        sum = Signal(signed(max(config.vector_sum_width, element)), reset_less=True)
        start = Signal()
        keep = Signal()
        m.d.comb += start.eq(accumulate.first)
        total = sum
        if config.vector_maximum:
            index = Signal(INDEX_WIDTH, reset_less=True)
            larger = product[:element].as_signed() > sum[:element].as_signed()
            m.d.comb += [
                start.eq(accumulate.first | (settings.maximum & larger)),
                keep.eq(settings.maximum & ~start),
            ]
            with m.If(accumulate.valid & start):
                m.d.sync += index.eq(accumulate.index)
            total = Mux(delayed(m, settings.index, 1, "index_of_sum"), index, sum)
        before = Mux(start, 0, sum)
        added = product + before
        if config.vector_product_shift:  # the half comes in as a carry
            added = (Cat(half, product).as_signed() + Cat(Const(1, 1), before).as_signed())[1:]
        with m.If(accumulate.valid & ~keep):
            m.d.sync += sum.eq(added)
        return total

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
