"""A nest of counted loops that walks over points (y, x)."""

from collections.abc import Sequence

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Nest"]


class Nest(wiring.Component):
    """Loops of `count[i]` turns (at least 1), level 0 innermost, over one point.

    `advance` goes to the next point: the innermost level that has turns left takes one and adds its `dy`, `dx`, and the
    levels inside it start again; after the last point comes the first one. `restart` goes to `y0`, `x0` and takes
    precedence. `first` and `last` tell that the point is the first or last of the nest.
    """

    def __init__(self, count_widths: Sequence[int], y_width: int, x_width: int) -> None:
        self.count_widths = tuple(count_widths)
        levels = len(self.count_widths)
        super().__init__(
            {f"count{level}": In(width) for level, width in enumerate(self.count_widths)}
            | {
                "dy": In(signed(y_width)).array(levels),
                "dx": In(signed(x_width)).array(levels),
                "y0": In(signed(y_width)),
                "x0": In(signed(x_width)),
                "restart": In(1),
                "advance": In(1),
                "y": Out(signed(y_width)),
                "x": Out(signed(x_width)),
                "first": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        y = Signal.like(self.y, reset_less=True)
        x = Signal.like(self.x, reset_less=True)
        first = Signal(reset_less=True)
        left = [Signal(width, name=f"left{level}", reset_less=True) for level, width in enumerate(self.count_widths)]
        m.d.comb += [self.y.eq(y), self.x.eq(x), self.first.eq(first), self.last.eq(Cat(*left) == 0)]
        dy = Signal.like(self.y)
        dx = Signal.like(self.x)
        with m.If(self.restart | self.advance):
            m.d.sync += [first.eq(self.restart | self.last), y.eq(y + dy), x.eq(x + dx)]
        again = self.restart | self.last
        for level, turns in enumerate(left):
            inside_done = Cat(*left[:level]) == 0
            with m.If(self.restart | (self.advance & inside_done)):
                m.d.sync += turns.eq(Mux(again | (turns == 0), getattr(self, f"count{level}") - 1, turns - 1))
        # The innermost level with turns left comes last, so that it decides.
        for level in reversed(range(len(left))):
            with m.If(left[level] != 0):
                m.d.comb += [dy.eq(self.dy[level]), dx.eq(self.dx[level])]
        with m.If(again & (self.restart | self.advance)):
            m.d.sync += [y.eq(self.y0), x.eq(self.x0)]
        return m
