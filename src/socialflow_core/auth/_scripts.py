"""What has to be atomic inside Redis: revoking, asking, and the turn of a refresh token.

One zset a kind holds the names with their ends, a hash the epochs of users. Each change is
told in a stream, where it says after which one it came: the *tip* is the last one's id and
a random number, so that equal tips mean equal histories, whatever happened in between.

Names are 16 bytes; moments microseconds, below 2**53, where Lua's doubles are exact.
Every key expires with the last of what it holds.

The keys of revocations, in their order: tokens, sessions, users, befores, all, tip, stream.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ASK", "BEGIN", "END", "LIST", "OWNS", "RENAME", "REVOKE", "TURN"]

_COMMON = """
local call, format, ceil = redis.call, string.format, math.ceil
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local out, k, a = {}, 0, 0

-- The key lives at least until then.
local function keep(key, kept)
  local left = ceil((kept - now) / 1000)
  if left > call('PTTL', key) then call('PEXPIRE', key, left) end
end

-- The first few that have ended: each change clears away more than it adds.
local function ended(key)
  return call('ZRANGEBYSCORE', key, '-inf', format('%.0f', now), 'LIMIT', 0, 16)
end
"""

_REVOKE = """
-- Whether that was news, and from which moment on it holds.
local function revoke(at, most, kind, name, before, kept, random)
  before, kept = before + 0, kept + 0
  if kept <= now then return 0, before end
  local changed = false
  if kind == 'a' then
    local was, till = string.match(call('GET', KEYS[at + 5]) or '0 0', '^(%d+) (%d+)$')
    if before == 0 or before > now then before = now end
    before = math.max(before, was + 0)
    changed = before > was + 0 or kept > till + 0
    kept = math.max(kept, till + 0)
    call('SET', KEYS[at + 5], format('%.0f %.0f', before, kept), 'KEEPTTL')
    keep(KEYS[at + 5], kept)
  elseif kind == 'u' then
    local was = (call('HGET', KEYS[at + 4], name) or 0) + 0
    if before == 0 or before > now then before = now end
    for _, over in ipairs(ended(KEYS[at + 3])) do
      call('ZREM', KEYS[at + 3], over)
      call('HDEL', KEYS[at + 4], over)
    end
    changed = call('ZADD', KEYS[at + 3], 'GT', 'CH', format('%.0f', kept), name) == 1 or before > was
    before = math.max(before, was)
    call('HSET', KEYS[at + 4], name, format('%.0f', before))
    kept = call('ZSCORE', KEYS[at + 3], name) + 0
    keep(KEYS[at + 3], kept)
    keep(KEYS[at + 4], kept)
  else
    local key = KEYS[at + (kind == 't' and 1 or 2)]
    for _, over in ipairs(ended(key)) do call('ZREM', key, over) end
    changed = call('ZADD', key, 'GT', 'CH', format('%.0f', kept), name) == 1
    keep(key, kept)
  end
  if changed then
    local told = kind .. name .. format('%.0f %.0f', before, kept)
    local tip = call('GET', KEYS[at + 6]) or ''
    local id = call('XADD', KEYS[at + 7], 'MAXLEN', '~', most, '*', 'p', tip, 'r', random, 'e', told)
    call('SET', KEYS[at + 6], id .. ':' .. random, 'KEEPTTL')
    keep(KEYS[at + 6], kept)
    keep(KEYS[at + 7], kept)
  end
  return changed and 1 or 0, before
end
"""

REVOKE: Final = (
    _COMMON
    + _REVOKE
    + """
while ARGV[a + 1] do
  local most, n, told = ARGV[a + 1], ARGV[a + 2] + 0, {}
  a = a + 2
  for i = 1, n do
    local _, before = revoke(k, most, ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5])
    told[i] = before
    a = a + 5
  end
  out[#out + 1] = told
  k = k + 7
end
return out
"""
)
"""An item: the keys of revocations; the stream's length, how many, and for each: kind,
name, before, kept, random. Its entry: from which moment on each holds."""

ASK: Final = """
local call, out = redis.call, {}
for i = 1, #KEYS / 4 do
  local k, a = 4 * (i - 1), 3 * (i - 1)
  local token, session = call('ZSCORE', KEYS[k + 1], ARGV[a + 1]), call('ZSCORE', KEYS[k + 2], ARGV[a + 2])
  local all = string.match(call('GET', KEYS[k + 4]) or '0', '^%d+')
  local user = call('HGET', KEYS[k + 3], ARGV[a + 3]) or '0'
  out[i] = {token and 1 or 0, session and 1 or 0, user, all}
end
return out
"""
"""An item: tokens, sessions, befores, all; the names of token, session, user. Its entry:
whether the first two are revoked, and before when tokens of the user, and all, are."""

_SESSIONS = """
-- The session is gone, from its user's list too.
local function drop(key, index, id)
  local owner = call('HGET', key, 'owner')
  if owner then call('ZREM', index .. owner, id) end
  call('DEL', key)
end

-- Listed until its token ends, and kept as long as that, with room for other clocks.
local function list(key, index, id, owner, expires, kept)
  call('ZREMRANGEBYSCORE', index .. owner, '-inf', format('%.0f', now - (kept - expires)))
  call('ZADD', index .. owner, format('%.0f', expires), id)
  keep(index .. owner, kept)
  call('PEXPIRE', key, math.max(1, ceil((kept - now) / 1000)))
end
"""

BEGIN: Final = (
    _COMMON
    + _SESSIONS
    + """
while ARGV[a + 1] do
  k = k + 1
  local index, skew, id, owner, expires = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 10]
  call('DEL', KEYS[k])
  call('HSET', KEYS[k], 'id', id, 'owner', owner, 'subject', ARGV[a + 5], 'name', ARGV[a + 6],
    'began', ARGV[a + 7], 'used', ARGV[a + 8], 'ends', ARGV[a + 9], 'expires', expires,
    'jti', ARGV[a + 11], 'issued', ARGV[a + 12], 'former', '', 'turned', 0)
  list(KEYS[k], index, id, owner, expires + 0, expires + skew)
  out[k] = 1
  a = a + 12
end
return out
"""
)
"""An item: the session's key; the prefix of lists, skew, id, digest of the subject, subject,
name, began, used, ends, expires, token id, issued. Its entry: 1."""

_COVERED = """
-- Whether a revocation covers it: asked here, for who asked before may have been behind.
-- A moment counts as in `predates`.
local function covered(at, mark, digest, owner, issued)
  if call('ZSCORE', KEYS[at + 1], mark) or call('ZSCORE', KEYS[at + 2], digest) then return true end
  local name = string.gsub(owner, '..', function(hex) return string.char(tonumber(hex, 16)) end)
  local user = call('HGET', KEYS[at + 4], name) or 0
  local all = string.match(call('GET', KEYS[at + 5]) or '0', '^%d+')
  local before = math.max(user + 0, all + 0)
  return issued < before and issued ~= before - before % 1000000
end
"""

TURN: Final = (
    _COMMON
    + _REVOKE
    + _SESSIONS
    + _COVERED
    + """
while ARGV[a + 1] do
  local key, index, skew, id = KEYS[k + 8], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local presented, jti, issued, expires, grace = ARGV[a + 4], ARGV[a + 5], ARGV[a + 6], ARGV[a + 7], ARGV[a + 8]
  local mark, digest = ARGV[a + 13], ARGV[a + 10]
  local state = call('HMGET', key, 'jti', 'issued', 'expires', 'former', 'turned', 'ends', 'owner')
  local told
  if not state[1] then
    told = {'unknown'}
  elseif covered(k, mark, digest, state[7], state[2] + 0) then
    drop(key, index, id)
    told = {'unknown'}
  elseif presented == state[1] then
    local last = math.min(expires + 0, state[6] + 0)
    if last <= issued + 0 then
      drop(key, index, id)
      told = {'unknown'}
    else
      expires = format('%.0f', last)
      call('HSET', key, 'jti', jti, 'issued', issued, 'expires', expires, 'used', issued,
        'former', presented, 'turned', format('%.0f', now))
      list(key, index, id, state[7], last, last + skew)
      told = {'rotated', jti, issued, expires}
    end
  elseif presented == state[4] and now < state[5] + grace then
    told = {'replayed', state[1], state[2], state[3]}
  else
    drop(key, index, id)
    revoke(k, ARGV[a + 9], 's', digest, 0, ARGV[a + 11], ARGV[a + 12])
    told = {'reused'}
  end
  out[#out + 1] = told
  k = k + 8
  a = a + 13
end
return out
"""
)
"""An item: the keys of revocations, and the session's; the prefix of lists, skew, id, the
token presented, id, issued and expires of its successor, grace, the stream's length, the
digest of the session, until when its revocation is kept, random, the name of the token
presented. Its entry: the outcome, and id, issued and expires of the current token."""

END: Final = (
    _COMMON
    + _REVOKE
    + _SESSIONS
    + """
while ARGV[a + 1] do
  local index, most, n = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3] + 0
  a = a + 3
  for i = 1, n do
    drop(KEYS[k + 7 + i], index, ARGV[a + 1])
    revoke(k, most, 's', ARGV[a + 2], 0, ARGV[a + 3], ARGV[a + 4])
    a = a + 4
  end
  out[#out + 1] = n
  k = k + 7 + n
end
return out
"""
)
"""An item: the keys of revocations, and those of sessions; the prefix of lists, the stream's
length, how many, and for each: id, its digest, until when kept, random. Its entry: how many."""

LIST: Final = (
    _COMMON
    + """
for i = 1, #KEYS do
  local told = {}
  local living = call('ZREVRANGEBYSCORE', KEYS[i], '+inf', format('(%.0f', now), 'LIMIT', 0, 1000)
  for _, id in ipairs(living) do
    local session = call('HMGET', ARGV[i] .. id, 'id', 'subject', 'name', 'began', 'used', 'expires', 'ends')
    if session[1] then told[#told + 1] = session end
  end
  out[i] = told
end
return out
"""
)
"""An item: a user's list; the prefix of sessions. Its entry: the sessions."""

OWNS: Final = """
local out = {}
for i = 1, #KEYS do
  out[i] = redis.call('HGET', KEYS[i], 'subject') == ARGV[i] and 1 or 0
end
return out
"""
"""An item: the session's key; the subject. Its entry: whether it is the user's."""

RENAME: Final = """
local out = {}
for i = 1, #KEYS do
  local mine = redis.call('HGET', KEYS[i], 'subject') == ARGV[2 * i - 1]
  if mine then redis.call('HSET', KEYS[i], 'name', ARGV[2 * i]) end
  out[i] = mine and 1 or 0
end
return out
"""
"""An item: the session's key; subject and name. Its entry: whether it is the user's."""
