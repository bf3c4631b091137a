"""From a list of instructions without tokens to a program that keeps every order that matters, and the proof of it.

`effects` says what an instruction reads and writes, from its fields alone. `synchronise` inserts the fewest tokens such
that no instruction of one queue starts before the instructions of other queues that it depends on have completed.
`prove` checks a finished program independently of how its tokens came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from gatewright.errors import ProgramError
from gatewright.hdl.instruction import (
    HEADER,
    INSTRUCTION_BYTES,
    RUN_PITCH_WIDTH,
    TOKEN_WIDTH,
    InstructionLayout,
    Memory,
    Opcode,
    Queue,
    pack,
    unpack,
)
from gatewright.targets.array.config import ArrayConfig
from gatewright.targets.array.conflicts import Access, Conflicts
from gatewright.targets.array.effects_vector import VectorEffects
from gatewright.targets.array.isa import LAYOUTS, MNEMONICS, Operation
from gatewright.targets.array.isa_vector import VECTOR_LAYOUTS, VECTOR_MNEMONICS, VECTOR_UNIT
from gatewright.targets.array.nest import array_taps, image_range, pixels_of, reach

__all__ = ["Effects", "Step", "assemble", "complete", "decode", "disassemble", "prove", "synchronise"]

_LAYOUTS = {0: LAYOUTS, VECTOR_UNIT: VECTOR_LAYOUTS}
_MNEMONICS = {0: MNEMONICS, VECTOR_UNIT: VECTOR_MNEMONICS}
_NO_VALUES = ("opcode", "padding", "reserved")
_QUEUES = {Opcode.LOAD: Queue.LOAD, Opcode.STORE: Queue.STORE}


@dataclass
class Step:
    """One instruction on its way to a program."""

    opcode: Opcode
    fields: dict[str, int] = field(default_factory=dict)
    queue: Queue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = _QUEUES.get(self.opcode, Queue.COMPUTE)

    @property
    def unit(self) -> int:
        return self.fields.get("unit", 0)

    @property
    def layout(self) -> InstructionLayout:
        return _LAYOUTS[self.unit][self.opcode]

    def word(self) -> int:
        return pack(self.layout, {"opcode": self.opcode, **self.fields})


def _check_run(f: Mapping[str, int], bus_bytes: int) -> None:
    """Raise `ProgramError` unless a transfer with a run is what `hdl.runs` can move."""
    for name in ("offset", "stride0", "stride1"):
        if f[name] % bus_bytes:
            raise ProgramError(f"{name} of a run must be a multiple of the bus's {bus_bytes} bytes, not {f[name]}")
    if not f["length"] <= f["stride0"] < 1 << RUN_PITCH_WIDTH:
        most = (1 << RUN_PITCH_WIDTH) - 1
        raise ProgramError(f"stride0 of a run must be in {f['length']}..{most} (from length on), not {f['stride0']}")
    size = (f["count0"] - 1) * f["stride0"] + f["length"]
    if f["run"] != size:
        raise ProgramError(f"run must be the {size} bytes from the first to the last of a row, not {f['run']}")


class Effects:
    """What each instruction of a sequence touches; remembers the configuration that COMPUTE depends on."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.pixels: Mapping[str, int] = {}
        self.taps: Mapping[str, int] = {}
        self.post: Mapping[str, int] = {}
        self.vector = VectorEffects(config)

    def of(self, step: Step) -> list[Access]:
        fields = step.fields
        if step.unit == VECTOR_UNIT:
            return [access for access in self.vector.of(step.opcode, fields) if access.stop > access.start]
        if step.opcode in (Opcode.LOAD, Opcode.STORE):
            return self._transfer(step)
        if step.opcode == Operation.CONFIG_PIXELS:
            self.pixels = fields
        elif step.opcode == Operation.CONFIG_TAPS:
            self.taps = fields
        elif step.opcode == Operation.CONFIG_POST:
            self.post = fields
        elif step.opcode == Operation.COMPUTE:
            return [access for access in self._compute(fields) if access.stop > access.start]
        return []

    def is_fence(self, step: Step) -> bool:
        """Whether all results of the instructions before are written before any after this one computes."""
        return step.opcode == Operation.CONFIG_POST

    def _transfer(self, step: Step) -> list[Access]:
        f = step.fields
        store = step.opcode == Opcode.STORE
        if f.get("run"):
            _check_run(f, self.config.bus_bytes)
        steps = [(f["count0"] - 1) * f["stride0"], (f["count1"] - 1) * f["stride1"]]
        low = f["offset"] + sum(min(0, step) for step in steps)
        high = f["offset"] + sum(max(0, step) for step in steps) + f["length"]
        size = f["length"] * f["count0"] * f["count1"]
        scratch = Access(Memory(f["memory"]), f["scratch"], f["scratch"] + size, not store)
        return [scratch, Access(("region", f["region"]), low, high, store)]

    def _compute(self, f: Mapping[str, int]) -> Iterable[Access]:
        config, taps, post = self.config, self.taps, self.post
        nest, words = pixels_of(self.pixels, f), array_taps(taps, config)
        y, (first, last) = reach(nest, words)
        last += (config.word_length << taps["wide"]) - 1
        yield Access(Memory.ACTIVATION, *image_range(f, taps, y, (first, last)), False)
        depth = words.size * config.word_length
        stop = f["weight_base"] + f["filter_tiles"] * depth * config.weight_word_bytes
        yield Access(Memory.WEIGHT, f["weight_base"], min(stop, config.weight_bytes), False)
        yield Access(Memory.WEIGHT, 0, stop - config.weight_bytes, False)  # rows of weights wrap
        if not f["last"]:
            return
        parameters = f["filter_tiles"] * config.lane_groups * config.parameter_word_bytes
        yield Access(Memory.PARAMETER, f["parameter_base"], f["parameter_base"] + parameters, False)
        pixels = nest.size // post["pool_count"]
        rows = -(-pixels // post["out_count"])
        row_step = post["out_delta"] + (post["out_count"] - 1) * post["out_step"]
        size, residual_size = 1 << post["result_size"], 1 << post["residual_size"]
        span = (rows - 1) * row_step + (min(pixels, post["out_count"]) - 1) * post["out_step"]
        span += (f["filter_tiles"] - 1) * post["filter_step"] + f["last_columns"] * size
        if f["filter_tiles"] > 1:
            span = max(span, span - f["last_columns"] * size - post["filter_step"] + config.columns * size)
        if post["to_activation"]:
            yield Access(Memory.ACTIVATION, f["activation_base"], f["activation_base"] + span, True)
        if post["to_output"]:
            yield Access(Memory.OUTPUT, f["output_base"], f["output_base"] + span, True)
        if post["residual"]:
            yield Access(Memory.OUTPUT, f["residual_base"], f["residual_base"] + span * residual_size // size, False)
        if post["table"]:
            yield Access(Memory.TABLE, 0, 256, False)


def _accesses(steps: Sequence[Step], effects: Effects) -> tuple[list[list[Access]], frozenset[object]]:
    """What each instruction touches, and the spaces that any of them writes."""
    accesses = [effects.of(step) for step in steps]
    return accesses, frozenset(access.space for each in accesses for access in each if access.writes)


def synchronise(steps: Sequence[Step], config: ArrayConfig, effects: Effects | None = None) -> None:
    """Set `wait` and `signal` of each instruction; program order is the order in which effects must appear.

    Since dispatch is in order and an instruction only ever waits for earlier ones, no program made so can deadlock.
    """
    effects = effects or Effects(config)
    touched, written = _accesses(steps, effects)
    conflicts = Conflicts(written)
    known: list[list[int]] = []  # for each instruction: the last one of each queue known to be complete when it starts
    latest: list[list[int]] = [[-1] * 3 for _ in Queue]
    for index, step in enumerate(steps):
        mine = list(latest[step.queue])
        accesses = touched[index]
        wanted = [-1] * 3
        for access in accesses:
            for other in conflicts.before(access):
                queue = steps[other].queue
                wanted[queue] = max(wanted[queue], other)
        for queue in Queue:
            if queue != step.queue and wanted[queue] > mine[queue]:
                giver = steps[wanted[queue]]
                giver.fields["signal"] = giver.fields.get("signal", 0) | 1 << step.queue
                step.fields["wait"] = step.fields.get("wait", 0) | 1 << queue
                mine = [max(a, b) for a, b in zip(mine, known[wanted[queue]], strict=True)]
                mine[queue] = max(mine[queue], wanted[queue])
        for access in accesses:
            conflicts.add(access, index, step.queue)
        known.append(mine)
        latest[step.queue] = mine


def prove(steps: Sequence[Step], config: ArrayConfig, effects: Effects | None = None) -> None:
    """Check a finished program: tokens match, none overflow, no deadlock, no two conflicting accesses unordered.

    Raises
    ------
    ProgramError
        Naming the instruction that breaks a rule.
    """
    effects = effects or Effects(config)
    touched, written = _accesses(steps, effects)
    conflicts = Conflicts(written)
    given: dict[tuple[Queue, Queue], list[int]] = {(a, b): [] for a in Queue for b in Queue if a != b}
    taken = dict.fromkeys(given, 0)
    known: list[list[int]] = []
    latest: list[list[int]] = [[-1] * 3 for _ in Queue]
    fences = dict.fromkeys(_LAYOUTS, -1)  # COMPUTEs of a unit before this instruction have completed when it is taken
    for index, step in enumerate(steps):
        mine = list(latest[step.queue])
        for queue in Queue:
            if not step.fields.get("wait", 0) >> queue & 1:
                continue
            pair = (queue, step.queue)
            if queue == step.queue or taken[pair] >= len(given[pair]):
                raise ProgramError(f"Instruction {index} waits for a token that no earlier instruction gives: deadlock")
            giver = given[pair][taken[pair]]
            taken[pair] += 1
            mine = [max(a, b) for a, b in zip(mine, known[giver], strict=True)]
            mine[queue] = max(mine[queue], giver)
        if effects.is_fence(step):
            fences[step.unit] = index
        elif step.opcode == Operation.COMPUTE:  # of the two units one at a time computes
            fences |= {unit: index + 1 for unit in fences if unit != step.unit}
        for access in touched[index]:
            for other in conflicts.before(access):
                queue = steps[other].queue
                # a COMPUTE may still be writing when the next one of its unit reads, unless that was waited for between
                ordered = other < fences[step.unit] or access.writes if queue == step.queue else other <= mine[queue]
                if not ordered:
                    raise ProgramError(f"Instructions {other} and {index} both use {access.space} and are not ordered")
            conflicts.add(access, index, step.queue)
        for queue in Queue:
            if step.fields.get("signal", 0) >> queue & 1:
                given[step.queue, queue].append(index)
        known.append(mine)
        latest[step.queue] = mine
    for pair, givers in given.items():
        if taken[pair] != len(givers):
            raise ProgramError(f"Instruction {givers[taken[pair]]} gives a token that nobody takes")
        _check_overflow(steps, pair, givers, config)


def _check_overflow(
    steps: Sequence[Step], pair: tuple[Queue, Queue], givers: Sequence[int], config: ArrayConfig
) -> None:
    """Tokens outstanding while the taker is stuck: all that can be dispatched before its queue is full."""
    giver, taker = pair
    mine = [index for index, step in enumerate(steps) if step.queue == taker]
    position = {index: place for place, index in enumerate(mine)}
    takers = [i for i in mine if steps[i].fields.get("wait", 0) >> giver & 1]
    for count, index in enumerate(takers):
        blocked = position[index] + config.queue_depth + 2
        horizon = mine[blocked] if blocked < len(mine) else len(steps)
        outstanding = sum(1 for other in givers[count : count + (1 << TOKEN_WIDTH) + 1] if other < horizon)
        if outstanding >= 1 << TOKEN_WIDTH:
            raise ProgramError(f"More than {(1 << TOKEN_WIDTH) - 1} tokens wait for instruction {index}")


def assemble(steps: Sequence[Step]) -> bytes:
    """The program's bytes."""
    return b"".join(step.word().to_bytes(INSTRUCTION_BYTES, "little") for step in steps)


def decode(code: bytes) -> list[Step]:
    """Inverse of `assemble`; raises `ProgramError` at the first illegal opcode."""
    steps = []
    for index in range(len(code) // INSTRUCTION_BYTES):
        word = int.from_bytes(code[index * INSTRUCTION_BYTES : (index + 1) * INSTRUCTION_BYTES], "little")
        number = word & 0xF
        unit = unpack(HEADER, word).unit
        layouts = _LAYOUTS.get(unit)
        if layouts is None:
            raise ProgramError(f"Instruction {index} is for unit {unit}, which is not one of {sorted(_LAYOUTS)}")
        if number not in list(layouts):
            raise ProgramError(f"Instruction {index} has opcode {number}, which is not one of {sorted(layouts)}")
        opcode = Opcode(number)
        fields = dict(unpack(layouts[opcode], word).fields)
        del fields["opcode"]
        steps.append(Step(opcode, fields))
    return steps


def complete(steps: Sequence[Step]) -> list[Step]:
    """The steps with every field of their layouts, as `decode` gives them."""
    return [Step(step.opcode, {**_zeros(step.unit, step.opcode), **step.fields}) for step in steps]


@cache
def _zeros(unit: int, opcode: Opcode) -> Mapping[str, int]:
    return {name: 0 for name in _LAYOUTS[unit][opcode].places if name not in _NO_VALUES}


def disassemble(steps: Sequence[Step]) -> str:
    """One line an instruction: index, mnemonic, fields that are not zero."""
    lines = []
    for index, step in enumerate(steps):
        values = " ".join(f"{name}={value}" for name, value in step.fields.items() if value and name != "unit")
        lines.append(f"{index:5d}  {_MNEMONICS[step.unit][step.opcode]:<9} {values}")
    return "\n".join(lines) + "\n"
