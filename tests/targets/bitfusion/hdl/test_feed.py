"""The feed against the plain reading of a block: which bytes and weights each row and column gets, in which cycle."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest

from gatewright.hdl.scratchpad import READ_LATENCY
from gatewright.ir.packing import unpack
from gatewright.sim import Model
from gatewright.targets.array.hdl.sequencer import TILE
from gatewright.targets.array.timing import FEED_LATENCY, START_CYCLES, drain_cycles
from gatewright.targets.bitfusion.blocks import FILTER_LOOP, FIRST, LAST, LOOPS, PIXEL_LOOPS, TAP_LOOPS, initial_state
from gatewright.targets.bitfusion.config import FusionConfig
from gatewright.targets.bitfusion.hdl.array import STEP_INPUT
from gatewright.targets.bitfusion.hdl.feed import FusionFeed
from gatewright.targets.bitfusion.hdl.state import STATE_LAYOUT
from gatewright.targets.bitfusion.isa import SIGNED
from gatewright.targets.bitfusion.packing import chunk_bytes, lanes_of, split_parts
from gatewright.targets.bitfusion.slots import SHARED_DISTANCES, most_shared, shared_window

SMALL = FusionConfig(rows=5, columns=2, post_lanes=2, bus_bits=64, ibuf_bytes=1024, wbuf_bytes=1024)
PLAIN = FusionConfig(rows=4, columns=3, post_lanes=1, bus_bits=32, ibuf_bytes=1024, wbuf_bytes=1024, composable=False)
TILE_ROWS = (1 << TILE["rows"].width) - 1
IMAGE, WEIGHTS = np.random.default_rng(7).integers(0, 256, (2, 1024), np.uint8)


def block(chance: random.Random, config: FusionConfig, share: int, weight_width: int) -> dict[str, int]:
    """A state with few turns of every loop, of an image that most words reach beyond."""
    state = initial_state() | {f"count{loop}": chance.choice((1, 1, 2, 3)) for loop in range(LOOPS)}
    lanes, rows = lanes_of(weight_width), chance.randint(1, config.rows)
    most, least = config.feed_window // lanes, rows
    if share:
        least = chance.choice((1, 2))
        window = shared_window(config, least)
        each = chance.randint(1, max(min(config.rows // least, (window - least * lanes) // share + 1), 1))
        rows, most = least * each, min(window - (each - 1) * share, most_shared(config)) // lanes
        state["count0"] = least
    state |= {
        "rows": rows,
        "share": share,
        "last_rows": least * chance.randint(1, rows // least) if share else 0,
        "slot": chance.randint(least, min(most, 2 * config.rows)),
        "input": 8 | SIGNED,
        "weight": weight_width | SIGNED,
        "height": chance.randint(1, 4),
        "row_bytes": chance.randint(1, 40),
        "pitch": 41,
        "tile_columns": config.columns,
        "origin_row": chance.randint(-2, 1),
        "origin": chance.randint(-12, 5),
        "ibuf_base": chance.randrange(1024),
        "pad": chance.getrandbits(24),
    }
    if share % 3:  # words of some pixels begin within a group of three bytes
        state["pad"] = chance.randrange(256) * 0x010101
    for loop in range(FILTER_LOOP):
        state |= {f"dy{loop}": chance.choice((0, 0, 1)), f"dx{loop}": chance.choice((0, 1, 3, 7, -2))}
    return state


def points(state: dict[str, int], loops: Sequence[int]) -> list[tuple[int, int]]:
    """(row, byte) of each turn of a nest, the innermost loop first."""
    found = [(0, 0)]
    for loop in reversed(loops):
        dy, dx = state[f"dy{loop}"], state[f"dx{loop}"]
        found = [(y + turn * dy, x + turn * dx) for (y, x), turn in product(found, range(state[f"count{loop}"]))]
    return found


def tiles_of(state: dict[str, int]) -> list[list[tuple[int, int]]]:
    """Pixels of each tile."""
    pixels, rows, share = points(state, PIXEL_LOOPS), state["rows"], state["share"]
    if not share:
        return [pixels[start : start + rows] for start in range(0, len(pixels), rows)]
    lines, count, found = state["count0"], state["count1"], []
    for place in range(0, len(pixels), lines):
        each = (rows if (place // lines + 1) % count else state["last_rows"]) // lines
        heads = pixels[place : place + lines]
        found.append([(y, x + pixel * share) for pixel in range(each) for y, x in heads])
    return found


def input_at(state: dict[str, int], y: int, x: int, place: int) -> int:
    """Byte `place` of the word at a point."""
    if 0 <= y < state["height"] and 0 <= x + place < state["row_bytes"]:
        return int(IMAGE[(state["ibuf_base"] + y * state["pitch"] + x + place) % len(IMAGE)])
    return state["pad"] >> 8 * (place % 3) & 255


def steps_of(state: dict[str, int], columns: int) -> list[tuple[list[int], int, int]]:
    """For each step: the bytes of each row of its tile, the address of its weights, the rows of the tile it ends."""
    lanes, chunk = lanes_of(state["weight"] % SIGNED), 4 * columns
    slot, taps, tiles = state["slot"], points(state, TAP_LOOPS), tiles_of(state)
    word_chunks = -(-slot // 4)
    found = []
    for filters, tile in product(range(state[f"count{FILTER_LOOP}"]), tiles):
        for (number, (dy, dx)), step in product(enumerate(taps), range(slot)):
            y, x, last = state["origin_row"] + dy, state["origin"] + dx, (number, step) == (len(taps) - 1, slot - 1)
            rows = [
                sum(input_at(state, y + py, x + px, step * lanes + lane) << 8 * lane for lane in range(lanes))
                for py, px in tile
            ]
            address = state["wbuf_base"] + ((filters * len(taps) + number) * word_chunks + step // 4) * chunk
            found.append((rows, address % 1024, len(tile) * last))
    return found


class Bench:
    """A feed and its buffers."""

    def __init__(self, model: Model, config: FusionConfig) -> None:
        self.model, self.config = model, config
        self._addresses = [(0, 0)] * READ_LATENCY

    def run(self, state: dict[str, int]) -> list[dict[str, int]]:
        """The ports in each cycle from that of the start to well behind the last step."""
        model = self.model
        model.set("state", sum((state[name] & (1 << f.width) - 1) << f.offset for name, f in STATE_LAYOUT))
        model.set("flags", FIRST | LAST)
        model.set("start", 1)
        cycles: list[dict[str, int]] = []
        while len(cycles) < 4 or not all(cycle["idle"] for cycle in cycles[-FEED_LATENCY - self.config.rows - 2 :]):
            self._addresses.append((model.get("input_address"), model.get("weight_address")))
            starts, config = self._addresses.pop(0), self.config
            for name, data, start, size in (
                ("input_data", IMAGE, starts[0], config.feed_window),
                ("weight_data", WEIGHTS, starts[1], config.weight_window),
            ):
                model.set(name, int.from_bytes(data[(start + np.arange(size)) % len(data)].tobytes(), "little"))
            cycles.append({name: model.get(name) for name, port in model.ports.items() if not port.is_input})
            model.tick()
            model.set("start", 0)
        return cycles


@pytest.mark.parametrize("config", [SMALL, PLAIN], ids=["units", "multipliers"])
@pytest.mark.parametrize("share", [0, *SHARED_DISTANCES])
def test_rows_and_columns_get_what_the_block_says(config, share):
    with Model.of(FusionFeed(config)) as model:
        bench = Bench(model, config)
        for seed in range(12):
            chance = random.Random(seed)
            state = block(chance, config, share, chance.choice((2, 4, 8)) if config.composable else 8)
            cycles, steps = bench.run(state), steps_of(state, config.columns)
            valid = [index for index, cycle in enumerate(cycles) if cycle["tap"] & 1]
            assert len(valid) == len(steps)
            assert valid[0] >= START_CYCLES + FEED_LATENCY
            ends = [index for index, cycle in enumerate(cycles) if cycle["tile_end"]]
            assert all(stop - start >= drain_cycles(config.array()) for start, stop in pairwise(ends))
            assert [cycles[index]["tile"] & TILE_ROWS for index in ends] == [rows for *_, rows in steps if rows]
            mask = (1 << 8 * lanes_of(state["weight"] % SIGNED)) - 1
            for index, (rows, address, _) in zip(valid, steps, strict=True):
                assert cycles[index - READ_LATENCY]["weight_address"] == address
                assert [cycles[index + row][f"activation_{row}"] & mask for row in range(len(rows))] == rows


def chunk_at(address: int, weight_width: int) -> int:
    """The four bytes of the chunk at an address of the weight buffer: 6-bit weights, signed, as bytes."""
    data = WEIGHTS[(address + np.arange(chunk_bytes(weight_width))) % len(WEIGHTS)]
    if weight_width == 6:
        data = unpack(data, 6, 4, signed=True) & 255
    return int.from_bytes(data.astype(np.uint8).tobytes(), "little")


@pytest.mark.parametrize("widths", list(product((8, 4), (2, 4, 6, 8))))
def test_split_chunks_last_a_step_and_rows_take_their_parts_in_turn(widths):
    with Model.of(FusionFeed(SMALL)) as model:
        bench = Bench(model, SMALL)
        for seed in range(6):
            chance = random.Random(seed)
            state = block(chance, SMALL, 0, widths[1]) | {"split": 1, "input": widths[0] | SIGNED}
            state |= {"tile_columns": chance.randint(1, SMALL.columns), "wbuf_base": chance.randrange(1024)}
            each = chunk_bytes(widths[1])
            cycles = bench.run(state)
            valid = [index for index, cycle in enumerate(cycles) if cycle["tap"] & 1]
            steps = steps_of(state, SMALL.columns)
            assert len(valid) == len(steps)
            tile_steps = len(steps) // (len(tiles_of(state)) * state[f"count{FILTER_LOOP}"])
            for number, index in enumerate(valid):
                filters, place = number // (tile_steps * len(tiles_of(state))), number % tile_steps
                address = state["wbuf_base"] + (filters * tile_steps + place) * state["tile_columns"] * each
                assert cycles[index - READ_LATENCY]["weight_address"] == address % 1024
                for column in range(state["tile_columns"]):
                    expected = chunk_at(address + column * each, widths[1])
                    assert cycles[index + column][f"weight_{column}"] == expected
                for row in range(SMALL.rows):
                    part = cycles[index + row][f"activation_{row}"] >> STEP_INPUT["part"].offset & 3
                    assert part == row % split_parts(widths[0]) * (4 // split_parts(widths[0]))
