"""What `import gatewright` offers."""

import inspect

import gatewright


def test_everything_public_is_there_and_documented():
    for name in gatewright.__all__:
        assert getattr(gatewright, name).__doc__, name


def test_functions_are_functions_although_modules_have_their_names():
    for name in ("compile", "load", "quantize", "run", "verify", "emit"):
        assert inspect.isfunction(getattr(gatewright, name)), name
