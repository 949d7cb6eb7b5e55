#include "apps/cli/demo_keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "apps/cli/demo_keeper_process.h"
#include "apps/programs.h"
#include "base/document.h"

namespace trainyard::apps {
namespace {

constexpr std::chrono::milliseconds kReadyLook{20};
constexpr int kReadyLooks = 1500;

/// Waits up to `span` for the process to end; true when it did.
bool ended_within(pid_t pid, std::chrono::milliseconds span) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return true;
  pollfd watched{process.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(span.count())) > 0;
}

Result<std::string> read_line_until_end(int fd) {
  std::string text;
  std::array<char, 512> piece{};
  for (;;) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "read", "keeper");
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
}

Result<std::array<UniqueFd, 2>> make_pipe(std::string_view name) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "pipe", name);
  return std::array<UniqueFd, 2>{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

Result<bool> is_usable_data_directory(const std::string& directory) {
  if (!file_exists(directory)) return true;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, list_directory(directory));
  if (std::find(names.begin(), names.end(), "ledger.db") != names.end()) return true;
  // What a demo leaves that was killed before its server had made more.
  return std::all_of(names.begin(), names.end(), [](const std::string& name) { return name == "server.log" || name == "lock"; });
}

Result<std::unique_ptr<DemoKeeper>> DemoKeeper::start(const Settings& settings) {
  ASSIGN_OR_RETURN(const std::string program, find_program("trainyard-server"));
  ASSIGN_OR_RETURN(auto control, make_pipe("control"));
  ASSIGN_OR_RETURN(auto report, make_pipe("report"));
  const pid_t keeper = ::fork();
  if (keeper < 0) return system_error(errno, "fork", "keeper");
  if (keeper == 0) {
    control[1].reset();
    report[0].reset();
    ::_exit(keep_demo_server({program, settings.data, control[0].get(), report[1].get()}));
  }
  report[1].reset();
  std::unique_ptr<DemoKeeper> self(new DemoKeeper());
  self->keeper_ = keeper;
  self->control_ = control[1].release();
  ASSIGN_OR_RETURN(const std::string text, read_line_until_end(report[0].get()));
  const Result<Document> started = parse_json(text);
  if (!started.ok()) return internal_error("demo.keeper", "the process that keeps the demo's server ended before it started one");
  if (const std::string& problem = (*started)["error"].text(); !problem.empty()) return unavailable("demo.not_started", problem);
  self->data_ = (*started)["data"].text();
  self->temporary_ = settings.data.empty();
  self->server_ = static_cast<pid_t>((*started)["pid"].as_int().value_or(0));
  self->log_begin_ = (*started)["log_begin"].as_unsigned().value_or(0);
  return self;
}

Result<client::ServerAddress> DemoKeeper::wait_until_ready() const {
  for (int i = 0; i < kReadyLooks; ++i) {
    if (const Result<std::string> text = read_file(data_ + "/ready.json", 4096); text.ok()) {
      ASSIGN_OR_RETURN(const Document ready, parse_json(*text));
      return client::ServerAddress{ready["url"].text(), ready["token_file"].text()};
    }
    if (control_ < 0) return Error{Category::kCancelled, "demo.interrupted", "interrupted before the server served", {}, {}};
    if (!ended_within(server_, kReadyLook)) continue;
    const std::string log = read_file(log_path()).value_or("");
    std::string said = log.substr(std::min<std::size_t>(log.size(), log_begin_));
    while (!said.empty() && said.back() == '\n') said.pop_back();
    return unavailable("demo.server_ended", "the server of the demo ended before it served; it said: " + said);
  }
  return Error{Category::kDeadlineExceeded, "demo.server_slow", "the server did not serve within 30 s; its log: " + log_path(), {}, {}};
}

bool DemoKeeper::server_runs() const { return !ended_within(server_, std::chrono::milliseconds(0)); }

void DemoKeeper::begin_stop() {
  if (const int control = control_.exchange(-1); control >= 0) ::close(control);
}

Result<void> DemoKeeper::stop() {
  begin_stop();
  if (keeper_ <= 0) return {};
  const pid_t keeper = std::exchange(keeper_, 0);
  const bool ended = ended_within(keeper, kKeeperEnd + std::chrono::seconds(5));
  int status = 0;
  if (ended && ::waitpid(keeper, &status, 0) == keeper && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return unavailable("demo.left_over", "not everything of the demo could be removed; look into its directory: " + data_);
}

void DemoKeeper::release() {
  const int control = control_.exchange(-1);
  if (control < 0) return;
  (void)write_all(control, kKeepRunning, "keeper");
  ::close(control);
  keeper_ = 0;
}

}  // namespace trainyard::apps
