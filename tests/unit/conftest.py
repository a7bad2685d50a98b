import pytest

from tests.harness import Gate


@pytest.fixture
def gate() -> Gate:
    """Every handler, over fakes."""
    return Gate()
