#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "store/testing/fake_log_store.h"
#include "tests/sim/world.h"

namespace trainyard::sim_test {

/// The log files of the server's host. What was not synced is lost when the power fails, and stays when only the process dies. Tells the
/// history which lines became durable. `forgets_sync` breaks its contract, to show that the invariants notice.
class SimLogStore final : public store::LogStore {
 public:
  struct Settings {
    bool forgets_sync = false;
  };

  SimLogStore(World& world, Settings settings) : world_(world), settings_(settings), inner_(std::make_unique<Fake>()) {}

  void lose_power() {
    auto rest = std::make_unique<Fake>();
    for (auto& [rank, durable] : durable_) {
      const Result<store::LogSlice> slice = inner_->read(rank, 0, durable);
      std::string encoded;
      for (const store::LogRecord& record : slice->records) store::encode_log_record(record, encoded);
      encoded.resize(durable);
      (void)rest->append(rank, 0, encoded);
    }
    inner_ = std::move(rest);
    world_.history.note("the server's host lost its power");
  }

  Result<std::uint64_t> append(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override {
    return inner_->append(rank, offset, encoded);
  }
  Result<void> sync(const RankKey& rank) override {
    if (settings_.forgets_sync) return {};
    std::uint64_t& durable = durable_[rank];
    const Result<store::LogSlice> fresh = inner_->read(rank, durable, std::size_t{1} << 30);
    for (const store::LogRecord& record : fresh->records) {
      durable += store::kLogRecordOverhead + record.bytes.size();
      world_.history.tell(LogDurable{rank, record.bytes, durable});
    }
    return {};
  }
  Result<std::uint64_t> end_offset(const RankKey& rank) override { return inner_->end_offset(rank); }
  Result<store::LogSlice> read(const RankKey& rank, std::uint64_t offset, std::size_t size_max) override {
    return inner_->read(rank, offset, size_max);
  }
  Result<void> remove_job(JobId job) override { return inner_->remove_job(job); }

 private:
  using Fake = store::testing::FakeLogStore;
  World& world_;
  const Settings settings_;
  std::unique_ptr<Fake> inner_;
  std::map<RankKey, std::uint64_t> durable_;
};

}  // namespace trainyard::sim_test
