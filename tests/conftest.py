"""What holds for the whole suite."""

from hypothesis import settings

# A property that is slow on a busy machine is still true.
settings.register_profile("house", settings(), deadline=None)
settings.load_profile("house")
