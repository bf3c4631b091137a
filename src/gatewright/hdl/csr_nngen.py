"""NNgen's register maps: the same kind of table as the shell's own, for machines made for one network.

From offset `OWN` on lie the shell's own registers that say how a run went: they are those of `csr_map`, moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gatewright.hdl.csr_map import REGISTER_MAP, Access, Field, Register, RegisterMap

__all__ = ["OWN", "VERSIONS", "NngenRegisters", "default_bases", "nngen_register_map"]

VERSIONS = ("1.3.4", "1.0")
OWN = 0x400
"""Where the shell's own registers begin."""

_ORDERS = frozenset({"CONTROL", "IRQ_ENABLE", "IRQ_STATUS", "PROGRAM_LENGTH", "REGION_BASE_LO", "REGION_BASE_HI"})
_WORD = 4
_READ, _WRITE = Access.READ, Access.READ_WRITE
_EVENTS = (
    Field("busy", 0, 1, "a run has ended: BUSY fell"),
    Field("extern", 1, 1, "the machine asks for an operator of the host; never"),
)


@dataclass(frozen=True)
class NngenRegisters:
    """What the map of one machine depends on.

    `bases` are (name, initial value) of each region: temporaries, outputs, placeholders, variables and constants.
    """

    bases: Sequence[tuple[str, int]]
    headers: tuple[int, int, int, int] = (0, 0, 0, 0)
    offset: int = 0
    """Initial value of GLOBAL_OFFSET."""
    version: str = "1.3.4"
    interrupt: bool = True
    """Whether there are ISR, IER and IAR (in 1.3.4 only)."""
    measurable: bool = True
    """Whether there are COUNT, COUNT_STATE and COUNT_DIV (in 1.3.4 only)."""


def nngen_register_map(given: NngenRegisters) -> RegisterMap:
    """The map of one machine.

    Raises
    ------
    ValueError
        If the version is unknown, or there are more regions than registers before `OWN`.
    """
    if given.version not in VERSIONS:
        raise ValueError(f"version of NNgen's register map must be one of {', '.join(VERSIONS)}, not {given.version!r}")
    at = 128 if given.version == "1.3.4" else 36
    room = (OWN - at) // _WORD - 1
    if len(given.bases) > room:
        raise ValueError(f"regions must be at most {room}, not {len(given.bases)}")
    middle = _between(given) if given.version == "1.3.4" else []
    return RegisterMap((*_first(given), *middle, *_places(given, at), *_own()), forgiving=True)


def _first(given: NngenRegisters) -> list[Register]:
    """What both versions have in the same place."""
    headers = ", ".join(f"{value:#x}" for value in given.headers)
    return [
        Register("HEADER", 0, _READ, f"Numbers of the configuration: {headers}.", count=4),
        Register("START", 16, Access.REQUEST, "Write 1 to run; reads 0 once the machine has begun.", width=1),
        Register("BUSY", 20, _READ, "1 while a run or a reset is under way.", width=1),
        Register(
            "RESET", 24, Access.REQUEST, "Write 1 to reset once no burst is outstanding; other registers stay.", width=1
        ),
        Register("EXTERN_SEND", 28, _READ, "Operator that the host is to compute: none, 0."),
        Register("EXTERN_RECV", 32, _READ, "Write 1 when it is computed; without effect."),
    ]


def _between(given: NngenRegisters) -> list[Register]:
    """What 1.3.4 added."""
    registers = []
    if given.interrupt:
        registers += [
            Register("ISR", 36, _READ, "Events that happened.", _EVENTS, width=2),
            Register("IER", 40, _WRITE, "Events that raise the interrupt.", _EVENTS, width=2),
            Register("IAR", 44, Access.COMMAND, "Write 1 to clear an event.", _EVENTS, width=2),
        ]
    if given.measurable:
        registers += [
            Register("COUNT", 48, _READ, "Counts up every COUNT_DIV + 1 cycles of the layer that COUNT_STATE names."),
            Register("COUNT_STATE", 52, _WRITE, "Layer to count, from 1 on in the program's order; 0: none.", width=16),
            Register("COUNT_DIV", 56, _WRITE, "Cycles of a step of COUNT, minus 1.", width=16),
        ]
    return [
        *registers,
        Register("ADDRESS_SPACE", 124, _READ, "Bytes of all regions, as they lie without BASE written."),
    ]


def _places(given: NngenRegisters, at: int) -> list[Register]:
    text = "Address that is added to every BASE."
    names = ", ".join(f"{index} {name}" for index, (name, _) in enumerate(given.bases))
    bases = f"Where each region lies, from GLOBAL_OFFSET on: {names}. Multiples of 64."
    values = tuple(value for _, value in given.bases)
    return [
        Register("GLOBAL_OFFSET", at, _WRITE, text, initial=(given.offset,)),
        Register("BASE", at + _WORD, _WRITE, bases, count=len(values), initial=values),
    ]


def _own() -> list[Register]:
    return [replace(each, offset=OWN + each.offset) for each in REGISTER_MAP if each.name not in _ORDERS]


def default_bases(sizes: Sequence[int], alignment: int) -> tuple[tuple[int, ...], int]:
    """NNgen's address map: each region (temporaries, the first, lie last) at a multiple of `alignment`; and the end."""
    ends = [0]
    for size in (*sizes[1:], sizes[0]):
        ends.append(ends[-1] + -(-size // alignment) * alignment)
    starts = [start for start, _ in pairwise(ends)]
    return (starts[-1], *starts[:-1]), ends[-1]
