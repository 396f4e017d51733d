-- Hands a pending entry over to the process that holds the strategies, without counting a delivery.
-- KEYS: stream, who holds the strategies. ARGV: group, own consumer, id, 1 when it was delivered to nobody before us: then
-- it counts as delivered to nobody, so that no order of it is looked for.
-- Answers 1 when it is the holder's now; 0 when nobody else holds them, or the entry is not ours, or has no body any more.
local holder = redis.call('GET', KEYS[2])
local is_read, to = pcall(function() return cjson.decode(holder).consumer end)
if not is_read or type(to) ~= 'string' or to == ARGV[2] then return 0 end
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then return 0 end
if #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then return 0 end
local count = ARGV[4] == '1' and {'RETRYCOUNT', 0} or {}
return #redis.call('XCLAIM', KEYS[1], ARGV[1], to, 0, ARGV[3], 'JUSTID', unpack(count))
