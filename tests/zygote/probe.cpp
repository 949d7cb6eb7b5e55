// A job program that tests tell what to do by the environment: TRAINYARD_SPEC is what a rank does, PROBE_ZYGOTE how a zygote fails.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <span>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "exec/zygote_protocol.h"
#include "runner/zygote.h"

namespace {

using namespace trainyard;

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void append_line(const std::string& path, std::string_view line) {
  const Result<UniqueFd> file = open_file(path, O_WRONLY | O_CREAT | O_APPEND);
  if (file.ok()) (void)write_all(file->get(), std::string(line) + "\n", path);
}

/// What a rank can tell about itself, one "name value" a line.
void report(std::span<char*> arguments, bool forked) {
  int death_signal = 0;
  ::prctl(PR_GET_PDEATHSIG, &death_signal);
  rlimit data{};
  ::getrlimit(RLIMIT_DATA, &data);
  fmt::print("forked {}\nnice {}\nparent {}\ngroup {}\nsession {}\ndeath_signal {}\ndata {}\ndirectory {}\nargument {}\n", forked,
             ::getpriority(PRIO_PROCESS, 0), ::getppid(), ::getpgid(0) == ::getpid() ? "own" : "other", ::getsid(0), death_signal,
             data.rlim_cur, std::filesystem::current_path().string(), arguments.front());
  std::vector<std::string> descriptors = list_directory("/proc/self/fd").value_or({});
  std::erase_if(descriptors, [](const std::string& name) { return ::fcntl(std::atoi(name.c_str()), F_GETFD) < 0; });
  std::sort(descriptors.begin(), descriptors.end());
  fmt::print("descriptors {}\n", fmt::join(descriptors, ","));
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  std::sort(variables.begin(), variables.end());
  for (const std::string& entry : variables) fmt::print("variable {}\n", entry);
  std::fflush(stdout);
  fmt::print(stderr, "to standard error\n");
  (void)write_all(3, "to events\n", "events");
}

/// Threads, locks and the heap, which a fork that is not a fork of the C library breaks.
void use_threads() {
  std::mutex mutex;
  std::size_t sum = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t index = 0; index < 8; ++index) {
      threads.emplace_back([&, index] {
        for (std::size_t round = 0; round < 1000; ++round) {
          const std::vector<std::size_t> memory(64 + round, index);
          const std::lock_guard lock(mutex);
          sum += memory.back();
        }
      });
    }
  }
  fmt::print("sum {}\n", sum);
}

/// Whether any memory that can be written holds the text that is `reversed` backwards; so that the search does not find itself.
bool remembers(std::string_view reversed) {
  std::istringstream maps(read_file("/proc/self/maps", std::size_t{1} << 20).value_or(""));
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::array<char, 8> access{};
    if (std::sscanf(line.c_str(), "%lx-%lx %7s", &begin, &end, access.data()) != 3 || access[0] != 'r' || access[1] != 'w') continue;
    std::string memory(end - begin, '\0');
    const Result<UniqueFd> file = open_file("/proc/self/mem", O_RDONLY);
    if (!file.ok() || !read_at(file->get(), std::as_writable_bytes(std::span(memory)), begin, "mem").ok()) continue;
    if (std::search(memory.begin(), memory.end(), reversed.rbegin(), reversed.rend()) != memory.end()) return true;
  }
  return false;
}

int run(std::span<char*> arguments, bool forked) {
  const std::string task = variable("TRAINYARD_SPEC");
  const std::string value = task.substr(std::min(task.find(':') + 1, task.size()));
  if (task == "report") report(arguments, forked);
  if (task == "threads") use_threads();
  if (task == "wait") ::poll(nullptr, 0, 60'000);
  if (task.starts_with("remembers:")) return remembers(value) ? 1 : 0;
  if (task.starts_with("mark:")) append_line(value, "ran");
  if (task.starts_with("exit:")) return std::atoi(value.c_str());
  if (task.starts_with("signal:")) ::raise(std::atoi(value.c_str()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  const bool zygote = arguments.size() == 2 && arguments[1] == trainyard::exec::kZygoteWord;
  if (!zygote) return run(arguments, false);
  const std::string failure = variable("PROBE_ZYGOTE");
  if (const std::string mark = variable("PROBE_STARTS"); !mark.empty()) append_line(mark, "zygote");
  if (failure == "exit") return 3;
  ::setenv("PROBE_KEPT", "by the program", 1);
  std::jthread thread;
  trainyard::runner::serve_as_zygote(arguments, {.warm_up =
                                                     [&] {
                                                       if (failure == "thread") thread = std::jthread([] { ::poll(nullptr, 0, 60'000); });
                                                     },
                                                 .kept_variables = {"PROBE_KEPT"}});
  return run(arguments, true);
}
