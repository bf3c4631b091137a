"""Lines of Python in each package of src/gatewright; `python tests/architecture/sizes.py` prints them."""

import ast
from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "gatewright"


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def package(path: Path) -> str:
    """The package a file belongs to; a module at the top is its own."""
    parts = path.relative_to(SOURCE).parts
    if len(parts) == 1:
        return parts[0].removesuffix(".py")
    return "/".join(parts[:2]) if parts[0] == "targets" and len(parts) > 2 else parts[0]


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path) -> list[tuple[str, int, int]]:
    """Name, lines and positional parameters (but `self`) of every function."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            count = len([name for name in names if name not in ("self", "cls")])
            found.append((node.name, (node.end_lineno or 0) - node.lineno + 1, count))
    return found


def main() -> None:
    lines: Counter[str] = Counter()
    for path in files():
        lines[package(path)] += count_lines(path)
    for name, count in lines.most_common():
        print(f"{count:6}  {name}")
    print(f"{lines.total():6}  in all")


if __name__ == "__main__":
    main()
