#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/rng.h"
#include "train/shared_memory_comm.h"
#include "train/testing/blob_data.h"
#include "train/testing/linear_trainer.h"
#include "train/testing/scripted_control.h"
#include "train/training_loop.h"

namespace trainyard::train {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kRanks = 2;

/// Two ranks as two processes, as in production, with a model that needs no framework. A rank that gets through writes its parameter hash.
class GangTest : public ::testing::Test {
 protected:
  void SetUp() override { root_ = make_place(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(root_).ok()); }

  /// In memory: these tests end processes, not machines, and make hundreds of checkpoints that a busy disk would take minutes for.
  static std::string make_place() {
    std::string path = fmt::format("/dev/shm/trainyard-gang-{}", secure_random_hex(8));
    EXPECT_TRUE(make_directories(path).ok());
    return path;
  }

  /// The body of a rank's process.
  int run_rank(std::uint32_t rank, std::uint32_t attempt, const std::string& failpoints) const {
    if (rank == 0 && !arm_failpoints(failpoints).ok()) return 64;
    const SystemClock clock;
    testing::BlobData data;
    const TrainConfig config{.epochs = 10, .batch_size = 20, .learning_rate = 0.5, .checkpoint_every = 0s, .report_every_steps = 7};
    const TrainPlan plan = plan_training(config, data.view().train.rows(), kRanks).value();
    testing::LinearTrainer trainer(testing::BlobData::layout(), 4);
    const Result<std::unique_ptr<Comm>> comm = make_shared_memory_comm({.name = shared_memory_name(root_, "1", attempt),
                                                                        .rank = rank,
                                                                        .world_size = kRanks,
                                                                        .floats_max = trainer.parameters().size(),
                                                                        .rendezvous_timeout = 1s,
                                                                        .directory = root_},
                                                                       clock);
    if (!comm.ok()) return 70;
    CheckpointDirectory checkpoints({.root = root_ + "/checkpoints", .job = JobId(1), .attempt = AttemptNumber(attempt)});
    testing::ScriptedControl control;
    for (std::int64_t call = 1; call <= plan.steps_total; call += 3) control.checkpoint_at_calls.insert(call);
    testing::RecordingListener listener;
    TrainingLoop loop(
        config, plan, data.view(),
        {.trainer = trainer, .comm = *comm.value(), .checkpoints = &checkpoints, .control = control, .listener = listener, .clock = clock});
    const Result<TrainOutcome> outcome = loop.run(Document());
    if (!outcome.ok()) return 70;
    const std::string text = fmt::format("{} {}", outcome->parameter_hash, outcome->resumed_from_step);
    return write_file_atomically(fmt::format("{}/hash-{}-{}", root_, attempt, rank), text).ok() ? 0 : 70;
  }

  std::array<pid_t, kRanks> start(std::uint32_t attempt, const std::string& failpoints = {}) {
    std::array<pid_t, kRanks> pids{};
    for (std::uint32_t rank = 0; rank < kRanks; ++rank) {
      pids[rank] = ::fork();
      if (pids[rank] == 0) ::_exit(run_rank(rank, attempt, failpoints));
    }
    return pids;
  }
  static std::array<int, kRanks> wait(const std::array<pid_t, kRanks>& pids) {
    std::array<int, kRanks> codes{};
    for (std::uint32_t rank = 0; rank < kRanks; ++rank) {
      int status = 0;
      EXPECT_EQ(::waitpid(pids[rank], &status, 0), pids[rank]);
      codes[rank] = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return codes;
  }
  /// "<hash> <step it resumed from>"
  std::string hash(std::uint32_t attempt, std::uint32_t rank) const {
    const Result<std::string> text = read_file(fmt::format("{}/hash-{}-{}", root_, attempt, rank));
    return text.ok() ? text->substr(0, text->find(' ')) : "none";
  }
  std::int64_t resumed_from(std::uint32_t attempt) const {
    const std::string text = read_file(fmt::format("{}/hash-{}-0", root_, attempt)).value();
    return std::stoll(text.substr(text.find(' ')));
  }
  /// The hash of a gang that nobody disturbs, in a place of its own.
  std::string undisturbed() {
    const std::string root = std::exchange(root_, make_place());
    EXPECT_EQ(wait(start(1)), (std::array<int, kRanks>{0, 0}));
    std::string expected = hash(1, 0);
    EXPECT_EQ(hash(1, 1), expected);
    EXPECT_TRUE(remove_tree(root_).ok());
    root_ = root;
    return expected;
  }

  std::string root_;
};

TEST_F(GangTest, crash_at_any_checkpoint_failpoint_ends_with_the_same_bits) {
  const std::string expected = undisturbed();
  for (const char* name : {"checkpoint.after_write_before_manifest", "checkpoint.after_manifest"}) {
    for (const int hit : {1, 2, 9}) {
      ASSERT_TRUE(remove_tree(root_ + "/checkpoints").ok());
      const std::array<int, kRanks> codes = wait(start(1, fmt::format("{}=exit@{}", name, hit)));
      EXPECT_EQ(codes[0], 137);
      EXPECT_EQ(codes[1], 70) << "the peer of a rank that died ends with an error";
      EXPECT_EQ(wait(start(2)), (std::array<int, kRanks>{0, 0}));
      EXPECT_EQ(hash(2, 0), expected) << name << " hit " << hit;
      EXPECT_EQ(hash(2, 1), expected) << name << " hit " << hit;
      if (hit == 9) {
        EXPECT_GT(resumed_from(2), 0);
      }
    }
  }
}

TEST_F(GangTest, kill_at_random_moments_ends_with_the_same_bits) {
  const std::string expected = undisturbed();
  const SystemClock clock;
  constexpr std::uint64_t kSeed = 20'260'101;
  RecordProperty("seed", std::to_string(kSeed));
  SeededRng rng(kSeed);
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(remove_tree(root_ + "/checkpoints").ok());
    std::uint32_t attempt = 1;
    for (; attempt <= 3; ++attempt) {
      const std::array<pid_t, kRanks> pids = start(attempt);
      const timespec moment{.tv_sec = 0, .tv_nsec = static_cast<long>(rng.below(60'000'000))};
      ::clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, nullptr);
      ::kill(pids[rng.below(kRanks)], SIGKILL);
      wait(pids);
    }
    EXPECT_EQ(wait(start(attempt)), (std::array<int, kRanks>{0, 0}));
    EXPECT_EQ(hash(attempt, 0), expected) << "seed " << kSeed << " round " << round;
    EXPECT_EQ(hash(attempt, 1), expected) << "seed " << kSeed << " round " << round;
  }
}

}  // namespace
}  // namespace trainyard::train
