#include "serve/batcher.h"

#include <fmt/format.h>

#include "serve/signature.h"

namespace trainyard::serve {
namespace {

Error expired_error() {
  return {
      Category::kDeadlineExceeded, "serve.expired", "The request waited longer than its time limit and was dropped; retry later", {}, {}};
}

BatchQueueSettings fitting(BatchQueueSettings settings, const Servable& servable) {
  settings.batchable = settings.batchable && servable.signature().batchable();
  return settings;
}

}  // namespace

Batcher::Batcher(Servable& servable, BatchQueueSettings settings, const Clock& clock)
    : servable_(servable), clock_(clock), settings_(fitting(settings, servable)), queue_(settings_) {
  CHECK(servable.instances() > 0, "a servable without instances cannot answer");
  for (std::size_t instance = 0; instance < servable.instances(); ++instance) {
    threads_.emplace_back([this, instance] { run_instance(instance); });
  }
}

Batcher::~Batcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_available_.notify_all();
  threads_.clear();
}

void Batcher::submit(std::vector<Tensor> inputs, MonotonicPoint deadline, InferDone done) {
  PendingInference request;
  request.rows = settings_.batchable ? row_count(inputs) : 1;
  request.inputs = std::move(inputs);
  request.deadline = deadline;
  request.enqueued_at = clock_.monotonic_now();
  request.done = std::move(done);
  Result<void> admitted;
  {
    const std::lock_guard lock(mutex_);
    admitted = queue_.admit(request);
    if (!admitted.ok()) ++statistics_.rejected;
  }
  if (admitted.ok()) {
    work_available_.notify_one();
  } else {
    request.done(std::move(admitted).error());
  }
}

void Batcher::run_instance(std::size_t instance) {
  for (;;) {
    BatchQueue::Batch batch;
    {
      std::unique_lock lock(mutex_);
      work_available_.wait(lock, [this] { return stopping_ || queue_.waiting() > 0; });
      if (stopping_ && queue_.waiting() == 0) return;
      batch = queue_.take(clock_.monotonic_now());
      statistics_.rejected += batch.expired.size();
    }
    for (PendingInference& request : batch.expired) request.done(expired_error());
    if (!batch.run.empty()) execute(instance, std::move(batch.run));
  }
}

void Batcher::execute(std::size_t instance, std::vector<PendingInference> batch) {
  const MonotonicPoint started = clock_.monotonic_now();
  std::vector<Result<std::vector<Tensor>>> answers;
  std::size_t runs = 1;
  Result<std::vector<std::vector<Tensor>>> together = infer_together(instance, batch);
  if (together.ok()) {
    for (std::vector<Tensor>& outputs : *together) answers.emplace_back(std::move(outputs));
  } else if (batch.size() == 1) {
    answers.emplace_back(std::move(together).error());
  } else {
    for (const PendingInference& request : batch) answers.push_back(servable_.infer(instance, request.inputs));
    runs = batch.size();
  }
  std::vector<bool> succeeded;
  for (const auto& answer : answers) succeeded.push_back(answer.ok());
  // The place in the queue is given back before the callers hear of it, so that a caller's next request is never refused for its last one.
  account(batch, runs, started, clock_.monotonic_now(), succeeded);
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].done(std::move(answers[i]));
}

Result<std::vector<std::vector<Tensor>>> Batcher::infer_together(std::size_t instance, std::vector<PendingInference>& batch) {
  std::vector<std::vector<Tensor>> answers(batch.size());
  if (batch.size() == 1) {
    ASSIGN_OR_RETURN(answers.front(), servable_.infer(instance, batch.front().inputs));
    return answers;
  }
  std::vector<Tensor> whole = batch.front().inputs;
  std::vector<std::size_t> rows{batch.front().rows};
  for (std::size_t i = 1; i < batch.size(); ++i) {
    for (std::size_t input = 0; input < whole.size(); ++input) append_rows(batch[i].inputs[input], whole[input]);
    rows.push_back(batch[i].rows);
  }
  ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, servable_.infer(instance, whole));
  for (const Tensor& output : outputs) {
    ASSIGN_OR_RETURN(std::vector<Tensor> parts, split_rows(output, rows));
    for (std::size_t i = 0; i < parts.size(); ++i) answers[i].push_back(std::move(parts[i]));
  }
  return answers;
}

void Batcher::account(const std::vector<PendingInference>& batch, std::size_t runs, MonotonicPoint started, MonotonicPoint ended,
                      const std::vector<bool>& succeeded) {
  const std::lock_guard lock(mutex_);
  queue_.finished(batch.size());
  std::uint64_t rows = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    rows += batch[i].rows;
    (succeeded[i] ? statistics_.success : statistics_.fail).add(ended - batch[i].enqueued_at);
    statistics_.queue.add(started - batch[i].enqueued_at);
    statistics_.compute.add(ended - started);
  }
  statistics_.inference_count += rows;
  statistics_.execution_count += runs;
  statistics_.last_inference = clock_.now();
  if (runs == 1) statistics_.batches[rows].add(ended - started);
}

ServingStatistics Batcher::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

std::size_t Batcher::pending() const {
  const std::lock_guard lock(mutex_);
  return queue_.waiting() + queue_.executing();
}

}  // namespace trainyard::serve
