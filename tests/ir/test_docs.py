"""The pages on numerics and on operators are true."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

from gatewright import ir, passes

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["numerics.md", "adding-an-operator.md"])
def test_examples_run(page):
    result = doctest.testfile(str(DOCS / page), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_table_of_operators_is_that_of_the_code():
    rows = []
    for op in ir.OPERATORS:
        meaning = " ".join(op.__doc__.split("\n\n")[0].split()).replace("|", r"\|")
        rows.append(f"| `{op.name}` | {', '.join(op.operands)} | {meaning} |")
    table = "\n".join(rows) + "\n"
    assert (DOCS / "numerics.md").read_text(encoding="utf-8").endswith(table), f"the table must end in\n{table}"


def test_operator_of_the_how_to(tmp_path):
    """The file the page shows is an operator as it stands."""
    text = (DOCS / "adding-an-operator.md").read_text(encoding="utf-8")
    source = re.search(r"```python\n(\"\"\".*?)```", text, re.DOTALL)[1]
    namespace = {"__name__": "gatewright.ir.ops.absolute"}
    exec(compile(source, "absolute.py", "exec"), namespace)
    absolute = namespace["Absolute"]
    b = ir.Builder("g")
    b.output(b.add(absolute(3), b.input("x", ir.TensorType((3,), ir.I8))))
    graph = passes.run_passes(b.build())
    assert graph.evaluate(np.array([-128, 3, 100]))["absolute"].tolist() == [127, 0, 97]
    with pytest.raises(ir.GraphError, match=r"x must be signed, not u8\[3\]"):
        absolute(3).infer(ir.TensorType((3,), ir.U8))
