"""The decision of `_core`, again, where it must be atomic: as a script inside Redis.

It decides and stores; what a decision says (remaining, reset, retry) is computed from the
state that it returns by the same functions that the memory limiter uses. A test holds the
two equal, decision by decision.

An item is one hit: KEYS are its limits' keys, ARGV is

    number of limits, mode, cost, then for each limit: algorithm, limit, period in us

and its entry in the reply is

    allowed, now, then three numbers of state for each limit.

Everything compared is a whole number below 2**53, where Lua's doubles are exact:
`Rate` sees to that. State is text: "first second third", in microseconds and hits.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ADD", "GIVE_BACK", "HIT", "PEEK", "RATE_LIMIT", "RESET"]

HIT: Final = 0
PEEK: Final = 1
RESET: Final = 2
ADD: Final = 3
"""Spend without asking, as far as the limit goes: what an outage let through."""

RATE_LIMIT: Final = """
local call, format, match, ceil = redis.call, string.format, string.match, math.ceil
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]

local out, n, a = {}, 0, 0

-- Hits on one fixed window, by far the most frequent items, as long as they lead the others:
-- without functions, and without tables for the limits, each takes half of the server's time.
while ARGV[a + 1] == '1' and ARGV[a + 2] == '0' and ARGV[a + 4] == 'f' do
  n = n + 1
  local limit, period, start, count = ARGV[a + 5] + 0, ARGV[a + 6] + 0, 0, 0
  local stored = call('GET', KEYS[n])
  if stored then
    start, count = match(stored, '^(%d+) (%d+)')
    start, count = start + 0, count + 0
  end
  local future = start > now
  if count == 0 or now >= start + period then
    start, count = now, 0
  elseif future then
    start = now
  end
  local spent = count + ARGV[a + 3]
  local fits = spent <= limit
  if fits then count = spent end
  if fits or future then
    call('SET', KEYS[n], format('%.0f %.0f 0', start, count), 'PX', ceil((start + period - now) / 1000))
  end
  out[n] = {fits and 1 or 0, now, start, count, 0}
  a = a + 6
end
if not ARGV[a + 1] then return out end
local k = n

-- A state brought to now, and *cost* spent if it fits (or is added, as far as it goes):
-- whether it fitted, the three numbers of the state, and when nothing is spent any more.
local function judge(algorithm, limit, period, one, two, three, cost, add)
  if algorithm == 'f' then -- start of the window, count
    if two == 0 or now >= one + period then
      one, two = now, 0
    elseif now < one then
      one = now
    end
    local fits = two + cost <= limit
    if fits then two = two + cost elseif add then two = limit end
    return fits, one, two, 0, one + period
  elseif algorithm == 's' then -- start of the window, count of the one before, count
    if now >= one + 2 * period or (three == 0 and (two == 0 or now >= one + period)) then
      one, two, three = now, 0, 0
    elseif now >= one + period then
      one, two, three = one + period, three, 0
    elseif now < one then
      one = now
    end
    local room = limit - three - cost
    local fits = room >= 0 and two * (one + period - now) <= room * period
    if fits then three = three + cost elseif add then three = math.min(limit, three + cost) end
    return fits, one, two, three, one + (three > 0 and 2 or 1) * period
  end
  -- a bucket: when nothing is spent any more
  local step = ceil(period / limit)
  local used = math.min(math.max(one - now, 0), limit * step)
  local spent = used + cost * step
  local fits = spent <= limit * step
  if not fits then spent = add and limit * step or used end
  return fits, now + spent, 0, 0, now + spent
end

while ARGV[a + 1] do
  local limits, mode, cost = ARGV[a + 1] + 0, ARGV[a + 2], ARGV[a + 3] + 0
  local reply, after, allowed = {1, now}, {}, true
  for i = 1, limits do
    local at, to, e = a + 3 * i, 3 * i - 1, 4 * i
    local one, two, three = 0, 0, 0
    local stored = call('GET', KEYS[k + i])
    if stored then
      one, two, three = match(stored, '^(%d+) (%d+) (%d+)')
      one, two, three = one + 0, two + 0, three + 0
    end
    reply[to + 1], reply[to + 2], reply[to + 3] = one, two, three
    local fits
    fits, after[e], after[e + 1], after[e + 2], after[e + 3] = judge(
      ARGV[at + 1], ARGV[at + 2] + 0, ARGV[at + 3] + 0, one, two, three, cost, mode == '3')
    allowed = allowed and fits
  end
  if mode == '2' then
    call('DEL', unpack(KEYS, k + 1, k + limits))
  elseif mode ~= '1' then
    for i = 1, limits do
      local at, to, e = a + 3 * i, 3 * i - 1, 4 * i
      local was = reply[to + 1]
      local one, two, three, ends = after[e], after[e + 1], after[e + 2], after[e + 3]
      local spend = allowed or mode == '3'
      if not spend and was > now then
        local _
        _, one, two, three, ends = judge(ARGV[at + 1], ARGV[at + 2] + 0, ARGV[at + 3] + 0,
          was, reply[to + 2], reply[to + 3], 0)
      end
      -- A state from the future (the clock went back) is brought to now even if refused,
      -- or its key would wait for the clock to come back too.
      if spend or (was > now and one < was) then
        reply[to + 1], reply[to + 2], reply[to + 3] = one, two, three
        call('SET', KEYS[k + i], format('%.0f %.0f %.0f', one, two, three),
          'PX', math.max(1, ceil((ends - now) / 1000)))
      end
    end
  end
  if not allowed then reply[1] = 0 end
  n = n + 1
  out[n] = reply
  k, a = k + limits, a + 3 + 3 * limits
end
return out
"""

GIVE_BACK: Final = """
-- An item is what is left of a lease: KEYS are its limits' keys, ARGV is
--     number of limits, units, then for each limit: start of the window they were taken from
-- and its entry is the number of limits that took them back: a window that is over does not.
local out, n, k, a = {}, 0, 0, 0
while ARGV[a + 1] do
  local limits, units, took = ARGV[a + 1] + 0, ARGV[a + 2] + 0, 0
  for i = 1, limits do
    local key = KEYS[k + i]
    local stored = redis.call('GET', key) or ''
    local start, two, three = string.match(stored, '^(%d+) (%d+) (%d+)')
    if start == ARGV[a + 2 + i] then
      took, two, three = took + 1, two + 0, three + 0
      -- A fixed window counts in the second number, a sliding one in the third.
      if three > 0 then three = math.max(0, three - units) else two = math.max(0, two - units) end
      if two + three == 0 then
        redis.call('DEL', key)
      else
        redis.call('SET', key, string.format('%s %.0f %.0f', start, two, three), 'KEEPTTL')
      end
    end
  end
  n = n + 1
  out[n] = took
  k, a = k + limits, a + 2 + limits
end
return out
"""
