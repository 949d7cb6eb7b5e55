#include "apps/warden/launch_slots.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"

namespace trainyard::warden {
namespace {

constexpr std::size_t kRecordMax = 64 * 1024;
/// So many free places keep their files open.
constexpr std::size_t kOpenMax = 64;
constexpr const char* kStartRecord = "start.json";

/// A regular file that only we may read and that has no second name.
bool is_ours_alone(const struct stat& info) { return S_ISREG(info.st_mode) && (info.st_mode & 07777) == 0600 && info.st_nlink == 1; }

Result<void> write_from_start(int fd, std::string_view text, const std::string& path) {
  for (off_t at = 0; !text.empty();) {
    const ssize_t written = ::pwrite(fd, text.data(), text.size(), at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(errno, "pwrite", path);
    text.remove_prefix(static_cast<std::size_t>(written));
    at += written;
  }
  return {};
}

/// A new one where the old one is not ours any more.
Result<UniqueFd> open_anew(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && is_ours_alone(info)) return open_file(path, O_WRONLY | O_NOFOLLOW);
  if (::unlink(path.c_str()) != 0 && errno == ENOENT) TRY(make_directories(path.substr(0, path.rfind('/'))));
  return open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

}  // namespace

Result<void> SlotFile::write(std::string_view text) {
  struct stat info {};
  const bool at_its_place = file_.valid() && ::lstat(path_.c_str(), &info) == 0 && is_ours_alone(info) && info.st_ino == inode_;
  if (!at_its_place) {
    ASSIGN_OR_RETURN(file_, open_anew(path_));
    if (::fstat(file_.get(), &info) != 0) return system_error(errno, "fstat", path_);
    inode_ = info.st_ino;
  }
  size_ = text.size();
  TRY(write_from_start(file_.get(), text, path_));
  const auto size = static_cast<off_t>(size_);
  if (info.st_size > size && ::ftruncate(file_.get(), size) != 0) return system_error(errno, "ftruncate", path_);
  return {};
}

void SlotFile::wipe() {
  if (file_.valid() && !write_from_start(file_.get(), std::string(size_, '\0'), path_).ok()) (void)::unlink(path_.c_str());
}

void SlotFile::make_void() {
  if (file_.valid() && write_from_start(file_.get(), "-", path_).ok()) return;
  (void)::unlink(path_.c_str());
}

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
  return LaunchFiles{SlotFile(place + "/spec.json"), SlotFile(place + "/token"), SlotFile(place + "/" + kStartRecord)};
}

void LaunchSlots::give_back(LaunchFiles files) {
  files.start_record.make_void();
  files.token.wipe();
  if (free_.size() >= kOpenMax) {
    for (SlotFile* file : {&files.spec, &files.token, &files.start_record}) file->close();
  }
  free_.push_back(std::move(files));
}

}  // namespace trainyard::warden
