#include "apps/server/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/document.h"

namespace trainyard::apps {

Result<DataDirectory> DataDirectory::open(const std::string& path) {
  TRY(make_directories(path));
  std::error_code error;
  const std::string root = std::filesystem::canonical(path, error).string();
  if (error) return system_error(error.value(), "open", path);
  const std::string lock_path = root + "/lock";
  ASSIGN_OR_RETURN(UniqueFd lock, open_file(lock_path, O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = read_file(lock_path, 64).value_or("unknown");
    return failed_precondition("data.locked", fmt::format("another server uses this data directory: stop it with `trainyard down`, or name "
                                                          "another directory with --data; directory: {}, pid: {}",
                                                          root, holder));
  }
  if (::ftruncate(lock.get(), 0) != 0) return system_error(errno, "ftruncate", lock_path);
  TRY(write_all(lock.get(), fmt::format("{}", ::getpid()), lock_path));
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
  return write_file_atomically(path("server.json"), to_json(document) + "\n");
}

std::string default_data_directory() {
  if (const char* xdg = std::getenv("XDG_DATA_HOME"); xdg != nullptr && *xdg != '\0') return std::string(xdg) + "/trainyard";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr && *home != '\0' ? home : "/tmp") + "/.local/share/trainyard";
}

}  // namespace trainyard::apps
