"""When a `compute` may follow the ones before it, and from when on the post unit works with its settings."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.hdl.pipeline import delayed
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.timing import drain_delay
from gatewright.targets.bitfusion.hdl.state import POST_LAYOUT, STATE_LAYOUT
from gatewright.targets.bitfusion.timing import MOST_UNDER_WAY, written_cycles

__all__ = ["Succession"]


class Succession(wiring.Component):
    """Tiles under way, and settings that wait for their first results: the rules of `bitfusion.timing`.

    `fenced`, `under_way` and `changed` tell of the `compute` that would start next, as the decoder has them; `state` is
    that of the one that started last, and `settings` what the post unit works with.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        super().__init__(
            {
                "fenced": In(1),
                "under_way": In(range(MOST_UNDER_WAY + 1)),
                "changed": In(1),
                "nothing": In(1),  # no `compute` is under way
                "may_follow": Out(1),
                "start": In(1),
                "tile_end": In(1),
                "state": In(STATE_LAYOUT),
                "opening": Out(1),  # the next tile is the first one with new settings
                "settings": Out(POST_LAYOUT),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        written = written_cycles(self.config)
        tiles = Signal(range(written + 2))
        ended = delayed(m, self.tile_end, written, "ended", keep_reset=True)
        m.d.sync += tiles.eq(tiles + self.tile_end - ended)

        waiting, opening, settings = Signal(), Signal(), Signal(POST_LAYOUT, reset_less=True)
        opens = self.fenced | self.changed
        arrives = delayed(m, self.tile_end & opening, drain_delay(self.config) - 1, "arrives", keep_reset=True)
        with m.If(self.tile_end):
            m.d.sync += opening.eq(0)
        with m.If(arrives):
            m.d.sync += waiting.eq(0)
            m.d.sync += (settings[name].eq(self.state[name]) for name, _ in POST_LAYOUT)
        with m.If(self.start & opens):
            m.d.sync += [opening.eq(1), waiting.eq(1)]
        m.d.comb += [
            self.may_follow.eq((~self.fenced | self.nothing | (tiles <= self.under_way)) & ~(opens & waiting)),
            self.opening.eq(opening),
            self.settings.eq(settings),
        ]
        return m
