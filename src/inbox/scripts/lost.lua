-- Records entries that were trimmed or deleted before the group read them: each once, whichever instance asks first.
-- KEYS: stream, outcomes. ARGV: group, instance, now in Unix microseconds.
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

-- An id right below one that exists, so that it names no entry with an outcome of its own.
local function below(id)
  local millis, sequence = string.match(id, '^(%d+)-(%d+)$')
  if sequence ~= '0' then return millis .. '-' .. string.format('%.0f', tonumber(sequence) - 1) end
  return string.format('%.0f', tonumber(millis) - 1) .. '-18446744073709551615'
end

local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return false end
local stream = named(info)
local group
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local candidate = named(flat)
  if candidate['name'] == ARGV[1] then group = candidate end
end
local added = stream['entries-added']
if not group or not added then return false end -- No group yet, or a server before 7.0, which does not count.

local last, newest = group['last-delivered-id'], stream['last-generated-id']
local first = stream['length'] > 0 and stream['first-entry'][1]
local deleted, read = stream['max-deleted-entry-id'], group['entries-read']
local unread, signal, where
if not first or not less(last, newest) then
  unread = 0
  signal = less(last, newest) and newest or below(newest)
  where = less(last, newest) and ('after ' .. last .. ' up to ' .. newest) or ('before ' .. last)
elseif less(last, first) then
  unread, signal = stream['length'], below(first)
  where = 'after ' .. last .. ' and before ' .. first
elseif not read or less(last, deleted) then
  -- Some are read and some are not: only counting tells, and a long count would hold the server up.
  unread = #redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 2000)
  if unread == 2000 then return false end
  signal, where = deleted, 'after ' .. last .. ' up to ' .. deleted
else
  return false
end

local missing = read and added - read - unread or 0
if missing > 0 then
  local entries = missing == 1 and '1 entry ' or (string.format('%.0f', missing) .. ' entries ')
  local reason = 'trimmed: ' .. entries .. where .. ' deleted before being read'
  redis.call('XADD', KEYS[2], '*', 'signal', signal, 'outcome', 'lost', 'reason', reason,
    'instance', ARGV[2], 'final_us', ARGV[3])
  redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], last, 'ENTRIESREAD', string.format('%.0f', added - unread))
  return {signal, reason}
end
if not read or missing < 0 then
  -- A new group, or one that read across a deleted entry, or was set back: counted from here on.
  redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], last, 'ENTRIESREAD', string.format('%.0f', added - unread))
end
return false
