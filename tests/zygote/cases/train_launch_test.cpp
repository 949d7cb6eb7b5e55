#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "apps/warden/testing/warden_fixture.h"

namespace trainyard::warden {
namespace {

using exec::testing::program_path;
using exec::testing::rank_key;
using exec::testing::wait_until;
using testing::WardenConnection;
using testing::WardenTest;
using namespace std::chrono_literals;

/// The real program below a real warden.
class TrainLaunchTest : public WardenTest {
 protected:
  void SetUp() override {
    WardenTest::SetUp();
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "NOT RUN: the sanitizer has a thread of its own, and a program with two threads gets no zygote";
#endif
    if (!file_exists(program_path("trainyard-train"))) GTEST_SKIP() << "NOT RUN: trainyard-train was not built, it needs libtorch";
  }

  exec::RankLaunch train_launch(std::uint64_t job, std::int64_t milli_cpu = 1000) const {
    exec::RankLaunch launch;
    launch.rank = rank_key(job);
    launch.argv = {"trainyard-train"};
    launch.resources.milli_cpu = milli_cpu;
    launch.spec = spec;
    launch.env["TRAINYARD_CHECKPOINT_URI"] = fmt::format("file://{}/checkpoints-{}", data_dir, job);
    return launch;
  }

  /// Has the program make up data and a spec; with a word, so that no zygote comes of it.
  void make_data(WardenConnection& node) {
    ASSERT_TRUE(write_file_atomically(data_dir + "/config.json", R"({"epochs":2,"export_onnx":false})").ok());
    exec::RankLaunch launch = train_launch(1);
    launch.argv = {"trainyard-train", "local", data_dir + "/config.json", data_dir + "/local"};
    launch.env = {};
    node.send(exec::start_request(launch));
    node.wait_for_exit(rank_key(1), 60s);  // The node's spec comes before the one that was made, and has no job in it.
    const Result<std::string> text = read_file(data_dir + "/local/spec.json");
    ASSERT_TRUE(text.ok()) << stderr_of(rank_key(1));
    spec = parse_json(*text).value();
  }

  std::string stderr_of(const RankKey& key) const {
    return exec::testing::text_of_stream(exec::testing::read_log(paths(key).log), exec::kStderrStream);
  }

  /// Whether it comes from a zygote: the word it was started with leaves its room behind.
  static bool was_forked(std::int64_t pid) {
    const std::string words = read_file(fmt::format("/proc/{}/cmdline", pid), 4096).value_or("");
    return words.size() > std::string_view("trainyard-train").size() + 1;
  }
  std::optional<pid_t> zygote() const {
    for (const exec::ProcessStat& process : exec::list_processes()) {
      if (process.parent != warden->pid() || process.zombie) continue;
      if (exec::environment_value(process.pid, exec::kRankMarker).value_or("").find("/zygote/") != std::string::npos) return process.pid;
    }
    return std::nullopt;
  }
  /// A job that fails in the first line of its function: what it takes is its launch and its end.
  exec::RankExit fail_once(const std::string& program, std::int64_t milli_cpu) {
    exec::RankLaunch launch = train_launch(++last_failed, milli_cpu);
    launch.argv = {program};
    launch.spec = Document::object({{"job_id", "1"}, {"kind", "command"}});
    connection->send(exec::start_request(launch));
    const exec::RankExit exit = connection->wait_for_exit(launch.rank);
    EXPECT_NE(stderr_of(launch.rank).find("spec.kind"), std::string::npos) << stderr_of(launch.rank) << exit.launch_error;
    return exit;
  }
  /// Until one of them did not have to load the program, which costs a fifth of a second of a processor.
  bool wait_for_zygote(std::int64_t milli_cpu) {
    constexpr std::int64_t kFarLessThanLoading = 60'000;
    return wait_until(
        [&] {
          return fail_once("trainyard-train", milli_cpu).usage.value_or(exec::RankUsage{kFarLessThanLoading, 0}).cpu_us <
                 kFarLessThanLoading;
        },
        30s);
  }

  std::uint64_t last_failed = 100;
  Document spec;
};

/// What a training says that does not depend on the clock.
std::vector<std::string> results_of(const std::string& events_path) {
  std::vector<std::string> results;
  std::istringstream lines(read_file(events_path).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const Document event = parse_json(line).value_or(Document());
    if (event["event"].text() == "metric" && event["key"].text() != "samples_per_second") {
      results.push_back(fmt::format("{} {} {}", event["key"].text(), to_json(event["value"]), to_json(event["step"])));
    }
    if (event["event"].text() == "result") {
      results.push_back(event["values"]["parameter_hash"].text());
      results.push_back(to_json(event["values"]["validation_accuracy"]));
    }
  }
  return results;
}

TEST_F(TrainLaunchTest, job_on_a_zygote_trains_to_the_same_bits) {
  WardenConnection& node = start_warden();
  make_data(node);
  // Two threads an operation: the program starts itself again for that, and a fork has to have what that brought.
  node.send(exec::start_request(train_launch(2, 2000)));
  ASSERT_TRUE(node.wait_until_running(rank_key(2)));
  EXPECT_FALSE(was_forked(node.rank(rank_key(2))->observation.pid));
  EXPECT_EQ(node.wait_for_exit(rank_key(2), 60s).code, 0) << stderr_of(rank_key(2));
  ASSERT_TRUE(wait_for_zygote(2000));

  node.send(exec::start_request(train_launch(3, 2000)));
  ASSERT_TRUE(node.wait_until_running(rank_key(3)));
  const exec::RankObservation forked = node.rank(rank_key(3))->observation;
  EXPECT_TRUE(was_forked(forked.pid));
  EXPECT_EQ(forked.limited_by, node.rank(rank_key(2))->observation.limited_by);
  if (forked.limited_by.starts_with("cgroup")) {
    EXPECT_NE(read_file(fmt::format("/proc/{}/cgroup", forked.pid), 65536).value_or("").find("/rank-"), std::string::npos);
  }
  EXPECT_EQ(node.wait_for_exit(rank_key(3), 60s).code, 0) << stderr_of(rank_key(3));
  const std::vector<std::string> cold = results_of(paths(rank_key(2)).events);
  EXPECT_GE(cold.size(), 5U);
  EXPECT_EQ(results_of(paths(rank_key(3)).events), cold);
}

TEST_F(TrainLaunchTest, zygote_ends_with_its_warden_and_is_not_waited_for) {
  WardenConnection& node = start_warden();
  ASSERT_TRUE(wait_for_zygote(1000));
  const pid_t pid = zygote().value();
  node.ask(exec::shutdown_request(9, 30s));
  EXPECT_TRUE(warden->ended());
  EXPECT_TRUE(wait_until([&] { return !exec::process_stat(pid) || exec::process_stat(pid)->zombie; }));
}

TEST_F(TrainLaunchTest, idle_warden_leaves_with_its_zygote) {
  start_warden({"--idle-exit", "500ms"});
  ASSERT_TRUE(wait_for_zygote(1000));
  const pid_t pid = zygote().value();
  connection.reset();
  EXPECT_TRUE(warden->ended());
  EXPECT_TRUE(wait_until([&] { return !exec::process_stat(pid) || exec::process_stat(pid)->zombie; }));
}

TEST_F(TrainLaunchTest, warden_without_zygotes_starts_none) {
  start_warden({"--zygotes", "off"});
  fail_once("trainyard-train", 1000);
  EXPECT_FALSE(wait_until([&] { return zygote().has_value(); }, 3s));
}

TEST_F(TrainLaunchTest, launch_on_a_zygote_is_faster_than_a_cold_one) {
  start_warden();
  const SystemClock clock;
  const auto median_of = [&](const std::string& program) {
    std::vector<std::pair<Duration, double>> times;
    for (int round = 0; round < 11; ++round) {
      const MonotonicPoint begin = clock.monotonic_now();
      const exec::RankExit exit = fail_once(program, 1000);
      times.emplace_back(clock.monotonic_now() - begin, exit.usage ? static_cast<double>(exit.usage->cpu_us) / 1000 : 0);
    }
    std::sort(times.begin(), times.end());
    return times.at(times.size() / 2);
  };
  ASSERT_TRUE(wait_for_zygote(1000));
  const auto [warm, warm_cpu] = median_of("trainyard-train");
  // Called by another name, it gets no zygote.
  const auto [cold, cold_cpu] = median_of(program_path(".") + "/trainyard-train");
  const auto milliseconds = [](Duration duration) { return static_cast<double>(duration.count()) / 1000; };
  fmt::print(
      "start to end of a job that fails at once, median of 11: {:.1f} ms on a zygote, {:.1f} ms cold; of a processor {:.1f}, {:.1f} ms\n",
      milliseconds(warm), milliseconds(cold), warm_cpu, cold_cpu);
  EXPECT_LT(warm, cold / 2);
}

}  // namespace
}  // namespace trainyard::warden
