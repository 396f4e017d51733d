-- Records entries that were trimmed or deleted before the group read them: each once, whichever instance asks first.
-- KEYS: stream, outcomes, where groups stood. ARGV: group, instance, now in Unix microseconds, server run.
-- Answers nothing, or the signal and the reason of the outcome that was recorded.
local function named(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

-- Ids are two 64-bit numbers; Lua's numbers are too short for them, their digits are not.
local function less(a, b)
  local a1, a2 = string.match(a, '^(%d+)-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)-(%d+)$')
  if a1 ~= b1 then
    if #a1 ~= #b1 then return #a1 < #b1 end
    return a1 < b1
  end
  if #a2 ~= #b2 then return #a2 < #b2 end
  return a2 < b2
end

local function whole(number) return string.format('%.0f', number) end

-- An id right below one that exists, so that it names no entry with an outcome of its own.
local function below(id)
  local millis, sequence = string.match(id, '^(%d+)-(%d+)$')
  if sequence ~= '0' then return millis .. '-' .. whole(tonumber(sequence) - 1) end
  return whole(tonumber(millis) - 1) .. '-18446744073709551615'
end

local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return false end
local stream, group = named(info), nil
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local candidate = named(flat)
  if candidate['name'] == ARGV[1] then group = candidate end
end
local added = stream['entries-added']
if not group or not added then return false end -- No group yet, or a server before 7.0, which does not count.

local last, newest = group['last-delivered-id'], stream['last-generated-id']
local first = stream['length'] > 0 and stream['first-entry'][1]
local deleted = stream['max-deleted-entry-id']
local unread, signal, where
if not first or not less(last, newest) then
  unread = 0
  signal = less(last, newest) and newest or below(newest)
  where = less(last, newest) and ('after ' .. last .. ' up to ' .. newest) or ('before ' .. last)
elseif less(last, first) then
  unread, signal = stream['length'], below(first)
  where = 'after ' .. last .. ' and before ' .. first
elseif less(last, deleted) then
  -- Deleted from the middle of what is unread: only counting tells, and a long count would hold the server up.
  unread = #redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 2000)
  if unread == 2000 then return false end
  signal, where = deleted, 'after ' .. last .. ' up to ' .. deleted
else
  return false -- Within what is there: nothing is missing ahead, and what may be behind is found at the end.
end

-- How many entries were added up to where the group stands, and how many of those it was given.
local position, read = added - unread, group['entries-read']
local before = redis.call('HGET', KEYS[3], ARGV[1])
local missing = 0
if before then
  local last0, position0, read0, run0 = string.match(before, '^(%S+) (%S+) (%S+) (%S+)$')
  if last == last0 then
    missing = position - tonumber(position0)
  elseif run0 == ARGV[4] and read and tonumber(read0) then
    -- Only within one run: a restart or a failover forgets what was given since the count was last written down.
    missing = position - tonumber(position0) - (read - tonumber(read0))
  end
end
local reason
if missing > 0 then
  local entries = missing == 1 and '1 entry ' or (whole(missing) .. ' entries ')
  reason = 'trimmed: ' .. entries .. where .. ' deleted before being read'
  redis.call('XADD', KEYS[2], '*', 'signal', signal, 'outcome', 'lost', 'reason', reason,
    'instance', ARGV[2], 'final_us', ARGV[3])
end
local now = table.concat({last, whole(position), read and whole(read) or '?', ARGV[4]}, ' ')
if now ~= before then redis.call('HSET', KEYS[3], ARGV[1], now) end
return reason and {signal, reason}
