#pragma once
#include <string>
#include <utility>

#include "store/log_store.h"

namespace trainyard::store::testing {

/// A rank of a job for tests: attempt 1.
inline RankKey rank_of(std::uint64_t job, std::uint32_t rank = 0) { return {{JobId(job), AttemptNumber(1)}, rank}; }

/// One encoded record.
inline std::string encoded_line(std::int64_t time_us, std::string text, LogStream stream = LogStream::kStdout) {
  std::string encoded;
  encode_log_record({time_from_micros(time_us), stream, std::move(text)}, encoded);
  return encoded;
}

}  // namespace trainyard::store::testing
