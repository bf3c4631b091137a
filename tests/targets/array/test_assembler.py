"""Tokens: the program that comes out keeps its order, and the proof finds what was broken."""

import copy

import pytest
from tests.conformance.cases import CASES, Maker
from tests.conformance.machines import SYSTOLIC

from gatewright.errors import ConfigError, ProgramError
from gatewright.hdl.instruction import Opcode, Queue
from gatewright.passes import run_passes
from gatewright.targets.array.assembler import Step, assemble, decode, disassemble, prove, synchronise
from gatewright.targets.array.isa import Operation
from gatewright.targets.array.lower import lower, sketch

CONFIG = SYSTOLIC["3x5_dyadic"]


@pytest.fixture(scope="module")
def program() -> list[Step]:
    graph = run_passes(CASES["residual_chain"](Maker("residual", dyadic=True)))
    return decode(lower(graph, CONFIG).regions[0].data)


def lower_on_chip() -> list[Step]:
    """A chain of layers whose activations all stay on chip."""
    graph = run_passes(CASES["residual_chain"](Maker("residual", dyadic=False)))
    return decode(lower(graph, SYSTOLIC["8x8"]).regions[0].data)


def _transfer(opcode: Opcode, scratch: int, offset: int, **tokens: int) -> Step:
    nest = {"count0": 1, "stride0": 0, "count1": 1, "stride1": 0}
    place = {"memory": 3, "region": 4, "offset": offset, "scratch": scratch, "length": 64}
    return Step(opcode, place | nest | tokens)


def test_assembling_and_decoding_are_inverse(program: list[Step]) -> None:
    code = assemble(program)
    assert assemble(decode(code)) == code


def test_a_sketch_is_the_program_that_is_lowered() -> None:
    graph = run_passes(CASES["residual_chain"](Maker("residual", dyadic=True)))
    for rom in (False, True):
        whole = lower(graph, CONFIG, rom=rom)
        steps, layers = sketch(graph, CONFIG, rom=rom)
        assert assemble(steps) == whole.code
        assert (steps, layers) == (decode(whole.code), len(whole.layers))


def test_a_sketch_has_no_more_instructions_than_allowed() -> None:
    graph = run_passes(CASES["residual_chain"](Maker("residual", dyadic=True)))
    with pytest.raises(ConfigError, match="needs more than 3 instructions"):
        sketch(graph, CONFIG, most=3)


def test_a_program_uses_tokens_in_both_directions(program: list[Step]) -> None:
    pairs = {(step.queue, queue) for step in program for queue in Queue if step.fields["signal"] >> queue & 1}
    assert {(Queue.LOAD, Queue.COMPUTE), (Queue.COMPUTE, Queue.LOAD), (Queue.COMPUTE, Queue.STORE)} <= pairs
    assert (Queue.STORE, Queue.LOAD) in pairs  # what was spilled is read back


def test_every_single_token_is_needed(program: list[Step]) -> None:
    prove(program, CONFIG)
    waits = [index for index, step in enumerate(program) if step.fields["wait"]]
    for index in waits[:: max(1, len(waits) // 25)]:
        broken = copy.deepcopy(program)
        broken[index].fields["wait"] = 0
        with pytest.raises(ProgramError):
            prove(broken, CONFIG)


def test_a_wait_without_a_token_is_a_deadlock() -> None:
    steps = [
        _transfer(Opcode.LOAD, 0, 0, wait=1 << Queue.STORE),
        _transfer(Opcode.STORE, 0, 64, signal=1 << Queue.LOAD),
    ]
    with pytest.raises(ProgramError, match="Instruction 0 waits for a token that no earlier instruction gives"):
        prove(steps, CONFIG)


def test_unordered_accesses_are_found() -> None:
    steps = [_transfer(Opcode.LOAD, 0, 0), _transfer(Opcode.STORE, 32, 64)]
    with pytest.raises(ProgramError, match=r"Instructions 0 and 1 both use .* and are not ordered"):
        prove(steps, CONFIG)


def test_a_layer_without_its_fence_is_found() -> None:
    """What a COMPUTE wrote may be read only behind the next `post`."""
    broken = copy.deepcopy(lower_on_chip())
    posts = [index for index, step in enumerate(broken) if step.opcode == Operation.CONFIG_POST]
    del broken[posts[1]]
    with pytest.raises(ProgramError, match=r"both use .* and are not ordered"):
        prove(broken, SYSTOLIC["8x8"])


def test_a_token_that_nobody_takes_is_found() -> None:
    with pytest.raises(ProgramError, match="Instruction 0 gives a token that nobody takes"):
        prove([_transfer(Opcode.LOAD, 0, 0, signal=1 << Queue.COMPUTE)], CONFIG)


def test_synchronise_orders_a_store_before_the_load_that_reads_it_back() -> None:
    steps = [_transfer(Opcode.LOAD, 0, 0), _transfer(Opcode.STORE, 0, 64), _transfer(Opcode.LOAD, 128, 64)]
    synchronise(steps, CONFIG)
    assert [step.fields.get("wait", 0) for step in steps] == [0, 1 << Queue.LOAD, 1 << Queue.STORE]
    prove(steps, CONFIG)


def test_too_many_tokens_are_found() -> None:
    """Loads run ahead of a store that is stuck; each gives it a token."""
    steps = [_transfer(Opcode.LOAD, 64 * i, 64 * i, signal=1 << Queue.STORE) for i in range(64)]
    steps += [_transfer(Opcode.STORE, 64 * i, 64 * (i + 100), wait=1 << Queue.LOAD) for i in range(64)]
    with pytest.raises(ProgramError, match="More than 63 tokens wait for instruction 64"):
        prove(steps, CONFIG)


def test_an_illegal_opcode_is_named() -> None:
    with pytest.raises(ProgramError, match="Instruction 0 has opcode 0"):
        decode(bytes(32))


def test_disassembly_names_instructions_and_fields(program: list[Step]) -> None:
    lines = disassemble(program).splitlines()
    assert len(lines) == len(program)
    assert lines[-1].split() == [str(len(program) - 1), "end"]
    assert any("compute" in line and "filter_tiles=" in line for line in lines)
