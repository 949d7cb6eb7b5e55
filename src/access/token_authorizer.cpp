#include "access/token_authorizer.h"

#include <strings.h>

#include <charconv>
#include <mutex>

#include "base/checksum.h"

namespace trainyard::access {
namespace {

constexpr std::string_view kAttemptPrefix = "ty_job_";
constexpr std::string_view kRunner = "runner";

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && ::strncasecmp(text.data(), prefix.data(), prefix.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  unsigned buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    buffer = ((buffer << 6) | static_cast<unsigned>(digit)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>((buffer >> bits) & 0xff));
    }
  }
  return out;
}

std::optional<std::string> token_of_authorization(std::string_view field) {
  if (starts_with_ignoring_case(field, "Bearer ")) return std::string(trimmed(field.substr(7)));
  if (!starts_with_ignoring_case(field, "Basic ")) return std::string();
  const std::optional<std::string> pair = decode_base64(trimmed(field.substr(6)));
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  return colon == std::string::npos ? std::string() : pair->substr(colon + 1);
}

/// Plain decimal without sign, blanks or leading zeros, so that one number has one text.
template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size() || number == 0 || text.front() == '0') return std::nullopt;
  return number;
}

std::optional<AttemptKey> attempt_key(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const auto job = number_of<std::uint64_t>(text.substr(0, at));
  const auto number = number_of<std::uint32_t>(text.substr(at + 1));
  if (!job || !number) return std::nullopt;
  return AttemptKey{JobId(*job), AttemptNumber(*number)};
}

Error missing_token() {
  return {Category::kUnauthenticated,
          "auth.missing",
          "this request needs an access token: send `Authorization: Bearer TOKEN` with the token from the file that `trainyard up` names",
          {},
          {}};
}

Error invalid_token() {
  return {Category::kUnauthenticated,
          "auth.invalid",
          "the access token is not known here or is over: read the current one from the token file that `trainyard up` names",
          {},
          {}};
}

/// A derived token taken apart: what it claims and the proof.
struct DerivedToken {
  std::string_view claims;
  std::string_view mac;
};

std::optional<DerivedToken> derived_token(std::string_view token, std::string_view prefix) {
  const std::size_t last = token.rfind('_');
  if (token.substr(0, prefix.size()) != prefix || last == std::string_view::npos || last < prefix.size()) return std::nullopt;
  return DerivedToken{token.substr(prefix.size(), last - prefix.size()), token.substr(last + 1)};
}

}  // namespace

std::string attempt_principal(const AttemptKey& attempt) { return "job:" + attempt.job.text() + "/" + attempt.attempt.text(); }

std::optional<AttemptKey> attempt_of(const net::Principal& principal) {
  static constexpr std::string_view kPrefix = "job:";
  const std::string_view name = principal.name;
  if (name.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  return attempt_key(name.substr(kPrefix.size()), '/');
}

std::optional<std::string> token_of(const net::Request& request) {
  const auto field = request.headers.get("Authorization");
  return field ? token_of_authorization(*field) : std::nullopt;
}

void TokenAuthorizer::set_attempt_check(AttemptCheck check) {
  const std::unique_lock lock(mutex_);
  attempt_check_ = std::move(check);
}

void TokenAuthorizer::set_attempt_namespace(AttemptNamespace name_space) {
  const std::unique_lock lock(mutex_);
  attempt_namespace_ = std::move(name_space);
}

void TokenAuthorizer::observe_use(UseObserver observer) {
  const std::unique_lock lock(mutex_);
  used_ = std::move(observer);
}

void TokenAuthorizer::add_token(const std::string& token, TokenGrant grant) {
  const std::unique_lock lock(mutex_);
  grants_[sha256_hex(token)] = std::move(grant);
}

void TokenAuthorizer::set_tokens(const std::set<std::string>& sha256s, const TokenGrant& grant) {
  const std::unique_lock lock(mutex_);
  std::erase_if(grants_, [&grant](const auto& entry) { return entry.second.principal == grant.principal; });
  for (const std::string& sha256 : sha256s) grants_[sha256] = grant;
}

std::string TokenAuthorizer::issue(TokenGrant grant) {
  std::string token = make_personal_token();
  add_token(token, std::move(grant));
  return token;
}

void TokenAuthorizer::revoke(const std::string& principal) {
  const std::unique_lock lock(mutex_);
  std::erase_if(grants_, [&principal](const auto& entry) { return entry.second.principal == principal; });
  revoked_.insert(principal);
}

std::string TokenAuthorizer::attempt_token(const AttemptKey& attempt) const {
  return std::string(kAttemptPrefix) + attempt.job.text() + "_" + attempt.attempt.text() + "_" +
         hmac_sha256_hex(key_, attempt_principal(attempt));
}

Result<net::Principal> TokenAuthorizer::authenticate(const net::Request& request) {
  const std::optional<std::string> token = token_of(request);
  if (!token) return missing_token();
  std::optional<net::Principal> principal;
  if (const auto of_attempt = derived_token(*token, kAttemptPrefix)) {
    principal = attempt(of_attempt->claims, of_attempt->mac);
  } else {
    principal = stored(sha256_hex(*token));
  }
  if (!principal) return invalid_token();
  if (principal->credential.empty()) return *std::move(principal);
  if (const TimePoint now = clock_.now(); identities_.note_use(principal->credential, now)) {
    UseObserver used;
    {
      const std::shared_lock lock(mutex_);
      used = used_;
    }
    if (used) used(principal->credential, now);
  }
  return *std::move(principal);
}

bool TokenAuthorizer::is_current(const net::Principal& principal) const {
  return principal.credential.empty() || identities_.is_current(principal.credential, clock_.now());
}

std::optional<std::string> TokenAuthorizer::fingerprint_of(const std::string& token) const {
  std::string fingerprint = sha256_hex(token);
  if (!principal_of(fingerprint)) return std::nullopt;
  return fingerprint;
}

std::optional<net::Principal> TokenAuthorizer::principal_of(const std::string& fingerprint) const {
  std::optional<net::Principal> principal = stored(fingerprint);
  // Machines have no browsers.
  const bool person = principal && principal->role != "agent" && principal->role != "join";
  return person ? principal : std::nullopt;
}

std::optional<net::Principal> TokenAuthorizer::stored(const std::string& sha256) const {
  {
    // The table is keyed by the digest, so how long a look-up takes tells nothing about the secret.
    const std::shared_lock lock(mutex_);
    const auto found = grants_.find(sha256);
    if (found != grants_.end() && equal_in_constant_time(found->first, sha256)) {
      return net::Principal{found->second.principal, found->second.role};
    }
  }
  return identities_.find(sha256, clock_.now());
}

std::optional<net::Principal> TokenAuthorizer::attempt(std::string_view claims, std::string_view mac) const {
  const std::optional<AttemptKey> key = attempt_key(claims, '_');
  if (!key || !is_derived(attempt_principal(*key), mac)) return std::nullopt;
  AttemptCheck check;
  AttemptNamespace name_space;
  {
    const std::shared_lock lock(mutex_);
    check = attempt_check_;
    name_space = attempt_namespace_;
  }
  if (!check || !check(*key)) return std::nullopt;
  if (!name_space) return net::Principal{attempt_principal(*key), std::string(kRunner)};
  const std::optional<std::string> own = name_space(*key);
  if (!own) return std::nullopt;
  return net::Principal{attempt_principal(*key), {}, {{*own, std::string(kRunner)}}};
}

bool TokenAuthorizer::is_derived(const std::string& principal, std::string_view mac) const {
  if (!equal_in_constant_time(mac, hmac_sha256_hex(key_, principal))) return false;
  const std::shared_lock lock(mutex_);
  return !revoked_.contains(principal);
}

}  // namespace trainyard::access
