#include "apps/warden/spares.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <limits>
#include <memory>

#include "base/file.h"

namespace trainyard::warden {
namespace {

constexpr std::size_t kFilesMax = 256;
constexpr std::size_t kWorkdirsMax = 256;

bool renamed(const std::string& from, const std::string& to) { return ::rename(from.c_str(), to.c_str()) == 0; }

/// The time of the last change of spare directories: whoever adds or removes an entry changes it.
constexpr std::time_t kUntouched = 63'072'000;

bool is_untouched(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && (info.st_mode & 07777) == 0700 &&
         info.st_mtim.tv_sec == kUntouched && info.st_mtim.tv_nsec == 0;
}

void mark_untouched(const std::string& path) {
  const std::array<timespec, 2> times{{{0, UTIME_OMIT}, {kUntouched, 0}}};
  (void)::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);  // Then it is looked through once more.
}

/// True when it is a directory of ours in which there is nothing but, perhaps, an entry of this name.
bool is_fresh(const std::string& path, std::string_view name) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  struct stat info {};
  if (!directory || ::fstat(::dirfd(directory.get()), &info) != 0 || (info.st_mode & 07777) != 0700) return false;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view found = entry->d_name;
    if (found != "." && found != ".." && found != name) return false;
  }
  return true;
}

}  // namespace

Result<Spares> Spares::make(std::string directory) {
  TRY(remove_tree(directory));
  TRY(make_directories(directory));
  return Spares(std::move(directory));
}

Result<std::string> Spares::stage_once(std::string_view text) {
  SpareFile spare{fmt::format("{}/f{}", directory_, last_ + 1), 0};
  if (files_.empty()) {
    ++last_;
  } else {
    spare = std::move(files_.back());
    files_.pop_back();
  }
  const std::string& path = spare.path;
  ASSIGN_OR_RETURN(const UniqueFd file, open_file(path, O_WRONLY | O_CREAT, 0600));
  // Overwritten and then cut, so that blocks that are there are used again.
  Result<void> written = write_all(file.get(), text, path);
  const bool too_long = spare.size_max > text.size();
  if (written.ok() && too_long && ::ftruncate(file.get(), static_cast<off_t>(text.size())) != 0) {
    written = system_error(errno, "ftruncate", path);
  }
  if (written.ok()) return path;
  (void)::unlink(path.c_str());
  return written.error();
}

Result<std::string> Spares::stage(std::string_view text) {
  Result<std::string> path = stage_once(text);
  if (path.ok() || path.error().category != Category::kNotFound) return path;
  // Somebody cleaned up.
  files_.clear();
  TRY(make_directories(directory_));
  return stage_once(text);
}

Result<void> Spares::publish(const std::string& staged, const std::string& path) {
  if (renamed(staged, path)) return {};
  if (errno == ENOENT) TRY(make_directories(path.substr(0, path.rfind('/'))));
  if (renamed(staged, path)) return {};
  return system_error(errno, "rename", path);
}

void Spares::take_back(const std::string& path) {
  if (files_.size() >= kFilesMax) {
    (void)::unlink(path.c_str());
    return;
  }
  SpareFile spare{fmt::format("{}/f{}", directory_, ++last_), std::numeric_limits<std::size_t>::max()};
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) spare.size_max = static_cast<std::size_t>(info.st_size);
  if (renamed(path, spare.path)) {
    files_.push_back(std::move(spare));
  } else if (errno != ENOENT) {
    (void)::unlink(path.c_str());
  }
}

Result<void> Spares::make_workdir(const std::string& work, const AttemptKey& attempt) {
  const std::string job = fmt::format("{}/{}", work, attempt.job.value);
  const std::string inner = attempt.attempt.text();
  if (!workdirs_.empty()) {
    const Workdir spare = std::move(workdirs_.back());
    workdirs_.pop_back();
    if (renamed(spare.path, job)) {
      if (spare.inner == inner || renamed(job + "/" + spare.inner, job + "/" + inner)) return {};
    } else {
      workdirs_.push_back(spare);  // The job has a directory already, for example of another attempt.
    }
  }
  return make_directories(job + "/" + inner + "/tmp");
}

void Spares::take_back_workdir(const std::string& work, const AttemptKey& attempt) {
  const std::string job = fmt::format("{}/{}", work, attempt.job.value);
  const std::string inner = attempt.attempt.text();
  const std::string path = job + "/" + inner;
  const bool untouched = is_untouched(path + "/tmp") && is_untouched(path) && is_untouched(job);
  if (workdirs_.size() < kWorkdirsMax && (untouched || (is_fresh(path + "/tmp", "") && is_fresh(path, "tmp") && is_fresh(job, inner)))) {
    if (!untouched) {
      for (const std::string& directory : {path + "/tmp", path, job}) mark_untouched(directory);
    }
    std::string spare = fmt::format("{}/w{}", directory_, ++last_);
    if (renamed(job, spare)) {
      workdirs_.push_back({std::move(spare), inner});
      return;
    }
  }
  (void)remove_tree(path + "/tmp");
  if (::rmdir(path.c_str()) == 0) (void)::rmdir(job.c_str());
}

}  // namespace trainyard::warden
