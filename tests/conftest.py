"""What every test may ask for."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast values are drawn depends on what else the computer does, and so must no test.
settings.register_profile("any computer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any computer")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of pretrained networks beside the repository; tests that need it are skipped elsewhere."""
    folder = Path(__file__).parents[2] / "shared" / "models"
    if not folder.is_dir():
        pytest.skip("the pretrained networks are not beside the repository")
    return folder
