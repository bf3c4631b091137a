"""The part of the page about the generated machine."""

from __future__ import annotations

from generated import Beside, Figure, GeneratedFindings
from tables import table, verdict

__all__ = ["generated_section"]

_INTRODUCTION = """\
## The generated machine beside NNgen

What NNgen 1.3.4 was measured on, through `gatewright.ng`: int8, bias, scale and ReLU where it is a layer, 32-bit bus,
as many multipliers as NNgen's parallelism gives it. Cycles in RTL; `nngen` is a memory as NNgen's test benches
have it, with their delays and pauses, `ideal` one that answers in the next cycle.
"""


def generated_section(findings: GeneratedFindings) -> str:
    """Cases, then everything else."""
    headings = ["case", "parallelism", "memory", "NNgen>", "bound>", "reached>", "kept", "equal", "machine"]
    cases = table(headings, (_case(one) for one in findings.cases))
    figures = table(["", "NNgen", "bound", "reached", "kept"], (_figure(one) for one in findings.figures))
    return "\n".join([_INTRODUCTION, cases, figures])


def _case(one: Beside) -> list[str]:
    case = one.case
    return [
        case.name,
        case.parallel,
        one.memory,
        *("-" if count is None else f"{count:,}" for count in (one.nngen, one.most, one.reached)),
        "-" if one.most is None else verdict(one.check.met),
        "-" if one.reached is None else verdict(one.equal),
        one.note.replace("\n", " ").replace("|", "\\|"),
    ]


def _figure(one: Figure) -> list[str]:
    return [one.what, one.nngen, one.bound, one.text, "-" if one.bound == "-" else verdict(one.met)]
