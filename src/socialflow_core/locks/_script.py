"""Taking a lock in Redis, in one step with its fence.

Renewing and releasing are redis-py's own scripts, which look at the lock's key alone; the
fence is a key beside it, in the same slot of a cluster.
"""

from __future__ import annotations

__all__ = ["FENCE_KEPT_MS", "TAKE"]

FENCE_KEPT_MS = 7 * 24 * 3600 * 1000
"""How long the last fence is remembered. After that, as after a flush, the server's clock
alone makes the next one higher."""

# KEYS: the lock, its fence. ARGV: token, ttl, how long to keep the fence (milliseconds).
# Answers the fence, or 0 if somebody else holds the lock. Whoever comes with the token that
# is in the lock had it before, and only the answer was lost: the same fence again.
TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  local fence = redis.call('GET', KEYS[2])
  if fence then return fence end
elseif holder then
  return 0
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = tonumber(redis.call('GET', KEYS[2]) or 0) or 0
local fence = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return fence
"""
