"""Backend building blocks, each usable alone.

Import the block that you need, not this package: nothing is re-exported here
but what every block shares.

>>> from socialflow_core import Secret
>>> Secret("hunter2")
Secret('**********')
"""

from ._kit.errors import CoreError
from ._kit.secrets import Secret

__all__ = ["CoreError", "Secret", "__version__"]

__version__ = "0.1.0"
