"""Scratchpads under a read and a write in every cycle, against a byte array."""

import random

import pytest

from gatewright.hdl import emit_verilog, synthesise
from gatewright.hdl.scratchpad import READ_LATENCY, WRITE_LATENCY, ByteScratchpad, WordScratchpad
from gatewright.sim import Model


class Bench:
    """Both ports driven at random; every byte read must be one that was written in time."""

    def __init__(self, model: Model, size: int, unit: tuple[int, int], bytes_: tuple[int, int], seed: int) -> None:
        self.model = model
        self.size = size
        self.read_unit, self.write_unit = unit
        self.read_bytes, self.write_bytes = bytes_
        self.random = random.Random(seed)
        self.history: list[dict[int, int]] = []  # bytes written in each cycle
        self.contents: dict[int, int] = {}
        self.pending: list[tuple[int, dict[int, int]]] = []

    def run(self, cycles: int) -> int:
        checked = 0
        for _ in range(cycles):
            self._write()
            checked += self._check()
            self._read()
            self.model.tick()
        return checked

    def _write(self) -> None:
        address = self.random.randrange(self.size // self.write_unit)
        data = self.random.getrandbits(8 * self.write_bytes)
        mask = self.random.getrandbits(self.write_bytes)
        enable = self.random.random() < 0.8
        for name, value in (("address", address), ("data", data), ("mask", mask), ("enable", int(enable))):
            self.model.set(f"write_{name}", value)
        lanes = [lane for lane in range(self.write_bytes) if enable and mask >> lane & 1]
        first = address * self.write_unit
        self.history.append({(first + lane) % self.size: data >> (8 * lane) & 0xFF for lane in lanes})
        if len(self.history) > WRITE_LATENCY:
            self.contents |= self.history[-1 - WRITE_LATENCY]

    def _read(self) -> None:
        address = self.random.randrange(self.size // self.read_unit)
        enable = self.random.random() < 0.8
        self.model.set("read_address", address)
        self.model.set("read_enable", int(enable))
        places = [(address * self.read_unit + lane) % self.size for lane in range(self.read_bytes)]
        recent = {place for writes in self.history[-WRITE_LATENCY:] for place in writes}
        known = {
            lane: self.contents[place]
            for lane, place in enumerate(places)
            if enable and place in self.contents and place not in recent
        }
        self.pending.append((len(self.history) - 1 + READ_LATENCY, known))

    def _check(self) -> int:
        if not self.pending or self.pending[0][0] != len(self.history) - 1:
            return 0
        _, known = self.pending.pop(0)
        data = self.model.get("read_data")
        assert {lane: data >> (8 * lane) & 0xFF for lane in known} == known
        return len(known)


@pytest.mark.parametrize(("size", "window"), [(1024, 8), (1024, 64), (256, 1), (64, 2), (4096, 32)])
def test_windows_at_any_alignment(size: int, window: int) -> None:
    with Model.of(ByteScratchpad(size, window), seed=1) as model:
        assert Bench(model, size, (1, 1), (window, window), seed=window).run(3000) > 1000


@pytest.mark.parametrize(
    ("size", "read", "write"), [(1024, 8, 8), (1024, 32, 8), (256, 1, 8), (512, 4, 16), (1024, 512, 4)]
)
def test_words_of_two_widths(size: int, read: int, write: int) -> None:
    with Model.of(WordScratchpad(size, read, write), seed=1) as model:
        assert Bench(model, size, (read, write), (read, write), seed=read).run(3000) > 1000


@pytest.mark.parametrize("kind", ["bytes", "words"])
def test_maps_to_block_memory(kind: str) -> None:
    component = ByteScratchpad(64 * 1024, 8) if kind == "bytes" else WordScratchpad(64 * 1024, 16, 8)
    cells = synthesise(emit_verilog(component, "top"), "top")
    assert sum(count for name, count in cells.items() if name.startswith("RAMB36")) == 16
    assert not any(name.startswith("RAM") and not name.startswith("RAMB36") for name in cells)
