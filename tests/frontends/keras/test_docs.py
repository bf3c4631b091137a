"""docs/keras.md: its table is that of the code, and its list of activations."""

from pathlib import Path

from gatewright.frontends.keras import support_table
from gatewright.frontends.keras.activations import ACTIVATIONS

PAGE = (Path(__file__).parents[3] / "docs" / "keras.md").read_text()
BEGIN, END = "<!-- layers: generated -->\n", "\n<!-- end -->"


def test_table_is_up_to_date() -> None:
    assert PAGE.split(BEGIN)[1].split(END)[0] == support_table()


def test_activations_are_listed() -> None:
    assert ", ".join(f"`{name}`" for name in ACTIVATIONS) in PAGE.replace("\n", " ")
