"""What every test may ask for."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of pretrained networks beside the repository; tests that need it are skipped elsewhere."""
    folder = Path(__file__).parents[2] / "shared" / "models"
    if not folder.is_dir():
        pytest.skip("the pretrained networks are not beside the repository")
    return folder
