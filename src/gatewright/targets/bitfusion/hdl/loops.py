"""A nest of loops over points in an image, as `loop` and `gen-addr` describe it."""

from collections.abc import Sequence

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LoopNest"]


class LoopNest(wiring.Component):
    """The point `y0 + Σ i·dy`, `x0 + Σ i·dx` over iterators i of loops of `count` turns (at least 1), 0 innermost.

    `advance` goes to the next point, after the last one to the first; `restart` goes to the first and takes precedence.
    `first` and `last` tell that the point is the first or last one, `last_turn` which loops are in
    their last turn. Each loop keeps the point its turn began at, so
    that no product is needed, and strides are what the instructions say.
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
                "last_turn": Out(levels),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        first = Signal(reset_less=True)
        left = [Signal(width, name=f"left{level}", reset_less=True) for level, width in enumerate(self.count_widths)]
        points = [
            (
                Signal.like(self.y, name=f"y{level}", reset_less=True),
                Signal.like(self.x, name=f"x{level}", reset_less=True),
            )
            for level in range(len(left))
        ]
        m.d.comb += [
            self.y.eq(points[0][0]),
            self.x.eq(points[0][1]),
            self.first.eq(first),
            self.last.eq(Cat(*left) == 0),
            self.last_turn.eq(Cat(turns == 0 for turns in left)),
        ]
        again = self.restart | self.last
        moves = self.restart | self.advance
        y, x = Signal.like(self.y), Signal.like(self.x)  # the next point
        for level, turns in enumerate(left):
            inside_done = Cat(*left[:level]) == 0
            turn = self.restart | (self.advance & inside_done)
            with m.If(turn):
                m.d.sync += turns.eq(Mux(again | (turns == 0), getattr(self, f"count{level}") - 1, turns - 1))
            # a loop's own turn begins where it or a loop around it advances
            with m.If(turn):
                m.d.sync += [points[level][0].eq(y), points[level][1].eq(x)]
        # The innermost loop with turns left comes last, so that it decides.
        for level in reversed(range(len(left))):
            with m.If(left[level] != 0):
                m.d.comb += [
                    y.eq(points[level][0] + self.dy[level]),
                    x.eq(points[level][1] + self.dx[level]),
                ]
        with m.If(again):
            m.d.comb += [y.eq(self.y0), x.eq(self.x0)]
        with m.If(moves):
            m.d.sync += first.eq(again)
        return m
