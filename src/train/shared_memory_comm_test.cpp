#include "train/shared_memory_comm.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/rng.h"

namespace trainyard::train {
namespace {

using namespace std::chrono_literals;

class SharedMemoryCommTest : public ::testing::Test {
 protected:
  void SetUp() override { directory_ = make_temporary_directory("trainyard-comm-").value(); }
  void TearDown() override {
    EXPECT_TRUE(list_directory(directory_).value().empty()) << "a segment was left behind";
    EXPECT_TRUE(remove_tree(directory_).ok());
  }

  SharedMemorySettings settings(std::uint32_t rank, std::uint32_t world) const {
    return {.name = "gang",
            .rank = rank,
            .world_size = world,
            .floats_max = 1000,
            .rendezvous_timeout = 5s,
            .collective_timeout = 5s,
            .directory = directory_};
  }

  /// Runs `work` as every rank, each on its own thread.
  void run_gang(std::uint32_t world, const std::function<void(Comm&)>& work) {
    std::vector<std::jthread> ranks;
    for (std::uint32_t rank = 0; rank < world; ++rank) {
      ranks.emplace_back([&, rank] {
        const Result<std::unique_ptr<Comm>> comm = make_shared_memory_comm(settings(rank, world), clock_);
        ASSERT_TRUE(comm.ok()) << comm.error().describe();
        work(*comm.value());
      });
    }
  }

  SystemClock clock_;
  std::string directory_;
};

TEST_F(SharedMemoryCommTest, sums_are_taken_in_rank_order) {
  // In float, 1e8 + 1 - 1e8 depends on the order: from left to right it is 0.
  constexpr std::array<float, 3> kParts{1e8F, 1.0F, -1e8F};
  run_gang(3, [&](Comm& comm) {
    std::vector<float> sums(10, kParts[comm.rank()]);
    ASSERT_TRUE(comm.all_reduce(sums, {}).ok());
    for (const float sum : sums) EXPECT_EQ(sum, (kParts[0] + kParts[1]) + kParts[2]);
  });
}

TEST_F(SharedMemoryCommTest, many_rounds_give_every_rank_the_same_result) {
  for (const std::uint32_t world : {2u, 4u}) {
    run_gang(world, [&](Comm& comm) {
      SeededRng rng(comm.rank() + 1);
      for (int round = 0; round < 300; ++round) {
        std::vector<float> sums(static_cast<std::size_t>(1 + round * 3), static_cast<float>(comm.rank() + 1));
        std::array<std::int64_t, 2> maxima{static_cast<std::int64_t>(comm.rank()), -static_cast<std::int64_t>(comm.rank())};
        if (rng.below(50) == 0) std::this_thread::yield();
        ASSERT_TRUE(comm.all_reduce(sums, maxima).ok());
        const auto expected = static_cast<float>(world * (world + 1) / 2);
        for (const float sum : sums) ASSERT_EQ(sum, expected);
        EXPECT_EQ(maxima[0], world - 1);
        EXPECT_EQ(maxima[1], 0);
        std::array<double, 1> total{static_cast<double>(comm.rank())};
        ASSERT_TRUE(comm.sum(total).ok());
        EXPECT_EQ(total[0], world * (world - 1) / 2.0);
      }
    });
  }
}

TEST_F(SharedMemoryCommTest, rank_that_leaves_makes_its_peers_fail) {
  run_gang(2, [&](Comm& comm) {
    if (comm.rank() == 1) return;
    const Result<void> result = comm.all_reduce({}, {});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().id, "comm.peer_lost");
    EXPECT_EQ(comm.all_reduce({}, {}).error().id, "comm.peer_lost") << "a failed object stays failed";
  });
}

TEST_F(SharedMemoryCommTest, killed_peer_is_an_error_soon_and_not_a_hang) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Result<std::unique_ptr<Comm>> comm = make_shared_memory_comm(settings(1, 2), clock_);
    if (comm.ok() && comm.value()->all_reduce({}, {}).ok()) ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }
  const Result<std::unique_ptr<Comm>> comm = make_shared_memory_comm(settings(0, 2), clock_);
  ASSERT_TRUE(comm.ok()) << comm.error().describe();
  ASSERT_TRUE(comm.value()->all_reduce({}, {}).ok());
  const MonotonicPoint before = clock_.monotonic_now();
  const Result<void> result = comm.value()->all_reduce({}, {});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().id, "comm.peer_lost");
  EXPECT_LT(clock_.monotonic_now() - before, 2s);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(SharedMemoryCommTest, stopped_peer_is_an_error_at_the_deadline) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Result<std::unique_ptr<Comm>> comm = make_shared_memory_comm(settings(1, 2), clock_);
    ::raise(SIGSTOP);
    ::_exit(comm.ok() ? 0 : 1);
  }
  SharedMemorySettings impatient = settings(0, 2);
  impatient.collective_timeout = 200ms;
  const Result<std::unique_ptr<Comm>> comm = make_shared_memory_comm(impatient, clock_);
  ASSERT_TRUE(comm.ok());
  EXPECT_EQ(comm.value()->all_reduce({}, {}).error().id, "comm.timeout");
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_F(SharedMemoryCommTest, segment_that_an_ended_gang_left_behind_is_replaced) {
  // What a rank 0 leaves that is killed while it waits: a file with the right name, with rank 1's place taken or free.
  const pid_t child = ::fork();
  if (child == 0) {
    SharedMemorySettings alone = settings(0, 2);
    alone.rendezvous_timeout = 60s;
    static_cast<void>(make_shared_memory_comm(alone, clock_).ok());
    ::_exit(0);
  }
  const MonotonicPoint deadline = clock_.monotonic_now() + 5s;
  while (!file_exists(directory_ + "/gang") && clock_.monotonic_now() < deadline) std::this_thread::yield();
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_TRUE(file_exists(directory_ + "/gang"));
  run_gang(2, [](Comm& comm) { EXPECT_TRUE(comm.all_reduce({}, {}).ok()); });
}

TEST_F(SharedMemoryCommTest, rank_that_never_comes_is_an_error_that_names_it) {
  SharedMemorySettings impatient = settings(0, 2);
  impatient.rendezvous_timeout = 50ms;
  const Result<std::unique_ptr<Comm>> comm = make_shared_memory_comm(impatient, clock_);
  ASSERT_FALSE(comm.ok());
  EXPECT_EQ(comm.error().id, "comm.rendezvous");
  EXPECT_NE(comm.error().message.find("rank 1"), std::string::npos);
}

TEST_F(SharedMemoryCommTest, stop_request_ends_the_wait_for_a_rank_that_never_comes) {
  for (const std::uint32_t rank : {0u, 1u}) {
    SharedMemorySettings stopped = settings(rank, 2);
    stopped.give_up = [] { return true; };
    EXPECT_EQ(make_shared_memory_comm(stopped, clock_).error().id, "comm.given_up");
  }
}

TEST(SharedMemoryName, places_jobs_and_attempts_do_not_share_a_name) {
  const std::string name = shared_memory_name("/a", "7", 1);
  EXPECT_NE(name, shared_memory_name("/b", "7", 1));
  EXPECT_NE(name, shared_memory_name("/a", "8", 1));
  EXPECT_NE(name, shared_memory_name("/a", "7", 2));
  EXPECT_EQ(name, shared_memory_name("/a", "7", 1));
}

}  // namespace
}  // namespace trainyard::train
