"""The part of the page about the bitfusion machine."""

from __future__ import annotations

from bitfusion import BitfusionFindings, Layer, Network
from tables import table, verdict

__all__ = ["bitfusion_section"]

_INTRODUCTION = """\
## The bitfusion machine

16 x 16 fusion units, 16 post lanes, a bus of 256 bits, memory with 32 cycles of latency. Random integers, 8-bit
results. Cycles in RTL, beside those of the model.

### What narrow operands gain

3 x 3 convolutions. `lanes filled` is the factor over 8 x 8 that all lanes of the units would give, rounded up to whole
cycles; 0.9 of it is asked for.
"""

_NETWORKS = """\
### Networks

Batch 1, 8-bit images. `formula` is Σ max(c, b / 32) over the layers, where c are the cycles of the authors' simulator
(`B·ceil(OC/M)·OW·OH·K²·ceil(IC/(N·pf))`, the first layer and products `ceil(K²·IC/(N·pf))`) and b the bytes of weights.
`idle` is the share of cycles in which the array had nothing to do, waiting for memory for the most part.
"""

_AREA = """\
### What composability costs

A 4 x 4 array with fusion units takes {units:,} lookup tables (UltraScale+, no DSPs), one with 8 x 8 multipliers
{multipliers:,}: {ratio:.2f} times as many. The authors report 3.4 times the area (45 nm). `composable = false` builds
the second one.
"""


def bitfusion_section(findings: BitfusionFindings) -> str:
    """Convolutions, networks, area."""
    headings = ["convolution", "bits", "cycles>", "model>", "speed-up>", "lanes filled>", "kept", "equal"]
    layers = table(headings, (_layer(one) for one in findings.layers))
    headings = ["network", "bits", "cycles>", "model>", "idle>", "formula>", "ratio>", "kept", "equal"]
    networks = table(headings, (_network(one) for one in findings.networks))
    units, multipliers = findings.area.units, findings.area.multipliers
    area = _AREA.format(units=units, multipliers=multipliers, ratio=units / multipliers)
    return "\n".join([_INTRODUCTION, layers, _NETWORKS, networks, area])


def _layer(one: Layer) -> list[str]:
    channels, filters, size = one.shape
    return [
        f"{channels} to {filters}, {size} x {size}",
        f"{one.pair[0]} x {one.pair[1]}",
        f"{one.run.rtl:,}",
        f"{one.run.model:,}",
        f"{one.speedup:.2f}",
        f"{float(one.wanted):.2f}",
        "-" if one.check is None else verdict(one.check.met),
        verdict(one.run.equal),
    ]


def _network(one: Network) -> list[str]:
    return [
        one.name,
        str(one.width),
        f"{one.run.rtl:,}",
        f"{one.run.model:,}",
        f"{one.run.idle / one.run.rtl:.0%}",
        f"{one.formula:,}",
        f"{one.run.rtl / one.formula:.3f}",
        verdict(one.check.met),
        verdict(one.run.equal),
    ]
