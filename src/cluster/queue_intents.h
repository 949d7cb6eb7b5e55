#pragma once
#include <string>
#include <vector>

#include "base/time.h"
#include "store/database.h"

namespace trainyard::cluster {

/// Whether an operator lets a queue start jobs, other than its settings say.
struct QueueIntent {
  std::string queue;
  bool stopped = true;
  std::string reason;  ///< For people.
  std::string by;      ///< Who said so.
  TimePoint since;
  bool operator==(const QueueIntent&) const = default;
};

const std::vector<store::Migration>& queue_intent_migrations();

/// Keeps what operators want of queues over restarts; a queue without an entry is as its settings say. Thread-safe; calls block.
class QueueIntents {
 public:
  explicit QueueIntents(store::Database& database) : database_(database) {}

  /// Errors of all: those of the database.
  Result<void> set(const QueueIntent& intent);
  Result<void> clear(const std::string& queue);
  /// By name of the queue.
  Result<std::vector<QueueIntent>> list();

 private:
  store::Database& database_;
};

}  // namespace trainyard::cluster
