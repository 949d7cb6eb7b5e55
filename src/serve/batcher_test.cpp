#include "serve/batcher.h"

#include <gtest/gtest.h>

#include <future>
#include <latch>

#include "base/testing/fake_clock.h"
#include "serve/testing/fake_servable.h"

namespace trainyard::serve {
namespace {

using namespace std::chrono_literals;
using testing::FakeServable;

using Answer = Result<std::vector<Tensor>>;

std::vector<Tensor> one_row(float value) {
  const std::vector<float> values{value, 0};
  return {make_tensor<float>(DataType::kFp32, {1, 2}, values)};
}

/// A doubling servable whose first run waits until the test opens the gate.
class BatcherTest : public ::testing::Test {
 protected:
  std::future<Answer> submit(Batcher& batcher, std::vector<Tensor> inputs, Duration time_limit = 1h) {
    auto promise = std::make_shared<std::promise<Answer>>();  // shared: std::function must be copyable
    std::future<Answer> answer = promise->get_future();
    batcher.submit(std::move(inputs), clock.monotonic_now() + time_limit,
                   [promise](Answer result) { promise->set_value(std::move(result)); });
    return answer;
  }

  trainyard::testing::FakeClock clock;
  std::latch first_run_started{1};
  std::latch gate{1};
  std::atomic<int> calls{0};
  FakeServable servable{testing::doubling_signature(), 1, [this](const std::vector<Tensor>& inputs) {
                          if (calls++ == 0) {
                            first_run_started.count_down();
                            gate.wait();
                          }
                          return testing::double_values(inputs);
                        }};
};

TEST_F(BatcherTest, requests_that_wait_share_one_run_and_get_their_own_rows) {
  Batcher batcher(servable, {.rows_max = 8}, clock);
  std::vector<std::future<Answer>> answers;
  answers.push_back(submit(batcher, one_row(1)));
  first_run_started.wait();
  for (int i = 2; i <= 5; ++i) answers.push_back(submit(batcher, one_row(static_cast<float>(i))));
  gate.count_down();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Answer answer = answers[i].get();
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(testing::floats_of(answer->front()).front(), 2.0F * static_cast<float>(i + 1));
  }
  EXPECT_EQ(servable.runs(), (std::vector<std::int64_t>{1, 4}));
  EXPECT_EQ(batcher.statistics().inference_count, 5u);
  EXPECT_EQ(batcher.statistics().execution_count, 2u);
  EXPECT_EQ(batcher.statistics().batches.at(4).count, 1u);
}

TEST_F(BatcherTest, bad_request_does_not_fail_its_neighbours) {
  Batcher batcher(servable, {.rows_max = 8}, clock);
  std::future<Answer> first = submit(batcher, one_row(1));
  first_run_started.wait();
  std::future<Answer> good = submit(batcher, one_row(2));
  std::future<Answer> bad = submit(batcher, one_row(-1));
  gate.count_down();
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(good.get().ok());
  EXPECT_EQ(bad.get().error().id, "fake.negative");
  EXPECT_EQ(batcher.statistics().fail.count, 1u);
  EXPECT_EQ(batcher.statistics().success.count, 2u);
}

TEST_F(BatcherTest, request_that_waited_too_long_is_dropped) {
  Batcher batcher(servable, {}, clock);
  std::future<Answer> first = submit(batcher, one_row(1));
  first_run_started.wait();
  std::future<Answer> late = submit(batcher, one_row(2), 5s);
  clock.advance(6s);
  gate.count_down();
  EXPECT_TRUE(first.get().ok());
  EXPECT_EQ(late.get().error().category, Category::kDeadlineExceeded);
  EXPECT_EQ(servable.runs().size(), 1u);
}

TEST_F(BatcherTest, one_request_beyond_the_bound_is_refused_at_once) {
  Batcher batcher(servable, {.requests_max = 2}, clock);
  std::future<Answer> first = submit(batcher, one_row(1));
  first_run_started.wait();
  std::future<Answer> second = submit(batcher, one_row(2));
  EXPECT_EQ(submit(batcher, one_row(3)).get().error().id, "serve.queue_full");
  EXPECT_EQ(batcher.pending(), 2u);
  gate.count_down();
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(second.get().ok());
  EXPECT_EQ(batcher.pending(), 0u);
}

TEST_F(BatcherTest, destruction_answers_what_was_admitted) {
  auto batcher = std::make_unique<Batcher>(servable, BatchQueueSettings{}, clock);
  std::future<Answer> first = submit(*batcher, one_row(1));
  first_run_started.wait();
  std::future<Answer> second = submit(*batcher, one_row(2));
  gate.count_down();
  batcher.reset();
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(second.get().ok());
}

TEST(Batcher, many_threads_and_instances_never_mix_rows) {
  trainyard::testing::FakeClock clock;
  FakeServable servable(testing::doubling_signature(), 2, testing::double_values);
  Batcher batcher(servable, {.rows_max = 4, .requests_max = 10'000}, clock);
  constexpr int kThreads = 4;
  constexpr int kRequests = 500;
  std::atomic<int> right{0};
  std::latch answered{kThreads * kRequests};
  {
    std::vector<std::jthread> callers;
    for (int thread = 0; thread < kThreads; ++thread) {
      callers.emplace_back([&, thread] {
        for (int i = 0; i < kRequests; ++i) {
          const auto value = static_cast<float>(thread * kRequests + i);
          batcher.submit(one_row(value), clock.monotonic_now() + 1h, [&, value](Answer answer) {
            if (answer.ok() && testing::floats_of(answer->front()).front() == 2 * value) ++right;
            answered.count_down();
          });
        }
      });
    }
  }
  answered.wait();
  EXPECT_EQ(right.load(), kThreads * kRequests);
}

}  // namespace
}  // namespace trainyard::serve
