"""Register map of the shell: one table that the hardware, the host driver, the C header and the documentation read.

Registers are 32 bits wide and lie at multiples of 4. An array's elements are `stride` bytes apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum

from gatewright.hdl.instruction import REGION_COUNT, STAMP_COUNT, Queue

__all__ = [
    "CAPABILITY_SPACE",
    "INDEX_WIDTH",
    "REGISTER_MAP",
    "SHELL_ID",
    "SHELL_VERSION",
    "Access",
    "ErrorCode",
    "Field",
    "Register",
    "RegisterMap",
]

SHELL_ID = int.from_bytes(b"GWRT", "little")
SHELL_VERSION = 0x0002_0000  # major, minor: instructions of the shell, register map and protocol
CAPABILITY_SPACE = 32
INDEX_WIDTH = 24  # of an instruction's index in the program


class Access(Enum):
    """What software can do with a register."""

    READ = "ro"
    """Read only."""
    READ_WRITE = "rw"
    """Keeps what was written, also over a soft reset."""
    COMMAND = "wo"
    """Each bit written as 1 is an order; reads 0."""
    CLEAR = "w1c"
    """Set by the machine; a bit written as 1 is cleared."""
    REQUEST = "w1s"
    """A bit written as 1 reads 1 until the machine has taken the order."""


class ErrorCode(IntEnum):
    """`STATUS.error_code`: why the machine stopped."""

    NONE = 0
    ILLEGAL_INSTRUCTION = 1
    READ_BUS_ERROR = 2
    WRITE_BUS_ERROR = 3
    TOKEN_OVERFLOW = 4
    PROGRAM_END_MISSING = 5


@dataclass(frozen=True)
class Field:
    """Bits of a register."""

    name: str
    low: int
    width: int
    description: str

    @property
    def mask(self) -> int:
        """The field's bits within the register."""
        return ((1 << self.width) - 1) << self.low

    def extract(self, word: int) -> int:
        return (word & self.mask) >> self.low

    def insert(self, value: int) -> int:
        """The register word that has `value` in this field and zeros elsewhere."""
        if not 0 <= value < 1 << self.width:
            raise ValueError(f"Field {self.name!r} must be in 0..{(1 << self.width) - 1}, not {value}")
        return value << self.low


@dataclass(frozen=True)
class Register:
    """One register, or an array of `count` equal ones."""

    name: str
    offset: int
    access: Access
    description: str
    fields: tuple[Field, ...] = ()
    count: int = 1
    stride: int = 4
    width: int = 32
    initial: tuple[int, ...] = ()
    """What the elements of a register that software writes hold at first; without it, 0."""

    def field(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"Register {self.name} has no field {name!r}; it has {', '.join(f.name for f in self.fields)}")

    def offsets(self) -> range:
        return range(self.offset, self.offset + self.count * self.stride, self.stride)


class RegisterMap:
    """Registers by name.

    A `forgiving` map answers accesses that mean nothing (no register there, or one that cannot be written) with 0 and
    OKAY, others with an error.

    Raises
    ------
    ValueError
        If two registers have the same name or overlap.
    """

    def __init__(self, registers: tuple[Register, ...], *, forgiving: bool = False) -> None:
        self.registers = registers
        self.forgiving = forgiving
        self._by_name = {register.name: register for register in registers}
        offsets = [offset for register in registers for offset in register.offsets()]
        if len(self._by_name) != len(registers):
            raise ValueError("Registers must have different names")
        if len(set(offsets)) != len(offsets):
            raise ValueError("Registers must not overlap")

    def __iter__(self) -> Iterator[Register]:
        return iter(self.registers)

    def __getitem__(self, name: str) -> Register:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def offset(self, name: str, index: int = 0) -> int:
        """Byte offset of a register, or of element `index` of an array."""
        register = self[name]
        if not 0 <= index < register.count:
            raise IndexError(f"Index of {name} must be in 0..{register.count - 1}, not {index}")
        return register.offset + index * register.stride

    def field(self, register: str, name: str) -> Field:
        return self[register].field(name)


def _queue_description(text: str) -> str:
    return f"{text} For each queue: {', '.join(f'{queue.value} {queue.name.lower()}' for queue in Queue)}."


_QUEUES = len(Queue)
_EVENTS = (
    Field("done", 0, 1, "the program reached its END"),
    Field("error", 1, 1, "the machine stopped with an error"),
)
_READ = Access.READ

REGISTER_MAP = RegisterMap(
    (
        Register("ID", 0x000, _READ, f"`GWRT` in ASCII: {SHELL_ID:#010x}."),
        Register("VERSION", 0x004, _READ, f"Version of the shell, major and minor: {SHELL_VERSION:#010x}."),
        Register("CONFIG_DIGEST", 0x008, _READ, "Hash of the machine's configuration; programs carry the same."),
        Register("CAPABILITY_COUNT", 0x00C, _READ, "Number of valid words in CAPABILITY."),
        Register(
            "CONTROL",
            0x010,
            Access.COMMAND,
            "Orders to the machine.",
            (
                Field("start", 0, 1, "run the program from its first instruction; ignored while busy or in error"),
                Field("reset", 1, 1, "soft reset: stop issuing, let outstanding bursts end, reset"),
            ),
            width=2,
        ),
        Register(
            "STATUS",
            0x014,
            _READ,
            "State of the machine; all 0 is idle.",
            (
                Field("busy", 0, 1, "a program runs"),
                Field("done", 1, 1, "the last program reached its END; cleared by start and reset"),
                Field("error", 2, 1, "stopped with an error; cleared by reset only"),
                Field("resetting", 3, 1, "a soft reset waits for outstanding bursts"),
                Field(
                    "error_code",
                    8,
                    4,
                    ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ErrorCode),
                ),
            ),
        ),
        Register("IRQ_ENABLE", 0x018, Access.READ_WRITE, "Events that raise the interrupt.", _EVENTS, width=2),
        Register("IRQ_STATUS", 0x01C, Access.CLEAR, "Events that happened; write 1 to clear.", _EVENTS, width=2),
        Register(
            "PROGRAM_LENGTH",
            0x020,
            Access.READ_WRITE,
            "Instructions in the program, which starts at REGION_BASE[0].",
            width=INDEX_WIDTH,
        ),
        Register("FAULT_INDEX", 0x024, _READ, "Index of the instruction that caused the error.", width=INDEX_WIDTH),
        Register("FAULT_ADDRESS_LO", 0x028, _READ, "Address of the burst that met a bus error, low half."),
        Register("FAULT_ADDRESS_HI", 0x02C, _READ, "The same, high half."),
        Register(
            "REGION_BASE_LO",
            0x040,
            Access.READ_WRITE,
            "Where each region lies in memory, low half. Multiples of 64.",
            count=REGION_COUNT,
            stride=8,
        ),
        Register("REGION_BASE_HI", 0x044, Access.READ_WRITE, "The same, high half.", count=REGION_COUNT, stride=8),
        Register("CYCLES_LO", 0x080, _READ, "Cycles since start, low half; stands still after the end."),
        Register("CYCLES_HI", 0x084, _READ, "The same, high half."),
        Register("COMPUTE_BUSY", 0x088, _READ, "Cycles in which the core computed."),
        Register("STALL_LOAD", 0x08C, _READ, "Cycles in which the oldest compute instruction waited for a load."),
        Register("STALL_STORE", 0x090, _READ, "Cycles in which the oldest compute instruction waited for a store."),
        Register("STALL_FETCH", 0x094, _READ, "Cycles in which the core had no instruction."),
        Register("STALL_DRAIN", 0x098, _READ, "Cycles in which the core waited for its own results to drain."),
        Register("READ_BEATS", 0x09C, _READ, "Data beats read over the bus, program included."),
        Register("WRITE_BEATS", 0x0A0, _READ, "Data beats written over the bus."),
        Register(
            "DISPATCHED",
            0x0C0,
            _READ,
            _queue_description("Instructions put into the queue."),
            (),
            _QUEUES,
            4,
            INDEX_WIDTH,
        ),
        Register("COMPLETED", 0x0D0, _READ, _queue_description("Instructions completed."), (), _QUEUES, 4, INDEX_WIDTH),
        Register(
            "HEAD",
            0x0E0,
            _READ,
            _queue_description("The oldest instruction that has not started."),
            (
                Field("valid", 0, 1, "there is one"),
                Field("lacks", 1, 3, "bit n: it waits for a token from queue n; none: for its unit"),
                Field("index", 8, INDEX_WIDTH, "its index in the program"),
            ),
            _QUEUES,
        ),
        Register(
            "ACTIVE",
            0x0F0,
            _READ,
            _queue_description("The oldest instruction that has started and not completed."),
            (Field("valid", 0, 1, "there is one"), Field("index", 8, INDEX_WIDTH, "its index in the program")),
            _QUEUES,
        ),
        Register(
            "CAPABILITY", 0x100, _READ, "Parameters of the machine; the machine says which.", (), CAPABILITY_SPACE
        ),
        Register(
            "STAMP",
            0x400,
            _READ,
            "CYCLES_LO at the completion of the instruction with this stamp index.",
            (),
            STAMP_COUNT,
        ),
    )
)
