#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace trainyard {
namespace {

TEST(BoundedQueue, items_come_out_in_the_order_they_went_in) {
  BoundedQueue<int> queue(3);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(queue.try_push(int{i}));
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(queue.pop(), i);
}

TEST(BoundedQueue, push_to_a_full_queue_fails_and_leaves_the_item_alone) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.try_push(std::move(second)));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(**queue.pop(), 1);
  EXPECT_TRUE(queue.try_push(std::move(second)));
}

TEST(BoundedQueue, closed_queue_gives_what_it_holds_and_then_nothing) {
  BoundedQueue<int> queue(4);
  EXPECT_TRUE(queue.try_push(1));
  queue.close();
  EXPECT_FALSE(queue.try_push(2));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_FALSE(queue.pop().has_value());
  EXPECT_FALSE(queue.pop().has_value());
}

TEST(BoundedQueue, close_wakes_everybody_who_waits) {
  BoundedQueue<int> queue(1);
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) readers.emplace_back([&queue] { EXPECT_FALSE(queue.pop().has_value()); });
  queue.close();
  for (std::thread& reader : readers) reader.join();
}

TEST(BoundedQueue, every_item_of_several_writers_arrives_once) {
  BoundedQueue<int> queue(8);
  constexpr int kPerWriter = 2000;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&queue, writer] {
      for (int i = 0; i < kPerWriter;) {
        if (queue.try_push(writer * kPerWriter + i)) {
          ++i;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  std::vector<int> seen(3 * kPerWriter);
  for (int i = 0; i < 3 * kPerWriter; ++i) ++seen.at(static_cast<std::size_t>(queue.pop().value()));
  for (std::thread& writer : writers) writer.join();
  for (const int count : seen) EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace trainyard
