#include "serve/batch_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace trainyard::serve {
namespace {

/// True when the rows of both can form one input tensor.
bool compatible(const PendingInference& a, const PendingInference& b) {
  return std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(), [](const Tensor& x, const Tensor& y) {
    return x.type == y.type && x.shape.size() == y.shape.size() && std::equal(x.shape.begin() + 1, x.shape.end(), y.shape.begin() + 1);
  });
}

}  // namespace

Result<void> BatchQueue::admit(PendingInference& request) {
  if (settings_.batchable && request.rows > settings_.rows_max) {
    return invalid_argument("serve.rows", fmt::format("The request has {} rows, one call takes at most {}; send several calls",
                                                      request.rows, settings_.rows_max));
  }
  if (waiting_.size() + executing_ >= settings_.requests_max) {
    return Error{Category::kResourceExhausted,
                 "serve.queue_full",
                 fmt::format("The queue of this model is full; retry later: {} requests wait or execute", settings_.requests_max),
                 {},
                 {}};
  }
  waiting_.push_back(std::move(request));
  return {};
}

BatchQueue::Batch BatchQueue::take(MonotonicPoint now) {
  Batch batch;
  std::vector<PendingInference> skipped;
  std::size_t rows = 0;
  while (!waiting_.empty()) {
    const bool full = !batch.run.empty() && (!settings_.batchable || rows >= settings_.rows_max);
    if (full) break;
    PendingInference request = std::move(waiting_.front());
    waiting_.pop_front();
    if (request.deadline <= now) {
      batch.expired.push_back(std::move(request));
    } else if (batch.run.empty() || (rows + request.rows <= settings_.rows_max && compatible(batch.run.front(), request))) {
      rows += request.rows;
      batch.run.push_back(std::move(request));
    } else {
      skipped.push_back(std::move(request));
    }
  }
  waiting_.insert(waiting_.begin(), std::make_move_iterator(skipped.begin()), std::make_move_iterator(skipped.end()));
  executing_ += batch.run.size();
  return batch;
}

void BatchQueue::finished(std::size_t count) {
  CHECK(count <= executing_, "more requests finished than were executing");
  executing_ -= count;
}

}  // namespace trainyard::serve
