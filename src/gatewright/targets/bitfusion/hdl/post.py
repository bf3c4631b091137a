"""The post unit with packed results: lanes are squeezed together on their way to the buffers, and back."""

from amaranth.hdl import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatewright.ir.packing import packed_bytes

__all__ = ["LanePacker", "LaneUnpacker", "lane_distance"]

WIDTHS = (2, 4, 6, 8)


def possible_widths(lanes: int) -> tuple[int, ...]:
    """Widths at which so many lanes fill whole groups."""
    return tuple(width for width in WIDTHS if lanes % {8: 1, 6: 4, 4: 2, 2: 4}[width] == 0)


class LanePacker(wiring.Component):
    """`packing.pack` of a byte a lane, low bits of which count, and of the lanes' mask, at `width` bits."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {"width": In(8), "lane": In(8 * lanes), "mask": In(lanes), "data": Out(8 * lanes), "bytes": Out(lanes)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes = [self.lane.word_select(index, 8) for index in range(self.lanes)]
        m.d.comb += [self.data.eq(self.lane), self.bytes.eq(self.mask)]
        for width in possible_widths(self.lanes):
            if width == 8:
                continue
            with m.If(self.width == width):
                if width == 6:
                    groups = [lanes[start : start + 4] for start in range(0, self.lanes, 4)]
                    packed = Cat(Cat(g[k][:6], g[3].word_select(k, 2)) for g in groups for k in range(3))
                    mask = Cat(self.mask[start].replicate(3) for start in range(0, self.lanes, 4))
                else:
                    packed = Cat(lane[:width] for lane in lanes)
                    mask = Cat(self.mask[start] for start in range(0, self.lanes, 8 // width))
                m.d.comb += [self.data.eq(packed), self.bytes.eq(mask)]
        return m


class LaneUnpacker(wiring.Component):
    """Inverse of `LanePacker`'s data for signed values: a byte a lane, sign extended."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__({"width": In(8), "data": In(8 * lanes), "lane": Out(8 * lanes)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.d.comb += self.lane.eq(self.data)
        for width in possible_widths(self.lanes):
            if width == 8:
                continue
            if width == 6:
                groups = [
                    [self.data.word_select(3 * group + place, 8) for place in range(3)]
                    for group in range(self.lanes // 4)
                ]
                fields = [
                    field
                    for group in groups
                    for field in (*(byte[:6] for byte in group), Cat(byte[6:] for byte in group))
                ]
            else:
                fields = [self.data.word_select(index, width) for index in range(self.lanes)]
            with m.If(self.width == width):
                m.d.comb += self.lane.eq(Cat(Cat(field, field[-1].replicate(8 - width)) for field in fields))
        return m


def lane_distance(m: Module, group: Value, lanes: int, width: Value, name: str) -> Value:
    """What packed lane groups before this one save in bytes against a byte a lane."""
    saved = Signal(range(64 * 64), name=name)
    for narrow in possible_widths(lanes):
        with m.If(width == narrow):
            m.d.comb += saved.eq(group * (lanes - packed_bytes(lanes, narrow)))
    return saved
