"""The synthesis log."""

import re

import pytest
from tests.conformance.cases import CASES, Maker

from gatewright.compile import compile
from gatewright.report import MemoryRow, synthesis_log


@pytest.fixture(scope="module")
def build():
    return compile(CASES["residual_chain"](Maker("residual_chain", dyadic=False)), "generated", {"multipliers": 16})


@pytest.fixture(scope="module")
def log(build):
    return synthesis_log(build)


def test_the_schedule_is_that_of_the_program(build, log):
    assert [stage.layer for stage in log.stages] == [layer.name for layer in build.program.layers]
    assert sum(stage.macs for stage in log.stages) == build.program.macs
    assert all(stage.cycles for stage in log.stages)
    assert log.stages[0].engine == "array"


def test_memories_are_those_of_the_design(build, log):
    rom = next(memory for memory in log.memories if memory.path.endswith("rom"))
    assert rom.bits == 8 * len(build.program.code)
    assert log.memory_bits // 8 == pytest.approx(build.target.memory_bytes(build.config), abs=64)


def test_the_text_has_every_part(build, log):
    text = str(log)
    titles = ["Configuration", "Schedule", "Memories", "Engines", "Control", "Register map", "Memory map"]
    assert [line for line in text.splitlines() if line in titles] == titles
    assert re.search(rf"^instructions +{build.program.instruction_count:,}$", text, re.MULTILINE)
    assert f"{build.config.rows} rows (pixels) x {build.config.columns} columns (filters)" in text
    assert re.search(r"^rows +\d+$", text, re.MULTILINE)
    for register in build.target.register_map_for(build.config, build.program):
        assert f"  {register.name}  " in text
    for binding in (*build.program.inputs, *build.program.outputs):
        assert f"  {binding.title}  " in text


def test_a_memory_map_of_ones_own(build, tmp_path):
    row = MemoryRow(0, 63, "register 4", "variable", "weights", "int8", (2, 3), 4, (2, 4))
    synthesis_log(build, [row]).save(tmp_path / "log.txt")
    last = (tmp_path / "log.txt").read_text().splitlines()[-1]
    assert last == "0-63   register 4  variable  weights  int8  [2, 3]  4 elements      [2, 4]"
