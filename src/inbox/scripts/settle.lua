-- Records ends with what belongs to them, and acknowledges their entries: of each all or nothing.
-- KEYS: stream, outcomes, dead letters; where the holder is given, also who holds the strategies, books, booked orders.
-- ARGV: group; the holder as it must be found, empty where nobody need be; 1 to record what is not pending as well;
-- then for each end: id, index of the key to write to, and four lists, each after its length: its fields, those of the
-- signal that follows, books, booked orders.
-- Answers nothing, and has done nothing, when the holder is not the one that must be; else the ids that were not
-- pending: those are left as they were.
local group, holder, is_forced = ARGV[1], ARGV[2], ARGV[3] == '1'
if holder ~= '' then
  if redis.call('GET', KEYS[4]) ~= holder then return false end
  -- A key of the wrong type is found before anything is written.
  redis.call('HGET', KEYS[5], '')
  redis.call('HGET', KEYS[6], '')
end

local absent, at, refusal = {}, 4, nil

local function list()
  local first, last = at + 1, at + tonumber(ARGV[at])
  at = last + 1
  return {unpack(ARGV, first, last)}
end

-- After a refusal nothing more is written.
local function write(...)
  if refusal then return nil end
  local answer = redis.pcall(...)
  if type(answer) == 'table' then refusal = answer else return answer end
end

while at <= #ARGV do
  local id, key = ARGV[at], KEYS[tonumber(ARGV[at + 1])]
  at = at + 2
  local fields, next_fields, books, booked = list(), list(), list(), list()
  local has_more = #next_fields + #books + #booked > 0
  -- Asked first: what follows cannot be taken back, a signal that is deleted unread counts as lost.
  if has_more and not is_forced and #redis.pcall('XPENDING', KEYS[1], group, id, id, 1) == 0 then
    absent[#absent + 1] = id
  else
    -- The acknowledgement comes last: a refused write (no memory, wrong type) must leave the entry pending.
    local written = write('XADD', key, '*', unpack(fields))
    if #booked > 0 then write('HSET', KEYS[6], unpack(booked)) end
    if #books > 0 then write('HSET', KEYS[5], unpack(books)) end
    if #next_fields > 0 then write('XADD', KEYS[1], '*', unpack(next_fields)) end
    local is_absent = not is_forced and write('XACK', KEYS[1], group, id) == 0
    if written and (refusal or is_absent) then redis.call('XDEL', key, written) end
    if refusal then return refusal end
    if is_absent then absent[#absent + 1] = id end
  end
end
return absent
