-- Resets the idle time of entries that are still this consumer's; never takes one, never drops one.
-- KEYS: stream. ARGV: group, consumer, ids.
local kept = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) > 0
    and #redis.call('XRANGE', KEYS[1], id, id) > 0 then
    kept[#kept + 1] = id
  end
end
if #kept > 0 then
  kept[#kept + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(kept))
end
return #kept
