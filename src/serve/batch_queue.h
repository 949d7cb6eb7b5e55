#pragma once
#include <deque>
#include <functional>
#include <vector>

#include "base/time.h"
#include "domain/tensor.h"

namespace trainyard::serve {

/// Called exactly once with the outputs in signature order or the reason there are none.
using InferDone = std::function<void(Result<std::vector<Tensor>>)>;

/// One request that waits for an instance.
struct PendingInference {
  std::vector<Tensor> inputs;
  std::size_t rows = 1;
  MonotonicPoint deadline;
  MonotonicPoint enqueued_at;
  InferDone done;
};

struct BatchQueueSettings {
  std::size_t rows_max = 32;        ///< Rows of one model run.
  std::size_t requests_max = 1024;  ///< Requests that wait or execute, together; one more is refused.
  bool batchable = true;            ///< False: every request runs alone.
};

/// Decides who waits, who is refused and who runs together: greedy, whatever compatible requests already wait share the next run; nothing
/// is delayed to fill a batch. Pure bookkeeping without clocks or threads; the owner guards it with its lock.
class BatchQueue {
 public:
  explicit BatchQueue(BatchQueueSettings settings) : settings_(settings) {}

  /// Takes `request` unless `requests_max` others wait or execute; the request is then untouched.
  /// Errors: RESOURCE_EXHAUSTED "serve.queue_full", INVALID_ARGUMENT "serve.rows" for more rows than one run takes.
  Result<void> admit(PendingInference& request);

  struct Batch {
    std::vector<PendingInference> run;      ///< In order of arrival; counted as executing until `finished`.
    std::vector<PendingInference> expired;  ///< Their deadline has passed; not counted any more.
  };
  /// Takes the next batch: the oldest request that has not expired and those behind it that fit beside it, up to `rows_max` rows.
  Batch take(MonotonicPoint now);
  /// `count` requests of a taken batch were answered.
  void finished(std::size_t count);

  std::size_t waiting() const { return waiting_.size(); }
  std::size_t executing() const { return executing_; }

 private:
  BatchQueueSettings settings_;
  std::deque<PendingInference> waiting_;
  std::size_t executing_ = 0;
};

}  // namespace trainyard::serve
