-- Takes pending entries over, without dropping those whose body was trimmed (a bare XCLAIM would forget them).
-- KEYS: stream. ARGV: group, consumer, least idle time in milliseconds, ids.
-- Answers {id, fields or false, deliveries} for each that was still pending and idle long enough.
local taken = {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], id, id, 1)[1]
  if pending then
    if #redis.call('XRANGE', KEYS[1], id, id) == 0 then
      taken[#taken + 1] = {id, false, pending[4]}
    else
      local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], id)[1]
      if entry then taken[#taken + 1] = {id, entry[2], pending[4] + 1} end
    end
  end
end
return taken
