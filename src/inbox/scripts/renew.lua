-- Resets the idle time of entries that are still this consumer's; never takes one, never drops one.
-- KEYS: stream. ARGV: group, consumer, ids in order.
local first, last, count = ARGV[3], ARGV[#ARGV], #ARGV - 2
local own = {}
for _, entry in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], first, last, count, ARGV[2])) do
  own[entry[1]] = true
end
-- Mostly the stream holds nothing else between the first and the last.
local there = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], first, last, 'COUNT', count)) do
  there[entry[1]] = true
end
local kept = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if (own[id] or #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) > 0)
    and (there[id] or #redis.call('XRANGE', KEYS[1], id, id) > 0) then
    kept[#kept + 1] = id
  end
end
if #kept > 0 then
  kept[#kept + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(kept))
end
return #kept
