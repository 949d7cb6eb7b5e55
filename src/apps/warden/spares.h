#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/ids.h"

namespace trainyard::warden {

/// Exit records and empty working directories of ranks that are gone, kept for the next ones: making and removing inodes costs a file
/// system far more than renaming them, and short ranks do little else. A bounded number lies in one directory; all of it may be lost.
/// Single-threaded.
class Spares {
 public:
  /// Empties `directory`, or makes it. It lies in the same file system as the files it serves.
  static Result<Spares> make(std::string directory);

  /// A file with this text that has no name that counts yet; its path. Publish it, or take it back. Errors: those of files.
  Result<std::string> stage(std::string_view text);
  /// Gives a staged file its name at once: a reader sees the whole text or what was there before.
  Result<void> publish(const std::string& staged, const std::string& path);
  /// Removes a file that was published. Absent is no error.
  void take_back(const std::string& path);

  /// Makes work/JOB/ATTEMPT/tmp below `work`, unless it is there.
  Result<void> make_workdir(const std::string& work, const AttemptKey& attempt);
  /// Removes work/JOB/ATTEMPT and work/JOB when they are empty but for `tmp`, whose content goes; what else a program left stays.
  void take_back_workdir(const std::string& work, const AttemptKey& attempt);

 private:
  explicit Spares(std::string directory) : directory_(std::move(directory)) {}
  Result<std::string> stage_once(std::string_view text);

  struct SpareFile {
    std::string path;
    std::size_t size_max = 0;  ///< It is not longer.
  };

  std::string directory_;
  std::uint64_t last_ = 0;
  std::vector<SpareFile> files_;
  struct Workdir {
    std::string path;   ///< Stands for work/JOB.
    std::string inner;  ///< Name of the directory in it, which holds `tmp`.
  };
  std::vector<Workdir> workdirs_;
};

}  // namespace trainyard::warden
