#include "access/secret_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"
#include "base/rng.h"

namespace trainyard::access {
namespace {

constexpr std::size_t kSecretFileMax = 4096;
constexpr std::size_t kSecretMin = 32;

}  // namespace

std::string make_personal_token() { return fmt::format("ty_pat_{}_{}", secure_random_hex(6), secure_random_hex(32)); }

Result<std::string> load_or_create_token(const std::string& path, const std::function<std::string()>& make) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return system_error(errno, "stat", path);
    std::string secret = make();
    TRY(write_file_durably(path, secret + "\n", 0600));
    return secret;
  }
  if ((info.st_mode & 077) != 0) {
    return Error{Category::kPermissionDenied,
                 "auth.token_file_mode",
                 fmt::format("others may read the token file: run `chmod 600 {}`, and remove the file first if it leaked", path),
                 {},
                 {}};
  }
  ASSIGN_OR_RETURN(std::string secret, read_file(path, kSecretFileMax));
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.size() < kSecretMin) {
    return data_loss("auth.token_file", fmt::format("the token file is damaged: remove it to make a new token: {}", path));
  }
  return secret;
}

Result<std::string> load_or_create_admin_token(const std::string& path) { return load_or_create_token(path, make_personal_token); }

Result<std::string> load_or_create_installation_key(const std::string& path) {
  return load_or_create_token(path, [] { return secure_random_hex(32); });
}

}  // namespace trainyard::access
