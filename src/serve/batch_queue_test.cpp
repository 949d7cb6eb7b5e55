#include "serve/batch_queue.h"

#include <gtest/gtest.h>

namespace trainyard::serve {
namespace {

using namespace std::chrono_literals;

MonotonicPoint at(Duration since_start) { return MonotonicPoint(since_start); }

PendingInference request(std::int64_t rows, Duration deadline = 1h, std::int64_t width = 2) {
  const std::vector<float> values(static_cast<std::size_t>(rows * width));
  PendingInference pending;
  pending.inputs.push_back(make_tensor<float>(DataType::kFp32, {rows, width}, values));
  pending.rows = static_cast<std::size_t>(rows);
  pending.deadline = at(deadline);
  return pending;
}

void admit(BatchQueue& queue, PendingInference pending) { ASSERT_TRUE(queue.admit(pending).ok()); }

std::vector<std::size_t> rows_of(const std::vector<PendingInference>& requests) {
  std::vector<std::size_t> rows;
  for (const PendingInference& pending : requests) rows.push_back(pending.rows);
  return rows;
}

TEST(BatchQueue, waiting_requests_share_a_run_up_to_the_row_limit) {
  BatchQueue queue({.rows_max = 4});
  for (const int rows : {2, 1, 3, 1}) admit(queue, request(rows));
  EXPECT_EQ(rows_of(queue.take(at(0s)).run), (std::vector<std::size_t>{2, 1, 1}));
  EXPECT_EQ(rows_of(queue.take(at(0s)).run), (std::vector<std::size_t>{3}));
  EXPECT_TRUE(queue.take(at(0s)).run.empty());
}

TEST(BatchQueue, incompatible_request_waits_for_its_own_run) {
  BatchQueue queue({.rows_max = 8});
  admit(queue, request(1, 1h, 2));
  admit(queue, request(1, 1h, 3));
  EXPECT_EQ(queue.take(at(0s)).run.size(), 1u);
  EXPECT_EQ(queue.take(at(0s)).run.front().inputs.front().shape, (Shape{1, 3}));
}

TEST(BatchQueue, requests_of_a_model_without_rows_run_alone) {
  BatchQueue queue({.rows_max = 8, .batchable = false});
  admit(queue, request(1));
  admit(queue, request(1));
  EXPECT_EQ(queue.take(at(0s)).run.size(), 1u);
  EXPECT_EQ(queue.waiting(), 1u);
}

TEST(BatchQueue, expired_request_is_dropped_before_execution) {
  BatchQueue queue({});
  admit(queue, request(1, 5s));
  admit(queue, request(1, 10s));
  const BatchQueue::Batch batch = queue.take(at(5s));
  EXPECT_EQ(batch.expired.size(), 1u);
  EXPECT_EQ(batch.run.size(), 1u);
}

TEST(BatchQueue, bound_counts_waiting_and_executing_exactly) {
  BatchQueue queue({.rows_max = 1, .requests_max = 3});
  admit(queue, request(1));
  ASSERT_EQ(queue.take(at(0s)).run.size(), 1u);
  admit(queue, request(1));
  admit(queue, request(1));
  PendingInference refused = request(1);
  EXPECT_EQ(queue.admit(refused).error().category, Category::kResourceExhausted);
  EXPECT_EQ(refused.inputs.size(), 1u);
  queue.finished(1);
  EXPECT_TRUE(queue.admit(refused).ok());
}

TEST(BatchQueue, request_with_more_rows_than_one_run_takes_is_refused) {
  BatchQueue queue({.rows_max = 4});
  PendingInference refused = request(5);
  EXPECT_EQ(queue.admit(refused).error().id, "serve.rows");
}

}  // namespace
}  // namespace trainyard::serve
