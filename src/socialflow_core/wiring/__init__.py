"""Every block of a service, built from its settings when it is first used.

```python
from socialflow_core.wiring import Core

with Core.from_env(groups=["redis"]) as core:
    decision = core.rate_limiter.hit("ip:203.0.113.7", core.tiers.auth)
```

Blocks do not need it: each can be built by hand and used alone. This is the one place
where settings become blocks, and where a block meets another.
"""

from .capability import Capability
from .core import Core, Own
from .rate_limits import Tiers

__all__ = ["Capability", "Core", "Own", "Tiers"]
