#include "apps/server/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/document.h"
#include "base/failpoint.h"

namespace trainyard::apps {
namespace {

/// The directory cannot be used at all: says which one was meant and how to name another.
Error unusable(Error cause, const std::string& path) {
  if (cause.id == "io.disk_full") return cause;
  cause.id = "data.unusable";
  cause.message = fmt::format("the data directory cannot be used; make it writable for this user or name another with --data: {} ({})",
                              path, cause.message);
  return cause;
}

/// A directory that holds other things is somebody's: a slip in --data must not strew files among them.
Result<void> refuse_foreign(const std::string& root) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, list_directory(root));
  // `lock` is what a server makes first; the log of its start may be there before it.
  const auto ours = [](const std::string& name) { return name == "lock" || name == "server.log"; };
  if (names.empty() || std::any_of(names.begin(), names.end(), ours)) return {};
  return failed_precondition("data.foreign",
                             fmt::format("the directory is not empty and no server has used it before: name an empty or new "
                                         "directory with --data; directory: {}, first entry: {}",
                                         root, names.front()));
}

}  // namespace

Result<DataDirectory> DataDirectory::open(const std::string& path) {
  if (Result<void> made = make_directories(path); !made.ok()) return unusable(std::move(made).error(), path);
  std::error_code error;
  const std::string root = std::filesystem::canonical(path, error).string();
  if (error) return system_error(error.value(), "open", path);
  TRY(refuse_foreign(root));
  const std::string lock_path = root + "/lock";
  Result<UniqueFd> opened = open_file(lock_path, O_RDWR | O_CREAT);
  if (!opened.ok()) return unusable(std::move(opened).error(), path);
  UniqueFd lock = std::move(opened).value();
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = read_file(lock_path, 64).value_or("unknown");
    return failed_precondition("data.locked", fmt::format("another server uses this data directory: stop it with `trainyard down`, or name "
                                                          "another directory with --data; directory: {}, pid: {}",
                                                          root, holder));
  }
  // On a full disk the lock holds without the pid of its holder.
  if (::ftruncate(lock.get(), 0) != 0) return system_error(errno, "ftruncate", lock_path);
  Result<void> signed_in = write_all(lock.get(), fmt::format("{}", ::getpid()), lock_path);
  if (!signed_in.ok() && signed_in.error().id != "io.disk_full") return std::move(signed_in).error();
  for (const char* name : {"objects", "logs", "work", "checkpoints", "cache", "run"}) TRY(make_directories(root + "/" + name));
  return DataDirectory(root, std::move(lock));
}

std::uint16_t DataDirectory::remembered_port() const {
  const Result<std::string> text = read_file(path("server.json"), 64 * 1024);
  if (!text.ok()) return 0;
  const Result<Document> document = parse_json(*text);
  if (!document.ok()) return 0;
  const std::string& url = (*document)["url"].text();
  const std::size_t colon = url.rfind(':');
  std::uint16_t port = 0;
  if (colon != std::string::npos) std::from_chars(url.data() + colon + 1, url.data() + url.size(), port);
  return port;
}

Result<void> DataDirectory::write_address(const ServerAddress& address) const {
  Document document = Document::object();
  document.set("url", address.url);
  document.set("token_file", address.token_file);
  document.set("pid", address.pid);
  if (!address.ca_file.empty()) document.set("ca_file", address.ca_file);
  return write_file_atomically(path("server.json"), to_json(document) + "\n");
}

Result<void> DataDirectory::probe_room() const {
  FAILPOINT("server.probe_disk");
  // Enough for the write-ahead logs and the address file of a start.
  const std::string content(std::size_t{256} << 10, '.');
  const std::string probe = path("run/room");
  const Result<void> written = write_file_durably(probe, content);
  TRY(remove_tree(probe));
  return written;
}

std::string default_data_directory() {
  if (const char* xdg = std::getenv("XDG_DATA_HOME"); xdg != nullptr && *xdg != '\0') return std::string(xdg) + "/trainyard";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr && *home != '\0' ? home : "/tmp") + "/.local/share/trainyard";
}

}  // namespace trainyard::apps
