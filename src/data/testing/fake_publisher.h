#pragma once
#include <map>
#include <string>
#include <vector>

#include "data/data_task.h"

namespace trainyard::data::testing {

/// A catalog in memory that keeps idempotency and counts versions per layer. Not thread-safe.
class FakePublisher final : public VersionPublisher {
 public:
  std::vector<VersionDraft> published;
  /// The n-th publication from now fails as if the server were away.
  void fail_publication(int n) { publications_until_failure_ = n; }

  Result<DatasetVersionKey> publish(const VersionDraft& draft) override {
    if (--publications_until_failure_ == 0) return unavailable("net.connect", "injected");
    if (const auto known = by_key_.find(draft.idempotency_key); known != by_key_.end()) return known->second;
    const DatasetVersionKey key{draft.name, draft.layer, ++versions_[{draft.name, draft.layer}]};
    by_key_[draft.idempotency_key] = key;
    published.push_back(draft);
    return key;
  }

 private:
  std::map<std::string, DatasetVersionKey> by_key_;
  std::map<std::pair<std::string, DatasetLayer>, std::int64_t> versions_;
  int publications_until_failure_ = 0;
};

/// Remembers the last progress; stops when told. Not thread-safe.
class FakeMonitor final : public TaskMonitor {
 public:
  bool stop = false;
  std::int64_t done = 0;
  std::int64_t total = 0;

  void progress(std::int64_t done_now, std::int64_t total_now, std::string_view) override {
    done = done_now;
    total = total_now;
  }
  bool stop_requested() override { return stop; }
};

}  // namespace trainyard::data::testing
