#pragma once
#include <string>

#include "base/file.h"

namespace trainyard::agent {

/// The name of a data directory: made at its first use and kept in its file `installation`. When it cannot be written a new one is drawn,
/// good for this process.
std::string installation_id(const std::string& data_dir);

/// Holds a data directory for one agent until it is destroyed, or the process ends however it ends. Makes the directory. Errors:
/// ALREADY_EXISTS "agent.taken" with the process id of the agent that has it.
class DirectoryLock {
 public:
  static Result<DirectoryLock> take(const std::string& data_dir);

 private:
  explicit DirectoryLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

}  // namespace trainyard::agent
