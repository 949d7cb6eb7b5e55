#include "access/token_authorizer.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>

#include <array>
#include <charconv>

#include "base/checksum.h"
#include "base/file.h"
#include "base/rng.h"

namespace trainyard::access {
namespace {

constexpr std::string_view kAttemptPrefix = "ty_job_";
constexpr std::string_view kCookie = "trainyard_session=";

Error invalid_token() {
  return {Category::kUnauthenticated, "auth.invalid",
          "the access token is not known here or is over: read the current one from the token file that `trainyard up` names", {}, {}};
}

std::string hmac_hex(const std::string& key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const std::string copy(text);
  const void* data = copy.data();
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), static_cast<const unsigned char*>(data), copy.size(), digest.data(), &size) != nullptr,
        "HMAC-SHA-256 is not available");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::optional<std::string> password_of_basic(std::string_view encoded) {
  std::string decoded(encoded.size(), '\0');
  const std::string text(encoded);
  const void* in = text.data();
  void* out = decoded.data();
  const int length = EVP_DecodeBlock(static_cast<unsigned char*>(out), static_cast<const unsigned char*>(in), static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  decoded.resize(static_cast<std::size_t>(length));
  while (!decoded.empty() && decoded.back() == '\0') decoded.pop_back();  // EVP_DecodeBlock counts the padding.
  const std::size_t colon = decoded.find(':');
  return colon == std::string::npos ? std::nullopt : std::optional(decoded.substr(colon + 1));
}

std::optional<std::string> cookie_token(const net::Request& request) {
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  const std::string_view cookies = request.headers.get("cookie").value_or("");
  const std::size_t at = cookies.find(kCookie);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = cookies.substr(at + kCookie.size());
  return std::string(rest.substr(0, rest.find(';')));
}

}  // namespace

std::optional<std::string> token_of(const net::Request& request) {
  const std::string_view header = request.headers.get("authorization").value_or("");
  if (header.substr(0, 7) == "Bearer ") return std::string(header.substr(7));
  if (header.substr(0, 6) == "Basic ") return password_of_basic(header.substr(6));
  return cookie_token(request);
}

void TokenAuthorizer::set_attempt_check(AttemptCheck check) {
  const std::lock_guard lock(mutex_);
  attempt_check_ = std::move(check);
}

void TokenAuthorizer::add_token(const std::string& token, TokenGrant grant) {
  const std::lock_guard lock(mutex_);
  grants_[sha256_hex(token)] = std::move(grant);
}

std::string TokenAuthorizer::attempt_token(const AttemptKey& attempt) const {
  const std::string name = fmt::format("job:{}/{}", attempt.job.value, attempt.attempt.value);
  return fmt::format("{}{}_{}_{}", kAttemptPrefix, attempt.job.value, attempt.attempt.value, hmac_hex(key_, name));
}

Result<net::Principal> TokenAuthorizer::authenticate(const net::Request& request) {
  const std::optional<std::string> token = token_of(request);
  if (!token || token->empty()) {
    return Error{Category::kUnauthenticated, "auth.missing",
                 "this request needs an access token: send `Authorization: Bearer TOKEN` with the token from the file that `trainyard up` names", {}, {}};
  }
  if (token->substr(0, kAttemptPrefix.size()) == kAttemptPrefix) return authenticate_attempt(*token);
  // The table is keyed by the digest, so a look-up tells nothing about the secret.
  const std::string digest = sha256_hex(*token);
  const std::lock_guard lock(mutex_);
  const auto found = grants_.find(digest);
  if (found == grants_.end()) return invalid_token();
  return net::Principal{found->second.principal, found->second.role};
}

Result<net::Principal> TokenAuthorizer::authenticate_attempt(const std::string& token) {
  AttemptKey attempt;
  const char* at = token.data() + kAttemptPrefix.size();
  const char* end = token.data() + token.size();
  const auto job = std::from_chars(at, end, attempt.job.value);
  if (job.ec != std::errc() || job.ptr == end || *job.ptr != '_') return invalid_token();
  const auto number = std::from_chars(job.ptr + 1, end, attempt.attempt.value);
  if (number.ec != std::errc() || !equal_in_constant_time(token, attempt_token(attempt))) return invalid_token();
  AttemptCheck check;
  {
    const std::lock_guard lock(mutex_);
    check = attempt_check_;
  }
  if (check && !check(attempt)) return invalid_token();
  return net::Principal{fmt::format("job:{}/{}", attempt.job.value, attempt.attempt.value), "runner"};
}

std::string make_personal_token() { return fmt::format("ty_pat_{}_{}", secure_random_hex(4), secure_random_hex(32)); }

Result<std::string> load_or_create_token(const std::string& path, const std::function<std::string()>& make) {
  if (!file_exists(path)) {
    const std::string token = make();
    TRY(write_file_durably(path, token + "\n", 0600));
    return token;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return Error{Category::kPermissionDenied, "auth.token_file_mode", fmt::format("others may read the token file: run `chmod 600 {}`", path), {}, {}};
  }
  ASSIGN_OR_RETURN(std::string token, read_file(path, 4096));
  while (!token.empty() && token.back() == '\n') token.pop_back();
  if (token.size() < 32) return data_loss("auth.token_file", fmt::format("the token file is damaged: remove it to make a new token: {}", path));
  return token;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace trainyard::access
