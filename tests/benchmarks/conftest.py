"""The benchmark is a script with its modules beside it: tests import them the same way."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(FOLDER))
