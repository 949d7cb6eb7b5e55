#include "agent/installation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/rng.h"

namespace trainyard::agent {
namespace {

constexpr std::size_t kIdBytes = 16;

bool is_id(std::string_view text) {
  return text.size() == 2 * kIdBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string installation_id(const std::string& data_dir) {
  const std::string path = data_dir + "/installation";
  if (Result<std::string> text = read_file(path, 4096); text.ok()) {
    std::string id = std::move(text).value();
    while (!id.empty() && id.back() == '\n') id.pop_back();
    if (is_id(id)) return id;
  }
  std::string id = secure_random_hex(kIdBytes);
  // What is lost here costs one lease at most: the next process under another name waits for the end of this one's.
  if (make_directories(data_dir).ok()) (void)write_file_durably(path, id + "\n");
  return id;
}

Result<DirectoryLock> DirectoryLock::take(const std::string& data_dir) {
  TRY(make_directories(data_dir));
  const std::string path = data_dir + "/agent.lock";
  ASSIGN_OR_RETURN(UniqueFd file, open_file(path, O_RDWR | O_CREAT));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error(errno, "flock", path);
    const std::string holder = read_file(path, 64).value_or("");
    return Error{
        Category::kAlreadyExists,
        "agent.taken",
        fmt::format("another agent serves this data directory; stop it, or give this one another directory with --data and another "
                    "name with --node: {} (process {})",
                    data_dir, holder.empty() ? "unknown" : holder.substr(0, holder.find('\n'))),
        {},
        {}};
  }
  // For people and for the message above; the lock itself is what counts.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file.get(), 0) == 0) (void)write_all(file.get(), pid, path);
  return DirectoryLock(std::move(file));
}

}  // namespace trainyard::agent
