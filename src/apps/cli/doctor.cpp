#include "apps/cli/doctor.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "apps/cli/demo_report.h"
#include "apps/programs.h"
#include "base/describe.h"
#include "base/file.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

using Outcome = Check::Outcome;

constexpr std::uint16_t kDefaultPort = 8470;
/// The main job leaves some 300 MB behind; below this a training is likely to end with a full disk.
constexpr std::int64_t kFreeDiskMin = std::int64_t{2} << 30;
/// Gradients of a gang: ResNet-18 with four ranks needs about 230 MB.
constexpr std::int64_t kSharedMemoryMin = std::int64_t{256} << 20;
constexpr const char* kPrograms[] = {"trainyard-server", "trainyard-agent", "trainyard-warden",
                                     "trainyard-etl",    "trainyard-train", "trainyard-serve"};

std::string readable(std::int64_t bytes) { return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30)); }

Check check_programs() {
  std::string first;
  for (const char* program : kPrograms) {
    const Result<std::string> path = find_program(program);
    if (!path.ok()) return {"programs", Outcome::kFailed, path.error().message, "run `make build`, or install the whole package again"};
    if (first.empty()) first = path->substr(0, path->rfind('/'));
  }
  return {"programs", Outcome::kOk, fmt::format("{} programs in {}", std::size(kPrograms), first), ""};
}

/// What the dynamic linker says about a program; nothing of it is run.
Result<std::string> loader_listing(const std::string& program) {
  std::FILE* const pipe = ::popen(("LD_TRACE_LOADED_OBJECTS=1 " + shell_word(program) + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return system_error(errno, "popen", program);
  std::string text;
  char piece[4096];
  while (const std::size_t got = std::fread(piece, 1, sizeof(piece), pipe)) text.append(piece, got);
  ::pclose(pipe);
  return text;
}

Check check_libraries() {
  for (const char* program : kPrograms) {
    const Result<std::string> path = find_program(program);
    if (!path.ok()) continue;
    const Result<std::string> listing = loader_listing(*path);
    if (!listing.ok()) return {"libraries", Outcome::kWarning, listing.error().describe(), "install a shell in /bin/sh"};
    const std::vector<std::string> missing = missing_libraries(*listing);
    if (missing.empty()) continue;
    return {"libraries", Outcome::kFailed, fmt::format("{} does not find {}", program, fmt::join(missing, ", ")),
            "run `tools/bootstrap`, which installs the libraries, and `make build`"};
  }
  return {"libraries", Outcome::kOk, "every program finds its libraries", ""};
}

/// The nearest directory that exists, at or above `path`.
std::string existing_parent(std::string path) {
  while (path.size() > 1 && !file_exists(path)) path.resize(std::max<std::size_t>(1, path.rfind('/')));
  return path;
}

Check check_data_directory(const std::string& data) {
  const std::string directory = existing_parent(data);
  const std::string fix = "choose another one with `trainyard up --data DIR`, or make room and permissions here";
  if (::access(directory.c_str(), W_OK | X_OK) != 0) {
    return {"data", Outcome::kFailed, fmt::format("{} cannot be written: {}", directory, std::strerror(errno)), fix};
  }
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) != 0) return {"data", Outcome::kWarning, std::strerror(errno), fix};
  const auto free = static_cast<std::int64_t>(space.f_bavail * space.f_frsize);
  const std::string text = fmt::format("{}{}, {} free", data, directory == data ? "" : " (not there yet)", readable(free));
  if (free < kFreeDiskMin)
    return {"data", Outcome::kWarning, text, fmt::format("at least {} are advised; {}", readable(kFreeDiskMin), fix)};
  return {"data", Outcome::kOk, text, ""};
}

Check check_durable_write() {
  const Result<std::string> directory = make_temporary_directory("trainyard-doctor-");
  Result<void> written = directory.ok() ? write_file_durably(*directory + "/probe", "probe\n") : Result<void>(directory.error());
  if (directory.ok() && written.ok()) written = remove_tree(*directory);
  if (written.ok()) return {"disk", Outcome::kOk, "temporary files can be written and synced", ""};
  return {"disk", Outcome::kFailed, written.error().describe(), "make room in the temporary directory, or name another in TMPDIR"};
}

Check check_shared_memory() {
  struct statvfs space {};
  if (::statvfs("/dev/shm", &space) != 0) {
    return {"shm", Outcome::kFailed, "/dev/shm is not there; gangs sum their gradients in it", "mount a tmpfs at /dev/shm"};
  }
  const auto free = static_cast<std::int64_t>(space.f_bavail * space.f_frsize);
  const std::string text = fmt::format("/dev/shm has {} free", readable(free));
  if (free >= kSharedMemoryMin) return {"shm", Outcome::kOk, text, ""};
  return {"shm", Outcome::kWarning, text,
          "in a container give it more: `docker run --shm-size=1g`; else `mount -o remount,size=1g /dev/shm`"};
}

/// The clock cannot be before the time at which this program was written to disk.
Check check_clock() {
  struct stat status {};
  const TimePoint now = SystemClock().now();
  const bool known = ::stat("/proc/self/exe", &status) == 0;
  const TimePoint written = time_from_micros(static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000);
  if (known && now + std::chrono::hours(24) < written) {
    return {"clock", Outcome::kFailed, fmt::format("the clock says {}, but this program is from {}", to_rfc3339(now), to_rfc3339(written)),
            "set the clock, for example with `timedatectl set-ntp true`"};
  }
  return {"clock", Outcome::kOk, to_rfc3339(now).substr(0, 19) + "Z", ""};
}

Check check_dataset() {
  const std::string directory = "/usr/share/datasets/fashion-mnist/";
  std::vector<std::string> missing;
  for (const char* file :
       {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"}) {
    if (!file_exists(directory + file)) missing.emplace_back(file);
  }
  if (missing.empty()) return {"dataset", Outcome::kOk, "Fashion-MNIST in " + directory, ""};
  return {"dataset", Outcome::kWarning,
          fmt::format("the data of `trainyard demo` is not complete: {}{}", directory, fmt::join(missing, ", ")),
          "apt-get install dataset-fashion-mnist"};
}

bool port_is_free(std::uint16_t port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr any{};
  std::memcpy(&any, &address, sizeof(address));
  return ::bind(socket.get(), &any, sizeof(address)) == 0;
}

Check check_port(const std::string& server_url) {
  if (server_url.ends_with(fmt::format(":{}", kDefaultPort))) {
    return {"port", Outcome::kOk, fmt::format("{} is that of the server", kDefaultPort), ""};
  }
  if (port_is_free(kDefaultPort)) return {"port", Outcome::kOk, fmt::format("{} is free", kDefaultPort), ""};
  return {"port", Outcome::kWarning, fmt::format("{}, the default, is taken by another program", kDefaultPort),
          "start with `trainyard up --port 0`, which finds a free one"};
}

Check check_server(const CommandContext& context) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok() && api.error().id == "client.no_server") {
    return {"server", Outcome::kWarning, "no server is known", "start one with `trainyard up`, or name one with --url"};
  }
  if (!api.ok()) return {"server", Outcome::kFailed, api.error().describe(), "check --url and --token-file"};
  const Result<Document> nodes = (*api)->get("/api/v1/nodes", std::chrono::seconds(5));
  if (nodes.ok()) {
    return {"server", Outcome::kOk, fmt::format("answers and knows {} nodes", (*nodes)["nodes"].items().size()), ""};
  }
  const bool token = exit_code_of(nodes.error().category) == kAuthentication;
  return {
      "server", Outcome::kFailed, nodes.error().describe(),
      token ? "name the token file that `trainyard up` printed with --token-file" : "start it again with `trainyard up`, or check --url"};
}

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kWarning:
      return "warning";
    case Outcome::kFailed:
      return "failed";
  }
  return "failed";
}

std::ptrdiff_t count_of(const std::vector<Check>& checks, Outcome outcome) {
  return std::count_if(checks.begin(), checks.end(), [outcome](const Check& check) { return check.outcome == outcome; });
}

}  // namespace

std::vector<std::string> missing_libraries(std::string_view listing) {
  std::vector<std::string> missing;
  while (!listing.empty()) {
    const std::size_t end = std::min(listing.find('\n'), listing.size());
    std::string_view line = listing.substr(0, end);
    listing.remove_prefix(std::min(end + 1, listing.size()));
    if (line.find("=> not found") == std::string_view::npos) continue;
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    missing.emplace_back(line.substr(0, line.find(' ')));
  }
  return missing;
}

std::vector<Check> examine(const CommandContext& context, const DoctorOptions& options) {
  const Result<client::ServerAddress> address = context.config.address();
  return {check_programs(),
          check_libraries(),
          check_data_directory(options.data.empty() ? client::user_data_directory() : options.data),
          check_durable_write(),
          check_shared_memory(),
          check_clock(),
          check_dataset(),
          check_port(address.ok() ? address->url : ""),
          check_server(context)};
}

std::string doctor_report(const std::vector<Check>& checks) {
  std::string text;
  for (const Check& check : checks) {
    const std::string state = check.outcome == Outcome::kFailed ? "FAILED" : std::string(name_of(check.outcome));
    text += fmt::format("{:<10} {:<8} {}\n", check.name, state, check.text);
    if (!check.fix.empty()) text += fmt::format("{:<10} {:<8} fix: {}\n", "", "", check.fix);
  }
  return text + fmt::format("{} ok, {} warnings, {} failed\n", count_of(checks, Outcome::kOk), count_of(checks, Outcome::kWarning),
                            count_of(checks, Outcome::kFailed));
}

Document doctor_document(const std::vector<Check>& checks) {
  Document list = Document::array();
  for (const Check& check : checks) {
    Document item = Document::object({{"name", check.name}, {"outcome", name_of(check.outcome)}, {"text", check.text}});
    if (!check.fix.empty()) item.set("fix", check.fix);
    list.push(std::move(item));
  }
  return Document::object({{"ok", count_of(checks, Outcome::kFailed) == 0}, {"checks", std::move(list)}});
}

}  // namespace trainyard::apps
