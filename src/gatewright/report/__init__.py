"""Reports: the same figures as JSON and on a terminal, the manifest, and the tables of the documentation."""

from gatewright.report.figures import (
    Comparison,
    Reference,
    compulsory_bytes,
    finite_memory_cycles,
    parameters_bytes,
    report_figures,
)
from gatewright.report.machines import render_targets
from gatewright.report.manifest import build_manifest
from gatewright.report.support import parameter_table, support_page, support_table
from gatewright.report.synthesis import MemoryRow, SynthesisLog, synthesis_log
from gatewright.report.terminal import render_report, render_text

__all__ = [
    "Comparison",
    "MemoryRow",
    "Reference",
    "SynthesisLog",
    "build_manifest",
    "compulsory_bytes",
    "finite_memory_cycles",
    "parameter_table",
    "parameters_bytes",
    "render_report",
    "render_targets",
    "render_text",
    "report_figures",
    "support_page",
    "support_table",
    "synthesis_log",
]
