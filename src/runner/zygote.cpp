#include "runner/zygote.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "base/file.h"
#include "exec/process_groups.h"
#include "exec/zygote_protocol.h"

namespace trainyard::runner {
namespace {

constexpr int kEnded = 0;
constexpr int kFailed = 70;
/// Of a rank that could not be made: the warden sees its channel close and starts the program the ordinary way.
constexpr int kNoRank = 127;
constexpr int kInherited = 4;  ///< Standard streams and events.

/// The memory that others see as the marker of this process.
struct MarkerPlace {
  char* value = nullptr;
  std::size_t size = 0;
};

/// Both ends of a pipe, closed on exec.
struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

[[noreturn]] void leave(std::string_view reason) {
  fmt::print(stderr, "zygote {}: {}\n", ::getpid(), reason);
  std::fflush(stderr);
  ::_exit(kFailed);
}

bool has_one_thread() {
  const Result<std::vector<std::string>> tasks = list_directory("/proc/self/task");
  return tasks.ok() && tasks->size() == 1;
}

bool enter_groups(std::span<const UniqueFd> groups) {
  bool entered = !groups.empty();
  for (const UniqueFd& group : groups) entered = ::write(group.get(), "0", 1) == 1 && entered;
  return entered;
}

/// Returns whether it is held to what was asked for.
bool enter_limits(std::span<const UniqueFd> groups, std::int64_t data_max) {
  const bool entered = enter_groups(groups);
  rlimit data{};
  if (!entered && data_max > 0 && ::getrlimit(RLIMIT_DATA, &data) == 0) {
    data.rlim_cur = std::min(data.rlim_max, static_cast<rlim_t>(data_max));
    ::setrlimit(RLIMIT_DATA, &data);
  }
  return entered || groups.empty();
}

/// What takes the place of the marker: that of the rank, and after it the variables that the zygote did not have, as far as there is room.
/// None when not even the marker fits.
std::optional<std::string> seen_by_others(const exec::ZygoteRequest& request, std::size_t room) {
  const auto own_marker = request.environment.find(std::string(exec::kRankMarker));
  if (own_marker == request.environment.end() || own_marker->second.size() > room) return std::nullopt;
  std::string seen = own_marker->second;
  for (const auto& [name, value] : request.environment) {
    const char* const had = std::getenv(name.c_str());
    if (name == exec::kRankMarker || (had != nullptr && value == had)) continue;
    const std::string variable = fmt::format("{}={}", name, value);
    if (seen.size() + 1 + variable.size() <= room) seen += '\0' + variable;
  }
  return seen;
}

/// False when the marker does not fit.
bool replace_environment(const exec::ZygoteRequest& request, const ZygoteSettings& settings, const MarkerPlace& marker) {
  const std::optional<std::string> seen = seen_by_others(request, marker.size);
  if (!seen) return false;
  std::map<std::string, std::string> kept;
  for (const std::string& name : settings.kept_variables) {
    if (const char* const value = std::getenv(name.c_str()); value != nullptr) kept.emplace(name, value);
  }
  ::clearenv();
  for (const auto& [name, value] : request.environment) ::setenv(name.c_str(), value.c_str(), 1);
  for (const auto& [name, value] : kept) ::setenv(name.c_str(), value.c_str(), 0);
  std::memset(marker.value, 0, marker.size);
  std::memcpy(marker.value, seen->data(), seen->size());
  return true;
}

bool take_descriptors(std::span<const UniqueFd> descriptors) {
  for (int target = 0; target < kInherited; ++target) {
    if (::dup2(descriptors[static_cast<std::size_t>(target)].get(), target) < 0) return false;
  }
  return true;
}

/// Waits until the process between us and the zygote has ended and been collected: the warden is our parent then.
bool wait_for_adoption(int reader) {
  char byte = 0;
  ssize_t got = 0;
  while ((got = ::read(reader, &byte, 1)) < 0 && errno == EINTR) {
  }
  return got == 1;
}

/// In the new process. Whatever fails, it never runs: the warden then starts the program the ordinary way.
void become_rank(exec::Packet packet, const ZygoteSettings& settings, const MarkerPlace& marker, int adopted) {
  const Result<exec::ZygoteRequest> request = exec::parse_zygote_request(packet.message);
  if (!request.ok()) leave(request.error().describe());
  const std::span<const UniqueFd> all(packet.descriptors);
  const int channel = all.front().get();
  if (!wait_for_adoption(adopted)) ::_exit(kNoRank);
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != request->parent) ::_exit(kNoRank);

  const bool limited = enter_limits(all.subspan(exec::kZygoteDescriptors), request->data_max);
  if (!take_descriptors(all.subspan(1, kInherited)) || ::chdir(request->workdir.c_str()) != 0) ::_exit(kNoRank);
  if (!replace_environment(*request, settings, marker)) ::_exit(kNoRank);
  ::setpriority(PRIO_PROCESS, 0, request->nice);

  const exec::ForkedRank report{.pid = ::getpid(), .limited = limited};
  if (!exec::send_packet(channel, exec::encode_forked_rank(report)).ok()) ::_exit(kNoRank);
  const Result<exec::Packet> answer = exec::receive_packet(channel, exec::kRankGo.size());
  if (!answer.ok() || answer->message != exec::kRankGo) ::_exit(kNoRank);
}

/// Forks twice, so that the warden, which is the subreaper, becomes the parent of the rank. Not clone with CLONE_PARENT: only fork leaves
/// the C library fit to start threads in the child. True in the rank.
bool fork_rank(exec::Packet& packet, const ZygoteSettings& settings, const MarkerPlace& marker) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) leave("it has no descriptors left");
  Pipe adopted{UniqueFd(ends[0]), UniqueFd(ends[1])};
  std::fflush(nullptr);
  const pid_t between = ::fork();
  if (between < 0) return false;
  if (between == 0) {
    const pid_t rank = ::fork();
    if (rank != 0) ::_exit(rank > 0 ? kEnded : kFailed);
    adopted.writer.reset();
    become_rank(std::move(packet), settings, marker, adopted.reader.get());
    return true;
  }
  int status = 0;
  while (::waitpid(between, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kEnded) (void)write_all(adopted.writer.get(), "a", "adopted");
  return false;
}

MarkerPlace find_marker_place() {
  char* const value = std::getenv(std::string(exec::kRankMarker).c_str());
  if (value == nullptr) leave("its environment has no place for the marker of a rank; only the warden starts zygotes");
  return {value, std::strlen(value)};
}

}  // namespace

void serve_as_zygote(std::span<char*> arguments, const ZygoteSettings& settings) {
  const MarkerPlace marker = find_marker_place();
  if (settings.warm_up) settings.warm_up();
  if (!has_one_thread()) leave("the program has started threads: a fork of it would lack them");
  if (!exec::send_packet(exec::kZygoteSocket, exec::kZygoteReady).ok()) leave("nobody listens on descriptor 3");
  for (;;) {
    // Without a deadline: the end of the warden is the end of the socket, and of this process.
    Result<exec::Packet> packet = exec::receive_packet(exec::kZygoteSocket, exec::kZygoteMessageMax);
    if (!packet.ok()) leave(packet.error().describe());
    if (packet->message.empty()) ::_exit(kEnded);
    if (packet->descriptors.size() < exec::kZygoteDescriptors) leave("a request lacks descriptors");
    if (fork_rank(*packet, settings, marker)) break;
    // Only the rank reads it: the next one, of another job, would inherit what the zygote keeps.
    ::explicit_bzero(packet->message.data(), packet->message.size());
  }
  // Shown by ps as the program alone, as if it had been started for this rank.
  for (char* const argument : arguments) {
    if (argument == exec::kZygoteWord) std::memset(argument, 0, std::strlen(argument));
  }
}

}  // namespace trainyard::runner
