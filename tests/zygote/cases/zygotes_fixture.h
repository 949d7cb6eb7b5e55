#pragma once
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/warden/zygotes.h"
#include "exec/process_groups.h"
#include "exec/testing/rank_probe.h"

namespace trainyard::warden::testing {

using exec::testing::wait_until;
using namespace std::chrono_literals;

inline constexpr const char* kProgram = "probe";

inline std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  ssize_t got = 0;
  while ((got = ::read(fd, buffer.data(), buffer.size())) > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
  return text;
}

/// The pipes of one rank, with our ends.
struct Pipes {
  Pipes() {
    for (const auto& [reader, writer] :
         {std::pair(&output, &ends.standard_output), std::pair(&error, &ends.standard_error), std::pair(&events, &ends.events)}) {
      std::array<int, 2> pair{};
      EXPECT_EQ(::pipe2(pair.data(), O_CLOEXEC), 0);
      reader->reset(pair[0]);
      writer->reset(pair[1]);
    }
  }
  void close_ends() { ends = {}; }

  UniqueFd output;
  UniqueFd error;
  UniqueFd events;
  RankOutput::WriteEnds ends;
};

/// The class in this process, which so becomes the parent of the ranks.
class ZygotesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(reserve_low_descriptors().ok());
    raise_descriptor_limit();
    go_before_ranks();
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  }

  void SetUp() override {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "NOT RUN: the sanitizer has a thread of its own, and a program with two threads gets no zygote";
#endif
    directory = make_temporary_directory("trainyard-zygote-test").value();
    settings.program_dir = directory + "/bin";
    ASSERT_TRUE(make_directories(directory + "/bin").ok());
    ASSERT_TRUE(make_directories(directory + "/work").ok());
    workdir = directory + "/work";
    program = settings.program_dir + "/" + kProgram;
    starts = directory + "/starts";
    copy_program();
    loop.emplace(EventLoop::make(clock).value());
    settings.programs = {kProgram};
    settings.boot_id = "boot";
    settings.start_delay = 1ms;
    settings.reply_patience = 10s;
    settings.memory_min = 0;
    environment = {
        {"PATH", settings.program_dir + ":/usr/bin:/bin"}, {"HOME", "/"}, {"PROBE_STARTS", starts}, {"TRAINYARD_RANK_ID", "boot/17/1/0"}};
  }
  void TearDown() override {
    zygotes.reset();
    if (directory.empty()) return;
    EXPECT_TRUE(exec::own_children().empty()) << "a test leaves no process behind";
    EXPECT_TRUE(remove_tree(directory).ok());
  }

  void copy_program() const {
    const std::string built = std::filesystem::read_symlink("/proc/self/exe").parent_path().string() + "/zygote_probe";
    const std::string fresh = program + ".new";
    std::filesystem::copy_file(built, fresh);
    std::filesystem::rename(fresh, program);
  }

  /// Dispatches until `done` says so for the first time.
  bool run_until(const std::function<bool()>& done, Duration patience = 10s) {
    const MonotonicPoint deadline = clock.monotonic_now() + patience;
    bool reached = false;
    TimerId timer;
    std::function<void()> look = [&] {
      timer = {};
      reached = done();
      if (reached || clock.monotonic_now() > deadline) return loop->stop();
      timer = loop->call_after(2ms, look);
    };
    look();
    EXPECT_TRUE(loop->run().ok());
    loop->cancel(timer);
    return reached;
  }

  std::optional<SpawnedRank> launch(const std::string& task, const ChildLimits& limits = {}) {
    if (!zygotes) zygotes.emplace(settings, Zygotes::Deps{*loop, clock});
    environment["TRAINYARD_SPEC"] = task;
    if (!pipes.ends.events.valid()) pipes = Pipes();
    return zygotes->launch({argv, environment, workdir, pipes.ends, limits});
  }
  /// Launches until a zygote serves it.
  std::optional<SpawnedRank> launch_forked(const std::string& task, const ChildLimits& limits = {}, Duration patience = 10s) {
    std::optional<SpawnedRank> rank;
    run_until([&] { return (rank = launch(task, limits)).has_value(); }, patience);
    return rank;
  }
  int wait_for(pid_t pid) {
    int status = -1;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    pipes.close_ends();
    return status;
  }
  /// The zygotes, as long as there are no other children.
  static pid_t only_child() {
    const std::vector<pid_t> children = exec::own_children();
    return children.size() == 1 ? children.front() : 0;
  }
  /// Waits for children that are no zygotes.
  void collect_strays() {
    for (const pid_t child : exec::own_children()) {
      if (!zygotes->owns(child)) ::waitpid(child, nullptr, WNOHANG);
    }
  }
  std::size_t started() const {
    const std::string lines = read_file(starts).value_or("");
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
  }

  const SystemClock clock;
  std::string directory;
  std::optional<EventLoop> loop;
  ZygoteSettings settings;
  std::optional<Zygotes> zygotes;
  std::vector<std::string> argv{kProgram};
  std::map<std::string, std::string> environment;
  std::string workdir;
  std::string program;
  std::string starts;
  Pipes pipes;
};

}  // namespace trainyard::warden::testing
