"""Files and functions keep to the sizes of the style guide, with room for the rare exception."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("sizes", Path(__file__).with_name("sizes.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
sizes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sizes)

MOST_LINES = 500
USUAL_LINES = 300
MOST_FUNCTION_LINES = 80  # `elaborate`; others 60
MOST_PARAMETERS = 6
RARE = 0.1  # share of files that may be longer than usual
RARE_PARAMETERS = 0.01  # share of functions that may take more, as the definitions of the arithmetic do


def test_files_are_short():
    lengths = {path: sizes.count_lines(path) for path in sizes.files()}
    assert not {path: count for path, count in lengths.items() if count > MOST_LINES}
    long = [path for path, count in lengths.items() if count > USUAL_LINES]
    assert len(long) <= RARE * len(lengths), long


def test_functions_are_short():
    wrong = [
        f"{path.name}: {name} has {lines} lines"
        for path in sizes.files()
        for name, lines, _ in sizes.functions(path)
        if lines > (MOST_FUNCTION_LINES if name == "elaborate" else 60)
    ]
    assert not wrong, "\n".join(wrong)


def test_functions_take_few_parameters():
    wrong = [
        f"{path.name}: {name} takes {count} parameters"
        for path in sizes.files()
        if path.name != "cli.py"  # where a parameter is an option of the command line
        for name, _, count in sizes.functions(path)
        if count > MOST_PARAMETERS
    ]
    count = sum(len(sizes.functions(path)) for path in sizes.files())
    assert len(wrong) <= RARE_PARAMETERS * count, "\n".join(wrong)


def test_every_package_is_counted(capsys):
    sizes.main()
    printed = capsys.readouterr().out
    for name in ("ir", "hdl", "targets/array", "in all"):
        assert f"  {name}\n" in printed
