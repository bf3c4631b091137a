"""How the memory on a machine's bus behaves, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gatewright.errors import ConfigError

__all__ = ["MEMORIES", "ErrorRange", "MemoryOptions"]


@dataclass(frozen=True)
class ErrorRange:
    """Addresses of the bus (not offsets into the memory) that answer with an error."""

    start: int
    size: int
    response: str = "SLVERR"
    reads: bool = True
    writes: bool = True

    def __post_init__(self) -> None:
        if self.response not in ("SLVERR", "DECERR"):
            raise ConfigError(f"Response of an error range must be SLVERR or DECERR, not {self.response!r}")


@dataclass(frozen=True)
class MemoryOptions:
    """Timing and manners of the memory; all times in clock cycles.

    - `read_latency`: from the handshake of a read's address to its first beat; 1 is the next cycle.
    - `write_latency`: from the handshake of a write's last beat to its response.
    - `jitter`: each latency is longer by up to so many cycles, at random.
    - `read_limit`, `write_limit`: bursts that may be outstanding; further addresses wait.
    - `read_wait`, `write_wait`: cycles that an address waits for its READY.
    - `serial`: a read's latency begins no earlier than the last beat of the read before it.
    - `write_gap`: from the handshake of a write's address, and from the last beat of the write before it, to its first
      beat; 1 is the next cycle.
    - `run_cycles`, `pause_cycles`: data moves, at a beat a cycle each way, for so many cycles, then rests for so many;
      a pause of 0 means never.
    - `stall_probability`: of a pause of random length to begin, on every channel of both interfaces, in every cycle.
    - `reorder`: bursts of different IDs are answered in any order and read beats interleaved; reads and writes take
      effect anywhere between their request and their response.
    - `check_hazards`: a read and a write of one bus word that are outstanding together are a `ProtocolError`. Not a
      rule of AXI, and no fault where the two mean different bytes of the word.
    - `host_cycles`: cycles that pass after each register access.
    - `errors`: places that answer with an error.
    """

    read_latency: int = 32
    write_latency: int = 32
    jitter: int = 0
    read_limit: int = 8
    write_limit: int = 4
    read_wait: int = 0
    write_wait: int = 0
    serial: bool = False
    write_gap: int = 1
    run_cycles: int = 0
    pause_cycles: int = 0
    stall_probability: float = 0.0
    reorder: bool = False
    check_hazards: bool = False
    host_cycles: int = 8
    errors: tuple[ErrorRange, ...] = ()

    def __post_init__(self) -> None:
        for name in ("read_latency", "write_latency", "read_limit", "write_limit", "write_gap"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} of the memory must be at least 1, not {getattr(self, name)}")
        for name in ("jitter", "read_wait", "write_wait", "run_cycles", "pause_cycles", "host_cycles"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} of the memory must not be negative, not {getattr(self, name)}")
        if self.pause_cycles and not self.run_cycles:
            raise ConfigError("run_cycles of the memory must be at least 1 where pause_cycles is not 0")
        if not 0 <= self.stall_probability <= 0.95:
            raise ConfigError(f"stall_probability of the memory must be 0..0.95, not {self.stall_probability}")

    @property
    def is_deterministic(self) -> bool:
        """Whether the cycles of a run depend on nothing but the program: no random pauses."""
        return not (self.stall_probability or self.jitter or self.reorder)

    @staticmethod
    def named(name: str) -> "MemoryOptions":
        """Return the options of that name."""
        if name not in MEMORIES:
            raise ConfigError(f"Memory must be one of {', '.join(MEMORIES)}, not {name!r}")
        return MEMORIES[name]


MEMORIES: Mapping[str, MemoryOptions] = MappingProxyType(
    {
        # A DRAM behind an interconnect.
        "default": MemoryOptions(),
        # As good as a memory on a bus can be: what remains is the machine's own time.
        "ideal": MemoryOptions(read_latency=1, write_latency=1, read_limit=16, write_limit=16),
        # NNgen's own test bench, whose `read_delay` and `write_delay` are 10. A read's address is taken after 2 cycles
        # and waits in line; its delay begins when the read before it has ended, and 3 cycles go by around it. A write's
        # address is taken after its delay and 2 cycles more, while data of the write before it may move. The count to
        # `sleep_interval` 16 lets 15 cycles of data pass, then reads and writes rest for `keep_sleep` 4.
        "nngen": MemoryOptions(
            read_latency=13,
            write_latency=1,
            read_limit=8,
            write_limit=8,
            read_wait=2,
            write_wait=12,
            serial=True,
            write_gap=2,
            run_cycles=15,
            pause_cycles=4,
        ),
        # Whatever the protocol allows, by seed.
        "stalls": MemoryOptions(read_latency=4, write_latency=4, jitter=60, stall_probability=0.15, reorder=True),
    }
)
"""The memories that have a name."""
