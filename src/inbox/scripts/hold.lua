-- Keeps the strategies for one process, and writes its books while it does.
-- KEYS: who holds the strategies, books, booked orders. ARGV: what is done (take: from nobody or from the former life
-- that is named; keep: go on; again: go on though the hold ran out or books were lost; leave), the holder as it stands
-- then, the holder that it is taken from, for how many milliseconds, number of arguments that are books, books, booked
-- orders.
-- Answers nothing when it is done; else nothing was written, and it answers who is in the way, empty where nobody is
-- but the hold or books are gone.
local what, own, former = ARGV[1], ARGV[2], ARGV[3]
local found = redis.call('GET', KEYS[1]) or ''
-- The field without a name says who took the strategies last.
local last = redis.call('HGET', KEYS[2], '')
redis.call('HGET', KEYS[3], '') -- A key of the wrong type is found before anything is written.
if what == 'take' then
  if found ~= former then return found end
elseif found ~= own and not (what == 'again' and found == '') then
  return found
end
if what == 'leave' then
  redis.call('DEL', KEYS[1])
  return false
end
if what == 'keep' and last ~= own then return '' end
if what == 'again' and last and last ~= own then return last end
if last ~= own then redis.call('HSET', KEYS[2], '', own) end
local booked_from = 6 + tonumber(ARGV[5])
for i = 6, #ARGV, 2 do
  redis.call('HSET', i < booked_from and KEYS[2] or KEYS[3], ARGV[i], ARGV[i + 1])
end
if found == own then
  redis.call('PEXPIRE', KEYS[1], ARGV[4]) -- Possible without memory too.
else
  redis.call('SET', KEYS[1], own, 'PX', ARGV[4])
end
return false
