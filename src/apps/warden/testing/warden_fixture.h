#pragma once
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "exec/process_groups.h"
#include "exec/process_table.h"
#include "exec/spool.h"
#include "exec/testing/rank_probe.h"
#include "exec/warden_protocol.h"

namespace trainyard::warden::testing {

using exec::testing::kRank;
using exec::testing::processes_of;
using exec::testing::program_path;
using exec::testing::rank_key;
using exec::testing::read_log;
using exec::testing::shell_launch;
using exec::testing::text_of_stream;
using exec::testing::wait_until;

using namespace std::chrono_literals;

/// A warden in a process of its own, in the foreground below the test.
class WardenProcess {
 public:
  explicit WardenProcess(std::string data_dir, std::vector<std::string> options = {}, int lifeline = -1) : data_dir_(std::move(data_dir)) {
    std::vector<std::string> words{program_path("trainyard-warden"), "--dir", data_dir_};
    words.insert(words.end(), options.begin(), options.end());
    if (lifeline >= 0) words.insert(words.end(), {"--lifeline", "9"});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (lifeline >= 0) posix_spawn_file_actions_adddup2(&actions, lifeline, 9);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    EXPECT_EQ(posix_spawn(&pid_, words[0].c_str(), &actions, &attributes, argv.data(), environ), 0) << words[0];
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  ~WardenProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
    EXPECT_TRUE(exec::kill_recorded_groups(data_dir_ + "/run/groups", 5s, SystemClock()).ok());
  }
  WardenProcess(const WardenProcess&) = delete;
  WardenProcess& operator=(const WardenProcess&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  /// Waits for its end and returns the wait status.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  bool ended(Duration patience = 10s) {
    int status = 0;
    const bool gone = wait_until([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, patience);
    if (gone) pid_ = -1;
    return gone;
  }

 private:
  std::string data_dir_;
  pid_t pid_ = -1;
};

/// A blocking connection that keeps the newest state of every rank.
class WardenConnection {
 public:
  explicit WardenConnection(const std::string& data_dir) {
    EXPECT_TRUE(wait_until([&] { return connect(data_dir + "/run"); })) << "no warden answers in " << data_dir;
  }

  void send(const Document& request) {
    const std::string frame = exec::encode_frame(request);
    std::size_t sent = 0;
    while (sent < frame.size()) {
      const ssize_t put = ::send(socket_.get(), frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
      if (put <= 0) break;
      sent += static_cast<std::size_t>(put);
    }
  }

  /// Sends a request that carries the id and returns its reply.
  Document ask(const Document& request) {
    const std::uint64_t id = request["id"].as_unsigned().value_or(0);
    send(request);
    reply_ = {};
    EXPECT_TRUE(read_until([&] { return reply_["reply"].as_unsigned().value_or(0) == id; }));
    return reply_;
  }
  void subscribe() {
    const Document reply = ask(exec::subscribe_request(1));
    for (const exec::WardenRank& rank : exec::warden_ranks_from(reply).value_or({})) ranks_[rank.observation.rank] = rank;
  }

  /// Reads messages until `condition` holds. False after the deadline or when the warden has gone.
  bool read_until(const std::function<bool()>& condition, Duration patience = 10s) {
    const SystemClock clock;
    const MonotonicPoint deadline = clock.monotonic_now() + patience;
    while (!condition()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.monotonic_now());
      if (left.count() <= 0 || !read_some(left)) return condition();
    }
    return true;
  }
  bool closed_by_warden(Duration patience = 10s) {
    return read_until([&] { return closed_; }, patience);
  }

  const exec::WardenRank* rank(const RankKey& key) const {
    const auto found = ranks_.find(key);
    return found == ranks_.end() ? nullptr : &found->second;
  }
  const exec::RankExit* exit_of(const RankKey& key) const {
    const exec::WardenRank* found = rank(key);
    return found != nullptr && found->observation.exit ? &*found->observation.exit : nullptr;
  }
  exec::RankExit wait_for_exit(const RankKey& key, Duration patience = 20s) {
    EXPECT_TRUE(read_until([&] { return exit_of(key) != nullptr; }, patience)) << "no exit of " << exec::text_of(key);
    return exit_of(key) != nullptr ? *exit_of(key) : exec::RankExit{};
  }
  bool wait_until_running(const RankKey& key) {
    return read_until([&] { return rank(key) != nullptr && rank(key)->observation.phase != exec::RankObservation::Phase::kStarting; });
  }

 private:
  bool connect(const std::string& directory) {
    const Result<UniqueFd> parent = open_file(directory, O_PATH | O_DIRECTORY);
    if (!parent.ok()) return false;
    const std::string path = fmt::format("/proc/self/fd/{}/warden.sock", parent->get());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const void* raw = &address;
    return ::connect(socket_.get(), static_cast<const sockaddr*>(raw), sizeof(address)) == 0;
  }
  bool read_some(std::chrono::milliseconds patience) {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(patience.count())) <= 0) return false;
    std::array<char, 65536> buffer{};
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    closed_ = got <= 0;
    if (closed_) return false;
    decoder_.feed({buffer.data(), static_cast<std::size_t>(got)});
    for (;;) {
      const auto message = decoder_.next();
      if (!message.ok() || !message->has_value()) return message.ok();
      take(**message);
    }
  }
  void take(const Document& message) {
    if (message.find("reply") != nullptr) reply_ = message;
    if (message["push"].text() == "rank") {
      const auto rank = exec::warden_rank_from(message["rank"]);
      if (rank.ok()) ranks_[rank->observation.rank] = *rank;
    }
    if (message["push"].text() == "grown") {
      for (const exec::RankGrowth& growth : exec::rank_growths_from(message).value_or({})) {
        if (!ranks_.contains(growth.rank)) continue;
        ranks_[growth.rank].log_size = std::max(ranks_[growth.rank].log_size, growth.log_size);
        ranks_[growth.rank].events_size = std::max(ranks_[growth.rank].events_size, growth.events_size);
      }
    }
  }

  UniqueFd socket_;
  exec::FrameDecoder decoder_;
  Document reply_;
  bool closed_ = false;
  std::map<RankKey, exec::WardenRank> ranks_;
};

/// A data directory of its own for each test, with a warden when it is started.
class WardenTest : public ::testing::Test {
 protected:
  void SetUp() override { data_dir = make_temporary_directory("trainyard-warden-test").value(); }
  void TearDown() override {
    warden.reset();
    EXPECT_TRUE(remove_tree(data_dir).ok());
  }
  WardenConnection& start_warden(std::vector<std::string> options = {}, int lifeline = -1) {
    warden.emplace(data_dir, std::move(options), lifeline);
    connection.emplace(data_dir);
    connection->subscribe();
    return *connection;
  }
  exec::SpoolPaths paths(const RankKey& key) const { return exec::spool_paths(data_dir, key); }
  std::string stdout_of(const RankKey& key) const { return text_of_stream(read_log(paths(key).log), exec::kStdoutStream); }

  std::string data_dir;
  std::optional<WardenProcess> warden;
  std::optional<WardenConnection> connection;
};

}  // namespace trainyard::warden::testing
