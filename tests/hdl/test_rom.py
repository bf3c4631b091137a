"""A program in ROM comes out in order, once for each start, under any stalls."""

import numpy as np
import pytest

from gatewright.hdl.instruction import INSTRUCTION_BITS
from gatewright.hdl.rom import ProgramRom
from gatewright.sim import Model

RANDOM = np.random.default_rng(0)
PROGRAM = [int.from_bytes(RANDOM.bytes(INSTRUCTION_BITS // 8), "little") for _ in range(13)]


def _take(model: Model, stall: float, most: int = 500) -> list[int]:
    """Start, and take instructions until the ROM says that it is exhausted."""
    model.set("start", 1)
    model.tick()
    model.set("start", 0)
    taken: list[int] = []
    for _ in range(most):
        ready = RANDOM.random() >= stall
        model.set("instructions_ready", int(ready))
        if ready and model.get("instructions_valid"):
            taken.append(model.get("instructions_payload"))
        model.tick()
        if model.get("exhausted"):
            return taken
    pytest.fail(f"only {len(taken)} of {len(PROGRAM)} instructions came")


@pytest.mark.parametrize("stall", [0.0, 0.5, 0.9])
def test_instructions_come_in_order_after_every_start(stall: float) -> None:
    with Model.of(ProgramRom(PROGRAM), seed=1) as model:
        model.reset()
        assert _take(model, stall) == PROGRAM
        assert _take(model, stall) == PROGRAM


def test_without_stalls_one_comes_every_cycle() -> None:
    with Model.of(ProgramRom(PROGRAM), seed=1) as model:
        model.reset()
        before = model.cycles
        assert _take(model, 0.0) == PROGRAM
        assert model.cycles - before == 3 + len(PROGRAM)


def test_a_start_in_the_middle_begins_anew() -> None:
    with Model.of(ProgramRom(PROGRAM), seed=1) as model:
        model.reset()
        model.set("start", 1)
        model.tick()
        model.set("start", 0)
        model.set("instructions_ready", 1)
        for _ in range(6):
            model.tick()
        assert _take(model, 0.3) == PROGRAM
