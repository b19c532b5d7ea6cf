"""What has to be one step on the server: scripts, how to word them, what their replies mean.

Names of what is stored, with the prefix `p`:

```
{p}:e:<key>     an entry: "stamp grace took" and a newline, then `_entry.pack`
{p}:l:<key>     who computes it: the token of the claim, and when it ends (ms); kept for longer
{p}:t:<tag>     the version of a tag; that of no text is of everything, and names the server
```

A tag's version is the token of whoever needed one first, so none ever comes twice; to
invalidate is to delete it. An entry holds its tags' versions as its stamp, and is valid only
while they are what they were. All names share one hash tag, so a cluster keeps a cache on one
node: scripts need that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ._entry import pack, unpack
from ._keys import digest_of, name_of
from ._stored import Claim, Reply, Written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._stored import Entry, Query

__all__ = ["DROP", "READ", "RECOVER", "WRITE", "Names", "read_reply", "written"]

Argument: TypeAlias = str | bytes | int
Item: TypeAlias = tuple[list[str], list[Argument]]
"""KEYS and ARGV of one item; a script takes any number of items, laid end to end."""

# A version that ran out would only cost its entries; those that are needed are prolonged.
_VERSION_MS = 86_400_000
_MS = 1000
# A claim that ran out is kept so many times as long: what was computed under it is stored if
# nobody else has claimed it since.
_KEPT = 10
# What the server's clock and id are is asked for only when needed; a user who may not ask for
# the id (INFO is "dangerous") is one whose server may have been started again at any time.
_SERVER = """
local call, try, match = redis.call, redis.pcall, string.match
local clock
local function now()
  if not clock then
    local time = call('TIME')
    clock = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return clock
end
local function server()
  local told = try('INFO', 'server')
  return type(told) == 'string' and match(told, 'run_id:(%x+)') or '?'
end
"""

# KEYS: entry, claim, tags. ARGV: number of tags, token, how long to claim (ms), eagerness,
# digest of the tags' names, how long a version lives (ms). The entry of a reply: the entry
# ('' if there is none), ms left; and if somebody is to compute: the claim, the stamp.
READ: Final = (
    _SERVER
    + """
local out, n, k, a = {}, 0, 0, 0
while ARGV[a + 1] do
  local tags, token, early = ARGV[a + 1] + 0, ARGV[a + 2], ARGV[a + 4] + 0
  local got = call('MGET', unpack(KEYS, k + 1, k + 2 + tags))
  local entry, claim, left, stamp, whole = got[1], 0, 0, ARGV[a + 5], true
  for i = 3, tags + 2 do
    if got[i] then stamp = stamp .. ',' .. got[i] else whole = false end
  end
  local wanted = true
  if entry then
    local seen, grace, took = match(entry, '^(%S+) (%d+) (%d+)\\n')
    if whole and seen == stamp then
      left = call('PTTL', KEYS[k + 1])
      wanted = early < 0 or left - grace <= took * early
    else
      entry = false
    end
  end
  n = n + 1
  if not wanted then
    out[n] = {entry, left}
  else
    claim = 2
    if not got[2] or now() >= (match(got[2], ' (%d+)$') or 0) + 0 then
      local until_ms = string.format('%s %.0f', token, now() + ARGV[a + 3])
      claim = try('SET', KEYS[k + 2], until_ms, 'PX', ARGV[a + 3] * KEPT).err and 3 or 1
      if claim == 1 and not whole then
        stamp = ARGV[a + 5]
        for i = 3, tags + 2 do
          local version = got[i]
          if not version then
            version = token
            local done
            if i == 3 then
              version = token .. '@' .. server()
              done = try('SET', KEYS[k + i], version)
            else
              done = try('SET', KEYS[k + i], version, 'PX', ARGV[a + 6])
            end
            if done.err then claim = 3 end
          end
          stamp = stamp .. ',' .. version
        end
        if claim == 3 then call('DEL', KEYS[k + 2]) end
      end
    end
    out[n] = {entry or '', left, claim, stamp}
  end
  k, a = k + 2 + tags, a + 6
end
return out
""".replace("KEPT", str(_KEPT + 1))
)

# KEYS: as above. ARGV: number of tags, token, stamp, digest, how long to keep (ms; 0: only
# end the claim), how long a version lives (ms), the entry. A reply: 0 stored, 1 overtaken, 2 refused.
WRITE: Final = """
local call, try = redis.call, redis.pcall
local out, n, k, a = {}, 0, 0, 0
while ARGV[a + 1] do
  local tags, keep = ARGV[a + 1] + 0, ARGV[a + 5] + 0
  local got = call('MGET', unpack(KEYS, k + 2, k + 2 + tags))
  local told, stamp = 1, ARGV[a + 4]
  if got[1] and string.match(got[1], '^%S+') == ARGV[a + 2] then
    for i = 2, tags + 1 do stamp = stamp .. ',' .. (got[i] or '') end
    if keep > 0 and stamp == ARGV[a + 3] then
      told = try('SET', KEYS[k + 1], ARGV[a + 7], 'PX', keep).err and 2 or 0
      for i = 4, tags + 2 do
        local left = call('PTTL', KEYS[k + i])
        if left >= 0 and left < keep then
          try('PEXPIRE', KEYS[k + i], ARGV[a + 6] + keep)
        end
      end
    end
    call('DEL', KEYS[k + 2])
  end
  n = n + 1
  out[n] = told
  k, a = k + 2 + tags, a + 7
end
return out
"""

# KEYS: what to delete. ARGV: how many for each item.
DROP: Final = """
local out, k = {}, 0
for n = 1, #ARGV do
  out[n] = redis.call('UNLINK', unpack(KEYS, k + 1, k + ARGV[n]))
  k = k + ARGV[n]
end
return out
"""

# A server that was started again may have forgotten what was invalidated last. KEYS: the
# version of everything. ARGV: 1 if it is to go also where it is not known whether it was.
RECOVER: Final = (
    _SERVER
    + """
local out, id = {}, server()
for n = 1, #KEYS do
  local version = redis.call('GET', KEYS[n])
  local other = ARGV[n] == '1'
  if id ~= '?' then other = match(version or '', '@(%x+)$') ~= id end
  out[n] = version and other and redis.call('UNLINK', KEYS[n]) or 0
end
return out
"""
)


class Names:
    """What things are called on the server.

    Raises:
        ValueError: If *prefix* is empty or holds a brace: these mark the hash tag.
    """

    def __init__(self, prefix: str) -> None:
        if not prefix or "{" in prefix or "}" in prefix:
            raise ValueError("prefix must not be empty, and hold no brace")
        head = f"{{{prefix}}}:"
        self._entry, self._claim, self._tag = (f"{head}{kind}:" for kind in "elt")
        self.everything = self._tag
        self.pushed = (self._entry, self._tag)
        self._head = len(head.encode())

    def mark(self, name: bytes) -> str:
        """What `memory.table` calls a name that the server pushed: without the prefix."""
        return name[self._head :].decode("utf-8", "replace")

    def read(self, query: Query) -> Item:
        """Word `READ`."""
        key, tags, token, lock_us, early = query
        keys = self._keys(key, tags)
        digest = digest_of(tags) if tags else "0"
        lock_ms = lock_us // _MS or 1
        return keys, [len(keys) - 2, token, lock_ms, f"{early:.6f}", digest, _VERSION_MS]

    def write(self, query: Query, stamp: str, entry: Entry, compress_above: int) -> Item:
        """Word `WRITE`."""
        keys = self._keys(query.key, query.tags)
        # In whole milliseconds, as the server counts.
        grace = (entry.keep_us - entry.fresh_us) // _MS
        versions = stamp.encode(*_AS_IT_IS)
        head = b"%b %d %d\n" % (versions, grace, -(-entry.took_us // _MS))
        keep = max(1, entry.keep_us // _MS)
        args = (len(keys) - 2, query.token, versions, digest_of(query.tags), keep, _VERSION_MS)
        return keys, [*args, head + pack(entry, compress_above)]

    def release(self, query: Query) -> Item:
        """Word `WRITE` for a claim without an entry."""
        keys = self._keys(query.key, query.tags)
        return keys, [len(keys) - 2, query.token, "", "", 0, 0, ""]

    def dropped(self, keys: Sequence[str], tags: Sequence[str]) -> list[str]:
        """What to delete: entries and claims of *keys*, versions of *tags*."""
        # What is computed meanwhile finds its claim gone in whatever parts they are deleted.
        pairs = [kind + name_of(key) for key in keys for kind in (self._claim, self._entry)]
        return pairs + [self._tag + name_of(tag) for tag in tags]

    def greeting(self) -> tuple[Argument, ...]:
        """Word `RECOVER` as the first command of a connection."""
        return "EVAL", RECOVER, 1, self.everything, "0"

    def _keys(self, key: str, tags: tuple[str, ...]) -> list[str]:
        name = name_of(key)
        keys = [self._entry + name, self._claim + name, self.everything]
        if tags:
            keys += [self._tag + name_of(tag) for tag in tags]
        return keys


# Another writer may have put any bytes where versions are.
_AS_IT_IS = ("utf-8", "surrogateescape")
_CLAIMS = (Claim.NONE, Claim.MINE, Claim.TAKEN, Claim.IMPOSSIBLE)
_WRITTEN = (Written.STORED, Written.OVERTAKEN, Written.REFUSED)


def read_reply(told: Sequence[Any], most_bytes: int) -> Reply:
    """What an item's entry in the reply of `READ` means; a larger payload is none."""
    data, left = told[0], told[1]
    entry = None
    if data:
        entry = unpack(data, data.index(b"\n") + 1, most_bytes)
    if len(told) == 2:  # noqa: PLR2004 -- as the script's text says
        return Reply(entry, left * _MS)
    return Reply(entry, left * _MS, _CLAIMS[told[2]], told[3].decode(*_AS_IT_IS))


def written(told: int) -> Written:
    """What an item's entry in the reply of `WRITE` means."""
    return _WRITTEN[told]
