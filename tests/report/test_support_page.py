"""The support table of the documentation is what the machines claim: it cannot shrink unnoticed."""

from pathlib import Path

from gatewright.report import support_page
from gatewright.targets import targets

PAGE = Path(__file__).parents[2] / "docs" / "support.md"


def test_the_page_is_up_to_date():
    generated = support_page(targets())
    assert PAGE.read_text() == generated, "gatewright targets --markdown > docs/support.md"
