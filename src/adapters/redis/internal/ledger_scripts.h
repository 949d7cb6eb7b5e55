#pragma once
#include <string_view>

namespace trainyard::adapters::redis::internal {

// A script runs alone and whole: the server writes what it changed as one transaction into its log. It checks everything before it changes
// anything, since Redis takes nothing back when a script fails. KEYS of both: meta, jobs, live, events, keys, ages, and the prefix of
// the lists that hold the event numbers of each job (docs/formats/ledger.md).

/// Raises the epoch. ARGV: the format version. Answers with epoch, last event and last job.
inline constexpr std::string_view kTakeOverScript = R"lua(
local meta = KEYS[1]
local format = redis.call('HGET', meta, 'format')
if format and format ~= ARGV[1] then return redis.error_reply('NEWER ' .. format) end
if not format and redis.call('EXISTS', unpack(KEYS, 2, 6)) > 0 then return redis.error_reply('CORRUPT the meta record is gone') end
redis.call('HSETNX', meta, 'format', ARGV[1])
redis.call('HSETNX', meta, 'last_event', '0')
redis.call('HSETNX', meta, 'last_job', '0')
redis.call('HINCRBY', meta, 'epoch', 1)
return redis.call('HMGET', meta, 'epoch', 'last_event', 'last_job')
)lua";

/// Applies a batch. ARGV: epoch, the last event before the batch and after it, the highest job of the batch, the time before which keys
/// are forgotten (or nothing), how many at most; then letters and MessagePack arrays: "j" id, record; "l" and "t" ids that are live
/// (each with its score before it) and terminal; "e" number, job, record; "k" key, record; "a" time, key.
inline constexpr std::string_view kCommitScript = R"lua(
local meta, jobs, live, events, keys, ages, of_job = unpack(KEYS)
local held = redis.call('HMGET', meta, 'epoch', 'last_event', 'last_job')
if held[1] ~= ARGV[1] then return redis.error_reply('FENCED the epoch is ' .. tostring(held[1])) end
if held[2] ~= ARGV[2] then return redis.error_reply('CORRUPT the last event is ' .. tostring(held[2])) end
local arrays = {}
for i = 7, #ARGV, 2 do arrays[#arrays + 1] = {ARGV[i], cmsgpack.unpack(ARGV[i + 1])} end
local function in_groups(command, key, list)
  for first = 1, #list, 4000 do redis.call(command, key, unpack(list, first, math.min(first + 3999, #list))) end
end
if ARGV[5] ~= '' then
  local old = redis.call('ZRANGEBYSCORE', ages, '-inf', '(' .. ARGV[5], 'LIMIT', 0, ARGV[6])
  in_groups('HDEL', keys, old)
  in_groups('ZREM', ages, old)
end
local how = {j = {'HSET', jobs}, l = {'ZADD', live}, t = {'ZREM', live}, k = {'HSET', keys}, a = {'ZADD', ages}}
for _, array in ipairs(arrays) do
  local letter, list = array[1], array[2]
  if letter == 'e' then
    for i = 1, #list, 3 do
      redis.call('XADD', events, list[i] .. '-0', 'r', list[i + 2])
      redis.call('RPUSH', of_job .. list[i + 1], list[i])
    end
  else
    in_groups(how[letter][1], how[letter][2], list)
  end
end
if ARGV[3] ~= ARGV[2] then redis.call('HSET', meta, 'last_event', ARGV[3]) end
if tonumber(ARGV[4]) > tonumber(held[3]) then redis.call('HSET', meta, 'last_job', ARGV[4]) end
return 'OK'
)lua";

}  // namespace trainyard::adapters::redis::internal
