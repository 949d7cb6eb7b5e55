#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "serve/batch_queue.h"
#include "serve/servable.h"
#include "serve/statistics.h"

namespace trainyard::serve {

/// Runs requests on the instances of one servable: one thread per instance takes batches from a shared BatchQueue. A batch whose run fails
/// is run again request by request, so that one bad request does not fail its neighbours. Thread-safe.
class Batcher {
 public:
  /// `servable` and `clock` outlive the batcher; the servable has at least one instance. Starts the threads.
  Batcher(Servable& servable, BatchQueueSettings settings, const Clock& clock);
  /// Answers everything that was admitted, then joins the threads. Must not run on an instance's thread: a `done` callback may therefore
  /// use the servable, which outlives it, but must not own the batcher.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Queues a request; `inputs` are bound to the signature. `done` is called once, from an instance's thread, or before `submit` returns
  /// when the request is refused. Errors given to `done`: those of BatchQueue::admit, DEADLINE_EXCEEDED "serve.expired" and the
  /// servable's.
  void submit(std::vector<Tensor> inputs, MonotonicPoint deadline, InferDone done);

  /// With `batchable` as it turned out for this servable.
  const BatchQueueSettings& settings() const { return settings_; }
  ServingStatistics statistics() const;
  /// Requests that wait or execute.
  std::size_t pending() const;

 private:
  void run_instance(std::size_t instance);
  void execute(std::size_t instance, std::vector<PendingInference> batch);
  /// The answer to each request of the batch, in order; one error when the shared run failed.
  Result<std::vector<std::vector<Tensor>>> infer_together(std::size_t instance, std::vector<PendingInference>& batch);
  void account(const std::vector<PendingInference>& batch, std::size_t runs, MonotonicPoint started, MonotonicPoint ended,
               const std::vector<bool>& succeeded);

  Servable& servable_;
  const Clock& clock_;
  const BatchQueueSettings settings_;
  mutable std::mutex mutex_;
  std::condition_variable work_available_;
  BatchQueue queue_;              // guarded by mutex_
  ServingStatistics statistics_;  // guarded by mutex_
  bool stopping_ = false;         // guarded by mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace trainyard::serve
