#include "apps/programs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace trainyard::apps {

Result<std::string> find_program(const std::string& program) {
  std::vector<std::string> directories;
  if (const char* libexec = std::getenv("TRAINYARD_LIBEXEC"); libexec != nullptr && *libexec != '\0') directories.emplace_back(libexec);
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    directories.push_back(self.parent_path().string());
    directories.push_back((self.parent_path().parent_path() / "libexec/trainyard").string());
  }
  for (const std::string& directory : directories) {
    const std::string path = directory + "/" + program;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return not_found("program.missing",
                   fmt::format("the program {} is not installed beside this one: build it with `make build`; looked in {}", program,
                               fmt::join(directories, ", ")));
}

}  // namespace trainyard::apps
