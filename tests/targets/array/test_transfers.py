"""What is asked for in dense bytes is moved, no more and no less, in order, whatever the rows in memory are."""

import random

import numpy as np
import pytest

from gatewright.errors import ProgramError
from gatewright.hdl.instruction import TRANSFER, Opcode
from gatewright.ir import I8, I32, TensorType
from gatewright.targets.array.assembler import Step, prove
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.memory_map import Place, Rows
from gatewright.targets.array.transfers import transfers

BUS = 4


def touched(fields):
    """Memory offsets of one transfer, in order."""
    outer = np.arange(fields["count1"])[:, None, None] * fields["stride1"]
    inner = np.arange(fields["count0"])[:, None] * fields["stride0"]
    return (fields["offset"] + outer + inner + np.arange(fields["length"])).reshape(-1)


def wanted(place, length, nest):
    """The same from what is asked for: dense bytes, each at its place in memory."""
    dense = np.arange(length)
    for count, stride in nest:
        dense = (np.arange(count)[:, None] * stride + dense.reshape(-1)).reshape(-1)
    dense = dense.reshape(-1) + place.start
    if place.rows is None:
        return place.offset + dense
    return place.offset + dense // place.rows.bytes * place.rows.pitch + dense % place.rows.bytes


def moved(place, length, nest, runs):
    parts = list(transfers(place, length, nest, BUS, runs=runs))
    for fields in parts:
        for name, value in fields.items():
            assert TRANSFER.places[name].low <= value <= TRANSFER.places[name].high, name
    return np.concatenate([touched(fields) for fields in parts]), parts


@pytest.mark.parametrize("rows", [None, Rows(3, 4), Rows(10, 12), Rows(1, 4), Rows(37, 40)])
@pytest.mark.parametrize("runs", [False, True])
def test_any_bytes(rows, runs):
    rng = random.Random(f"{rows} {runs}")
    for _ in range(200):
        unit = rng.choice((1, rows.bytes if rows else 3))
        place = Place(1, 4 * rng.randrange(50), rows).after(unit * rng.randrange(40))
        length = unit * rng.randint(1, 30)
        nest = [(rng.randint(1, 6), unit * rng.randint(1, 60)) for _ in range(rng.randrange(3))]
        found, parts = moved(place, length, nest, runs)
        np.testing.assert_array_equal(found, wanted(place, length, nest))
        assert runs or not any(fields.get("run") for fields in parts)


def test_an_image_is_one_run():
    _, parts = moved(Place(2, 0, Rows(3, 4)), 32 * 32 * 3, (), True)
    assert parts == [
        {"region": 2, "offset": 0, "length": 3, "count0": 1024, "stride0": 4, "count1": 1, "stride1": 0, "run": 4095}
    ]


def test_rows_of_an_image_are_one_run():
    """Ten rows of pixels, from the sixth on."""
    _, parts = moved(Place(2, 0, Rows(3, 4)).after(5 * 96), 96, [(10, 96)], True)
    assert [(part["offset"], part["count0"], part["run"]) for part in parts] == [(5 * 128, 320, 1279)]


def test_a_large_image_is_several_runs():
    found, parts = moved(Place(2, 0, Rows(3, 4)), 640 * 480 * 3, (), True)
    assert len(parts) == -(-640 * 480 // 16383)
    np.testing.assert_array_equal(found, wanted(Place(2, 0, Rows(3, 4)), 640 * 480 * 3, ()))


def test_short_gaps_are_moved_long_ones_are_not():
    """Some channels of each pixel, of 40 and of 400."""
    _, parts = moved(Place(2, 0), 32, [(16, 40)], True)
    assert parts[0]["run"] == 15 * 40 + 32
    _, parts = moved(Place(2, 0), 32, [(16, 400)], True)
    assert "run" not in parts[0]
    _, parts = moved(Place(2, 2), 32, [(16, 40)], True)
    assert "run" not in parts[0]


def test_many_segments_are_one_transfer_where_they_are_no_run():
    """Parts of the rows of a large image, over more bytes than a run can have."""
    for runs in (False, True):
        _, parts = moved(Place(2, 0), 3000, [(224, 14336)], runs)
        assert [part["count0"] for part in parts] == [224]


def test_rows_of_types():
    assert Rows.of(TensorType((1, 32, 32, 3), I8), 4) == Rows(3, 4)
    assert Rows.of(TensorType((1, 32, 32, 3), I32), 8) == Rows(12, 16)
    assert Rows.of(TensorType((1, 640), I8), 4) is None
    assert Rows.of(TensorType((1, 10), I8), 1) is None
    assert Rows.of(TensorType((), I8), 4) == Rows(1, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 2}, "offset of a run must be a multiple of the bus's 4 bytes, not 2"),
        ({"stride0": 6, "run": 21}, "stride0 of a run must be a multiple of the bus's 4 bytes, not 6"),
        ({"length": 12, "run": 36}, "stride0 of a run must be in 12..65535"),
        ({"run": 26}, "run must be the 27 bytes from the first to the last of a row, not 26"),
    ],
)
def test_runs_that_cannot_be_are_found(change, message):
    fields = {"memory": 0, "region": 1, "offset": 0, "scratch": 0, "length": 3, "count0": 4, "stride0": 8}
    fields |= {"count1": 1, "stride1": 0, "run": 27, "wait": 0, "signal": 0, **change}
    with pytest.raises(ProgramError, match=message):
        prove([Step(Opcode.LOAD, fields), Step(Opcode.END, {"wait": 0, "signal": 0})], ArrayConfig(bus_bits=32))
