#include "apps/warden/launch_slots.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"

namespace trainyard::warden {
namespace {

constexpr std::size_t kRecordMax = 64 * 1024;
constexpr off_t kSecretMax = 64 * 1024;
constexpr const char* kStartRecord = "start.json";

/// A regular file that only we may read and that has no second name.
bool is_ours_alone(int fd, struct stat& info) {
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 07777) == 0600 && info.st_nlink == 1;
}

/// Overwritten, not cut to nothing: giving blocks back is dear.
void wipe(const std::string& path) {
  const Result<UniqueFd> file = open_file(path, O_WRONLY | O_NOFOLLOW);
  struct stat info {};
  if (!file.ok() || ::fstat(file->get(), &info) != 0) return;
  const std::string zeros(static_cast<std::size_t>(std::min(info.st_size, kSecretMax)), '\0');
  if (!write_all(file->get(), zeros, path).ok()) (void)::unlink(path.c_str());
}

/// One byte that makes it no JSON.
void make_void(const std::string& record) {
  const Result<UniqueFd> file = open_file(record, O_WRONLY | O_NOFOLLOW);
  if (file.ok() && write_all(file->get(), "-", record).ok()) return;
  (void)::unlink(record.c_str());
}

}  // namespace

std::vector<exec::StartRecord> LaunchSlots::started() const {
  std::vector<exec::StartRecord> started;
  for (const std::string& name : list_directory(directory_).value_or({})) {
    const Result<std::string> text = read_file(fmt::format("{}/{}/{}", directory_, name, kStartRecord), kRecordMax);
    if (!text.ok()) continue;
    Result<exec::StartRecord> record = exec::start_record_from(*text);
    if (record.ok()) started.push_back(std::move(record).value());
  }
  return started;
}

Result<LaunchSlots> LaunchSlots::open(std::string directory) {
  TRY(make_directories(directory));
  return LaunchSlots(std::move(directory));
}

Result<void> LaunchSlots::empty() {
  TRY(remove_tree(directory_));
  return make_directories(directory_);
}

Result<LaunchFiles> LaunchSlots::take() {
  if (!free_.empty()) {
    LaunchFiles files = std::move(free_.back());
    free_.pop_back();
    return files;
  }
  const std::string place = fmt::format("{}/{}", directory_, ++last_);
  TRY(make_directories(place));
  return LaunchFiles{place + "/spec.json", place + "/token", place + "/" + kStartRecord};
}

void LaunchSlots::give_back(LaunchFiles files) {
  make_void(files.start_record);
  wipe(files.token);
  free_.push_back(std::move(files));
}

Result<void> LaunchSlots::write(const std::string& path, std::string_view text) {
  Result<UniqueFd> file = open_file(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
  struct stat before {};
  if (!file.ok() || !is_ours_alone(file->get(), before)) {
    before = {};
    if (::unlink(path.c_str()) != 0 && errno == ENOENT) TRY(make_directories(path.substr(0, path.rfind('/'))));
    file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  }
  if (!file.ok()) return file.error();
  TRY(write_all(file->get(), text, path));
  const auto size = static_cast<off_t>(text.size());
  if (before.st_size > size && ::ftruncate(file->get(), size) != 0) return system_error(errno, "ftruncate", path);
  return {};
}

}  // namespace trainyard::warden
