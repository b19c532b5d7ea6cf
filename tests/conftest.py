"""What holds for the whole suite."""

import pytest
from hypothesis import settings

# The public contract suites tell why they fail, as the tests here do.
pytest.register_assert_rewrite("socialflow_core.testing")

# A property that is slow on a busy machine is still true.
settings.register_profile("house", settings(), deadline=None)
settings.load_profile("house")
