"""docs/onnx.md: its table is that of the code, and its example runs."""

import doctest
from pathlib import Path

from gatewright.frontends.onnx.ops import support_table

PAGE = Path(__file__).parents[3] / "docs" / "onnx.md"
BEGIN, END = "<!-- operators: generated -->\n", "\n<!-- end -->"


def test_table_is_up_to_date() -> None:
    assert PAGE.read_text().split(BEGIN)[1].split(END)[0] == support_table()


def test_example_runs() -> None:
    assert doctest.testfile(str(PAGE), module_relative=False).failed == 0
