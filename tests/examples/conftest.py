"""Examples that need a framework are collected where it is installed."""

import importlib.util

FRAMEWORKS = ("torch", "onnxscript")

collect_ignore = [] if all(map(importlib.util.find_spec, FRAMEWORKS)) else ["test_torch.py"]
