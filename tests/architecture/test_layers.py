"""Imports go down only, and each folder sees what it may see."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "gatewright"

# From the bottom. A package imports from its own layer and from those below it.
LAYERS = (
    {"errors", "locks"},
    {"ir"},
    {"program", "passes", "hdl", "host"},
    {"targets", "frontends", "quantize"},
    {"build", "compile", "report", "sim", "inputs", "verilog", "ipxact"},
    {"engines", "emit", "schedule", "verify", "cli", "explore", "ng", "price"},
    {"__init__", "__main__"},
)

# Outside libraries, and who may import them. The reason of each stands in pyproject.toml.
LIBRARIES = {
    "numpy": None,  # everybody
    "amaranth": {"hdl", "sim", "targets"},
    "onnx": {"frontends", "quantize", "compile", "build", "price"},
    "google": {"frontends"},  # protobuf, which onnx brings along: its errors are those of broken files
    "onnx_ir": {"frontends", "quantize"},
    "h5py": {"frontends"},
    "onnxruntime": {"frontends", "quantize"},
    "typer": {"cli"},
    "rich": {"cli", "report", "quantize"},
}


def package(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, at any depth, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports must be absolute"
            assert node.module is not None
            for alias in node.names:
                is_package = node.module == "gatewright"
                yield (f"gatewright.{alias.name}" if is_package else node.module), node.lineno


FILES = sorted(SOURCE.rglob("*.py"))
EDGES = [
    (path, package(path), name.split(".")[1] if "." in name else "__init__", line)
    for path in FILES
    for name, line in imports(path)
    if name.split(".")[0] == "gatewright"
]


def layer(name: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if name in names)


def test_every_package_has_a_layer():
    assert {package(path) for path in FILES} <= set.union(*LAYERS)


def test_imports_go_down():
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}: {importer} must not import {imported}"
        for path, importer, imported, line in EDGES
        if layer(imported) > layer(importer)
    ]
    assert not wrong, "\n".join(wrong)


def test_packages_do_not_import_in_circles():
    below: dict[str, set[str]] = {}
    for _, importer, imported, _ in EDGES:
        if importer != imported:
            below.setdefault(importer, set()).add(imported)

    def reach(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        for other in sorted(below.get(name, ())):
            reach(other, (*path, name))

    for name in sorted(below):
        reach(name, ())


def test_libraries_stay_where_they_belong():
    wrong = []
    for path in FILES:
        for name, line in imports(path):
            root = name.split(".")[0]
            if root == "gatewright" or root in sys.stdlib_module_names:
                continue
            allowed = LIBRARIES.get(root, set())
            if allowed is not None and package(path) not in allowed:
                wrong.append(f"{path.relative_to(SOURCE)}:{line}: {package(path)} must not import {root}")
    assert not wrong, "\n".join(wrong)


def test_the_model_of_a_machine_is_no_simulation_of_its_hardware():
    for path, importer, imported, line in EDGES:
        assert (importer, imported) != ("targets", "sim"), f"{path}:{line}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_it_is_and_what_it_offers(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path} must have a docstring"
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    assert "__all__" in names or path.name == "__main__.py", f"{path} must have an __all__"


@pytest.mark.parametrize("word", ["utils", "common", "helpers", "misc"])
def test_no_module_is_named_for_nothing_in_particular(word):
    assert not [path for path in FILES if word in path.stem.split("_")]
