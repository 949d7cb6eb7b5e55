#pragma once
#include <map>
#include <mutex>

#include "store/log_record.h"
#include "store/log_store.h"

namespace trainyard::store::testing {

/// Log streams in memory. Thread-safe.
class FakeLogStore final : public LogStore {
 public:
  /// Flips the lowest bit of one stored byte.
  void damage(const RankKey& rank, std::size_t at) {
    const std::lock_guard lock(mutex_);
    streams_.at(rank).at(at) ^= 1;
  }
  /// How often `sync` was called.
  std::size_t sync_count() const {
    const std::lock_guard lock(mutex_);
    return sync_count_;
  }

  Result<std::uint64_t> append(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override {
    const std::lock_guard lock(mutex_);
    std::string& stream = streams_[rank];
    if (offset > stream.size()) {
      return failed_precondition("log.gap",
                                 "log records are missing before this offset, send from the end; end " + std::to_string(stream.size()));
    }
    const std::size_t skip = std::min<std::size_t>(stream.size() - offset, encoded.size());
    if (intact_log_prefix(encoded) != encoded.size() || intact_log_prefix(encoded.substr(0, skip)) != skip) {
      return invalid_argument("log.malformed", "log records are sent whole and undamaged, and overlap whole records");
    }
    stream += encoded.substr(skip);
    return stream.size();
  }

  Result<void> sync(const RankKey&) override {
    const std::lock_guard lock(mutex_);
    ++sync_count_;
    return {};
  }

  Result<std::uint64_t> end_offset(const RankKey& rank) override {
    const std::lock_guard lock(mutex_);
    const auto it = streams_.find(rank);
    return it == streams_.end() ? std::uint64_t{0} : std::uint64_t{it->second.size()};
  }

  Result<LogSlice> read(const RankKey& rank, std::uint64_t offset, std::size_t size_max) override {
    const std::lock_guard lock(mutex_);
    const auto it = streams_.find(rank);
    const std::string_view stream = it == streams_.end() ? std::string_view() : std::string_view(it->second);
    if (offset >= stream.size()) return LogSlice{{}, stream.size()};
    std::size_t end = offset;
    while (end < stream.size()) {
      const Result<std::size_t> size = log_record_size(stream.substr(end));
      if (!size.ok() && end == offset) return size.error();
      if (!size.ok() || (end > offset && end + size.value() - offset > size_max)) break;
      end += size.value();
    }
    LogSlice slice;
    std::size_t consumed = 0;
    ASSIGN_OR_RETURN(slice.records, decode_log_records(stream.substr(offset, end - offset), consumed));
    slice.next_offset = end;
    return slice;
  }

  Result<void> remove_job(JobId job) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(streams_, [job](const auto& entry) { return entry.first.attempt.job == job; });
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::map<RankKey, std::string> streams_;  // guarded by mutex_
  std::size_t sync_count_ = 0;              // guarded by mutex_
};

}  // namespace trainyard::store::testing
