"""docs/shell.md holds the register table that csr_map makes."""

from pathlib import Path

from gatewright.hdl.csr_docs import markdown
from gatewright.hdl.csr_map import REGISTER_MAP

PAGE = Path(__file__).parents[2] / "docs" / "shell.md"
BEGIN, END = "<!-- registers: generated -->\n", "\n<!-- end -->"


def test_register_table_is_up_to_date() -> None:
    table = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert table == markdown(REGISTER_MAP)
