-- Records ends and acknowledges their entries, both or neither.
-- KEYS: stream, outcomes, dead letters. ARGV: group, then for each: id, index of the key to write to,
-- number of arguments that follow, fields and values.
-- Answers the ids that were not pending: those are left as they were.
local absent = {}
local at = 2
while at <= #ARGV do
  local id, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  -- Written first: a refused write (no memory, wrong type) must leave the entry pending.
  local written = redis.call('XADD', key, '*', unpack(ARGV, at + 3, at + 2 + count))
  if redis.call('XACK', KEYS[1], ARGV[1], id) == 0 then
    redis.call('XDEL', key, written)
    absent[#absent + 1] = id
  end
  at = at + 3 + count
end
return absent
