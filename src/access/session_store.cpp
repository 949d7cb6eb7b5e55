#include "access/session_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "access/hmac.h"
#include "base/checksum.h"
#include "base/rng.h"

namespace trainyard::access {
namespace {

constexpr std::size_t kSecretBytes = 32;

}  // namespace

std::string SessionStore::add(Entries& entries, std::size_t max, const std::string& fingerprint, Duration lifetime) {
  std::string secret = secure_random_hex(kSecretBytes);
  const MonotonicPoint now = clock_.monotonic_now();
  std::erase_if(entries, [now](const auto& entry) { return entry.second.ends <= now; });
  while (!entries.empty() && entries.size() >= max) {
    entries.erase(
        std::min_element(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.second.ends < b.second.ends; }));
  }
  entries[sha256_hex(secret)] = {fingerprint, now + lifetime};
  return secret;
}

std::optional<std::string> SessionStore::look_up(const Entries& entries, const std::string& digest) const {
  // The tables are keyed by digests, so how long a look-up takes tells nothing about a secret.
  const auto found = entries.find(digest);
  if (found == entries.end() || !equal_in_constant_time(found->first, digest)) return std::nullopt;
  if (found->second.ends <= clock_.monotonic_now()) return std::nullopt;
  return found->second.fingerprint;
}

std::string SessionStore::make_link(const std::string& fingerprint) {
  const std::lock_guard lock(mutex_);
  return add(links_, settings_.links_max, fingerprint, settings_.link_lifetime);
}

Result<std::string> SessionStore::redeem(const std::string& link) {
  const std::string digest = sha256_hex(link);
  std::optional<std::string> fingerprint;
  {
    const std::lock_guard lock(mutex_);
    fingerprint = look_up(links_, digest);
    links_.erase(digest);
  }
  if (fingerprint) return *std::move(fingerprint);
  return Error{Category::kUnauthenticated,
               "auth.link",
               fmt::format("this sign-in link does not work any more: a link works once, for {} minutes, and only until the server is "
                           "restarted; sign in with the token instead",
                           std::chrono::duration_cast<std::chrono::minutes>(settings_.link_lifetime).count()),
               {},
               {}};
}

std::string SessionStore::open(const std::string& fingerprint) {
  const std::lock_guard lock(mutex_);
  return add(sessions_, settings_.sessions_max, fingerprint, settings_.session_lifetime);
}

std::optional<std::string> SessionStore::find(const std::string& session) const {
  const std::string digest = sha256_hex(session);
  const std::lock_guard lock(mutex_);
  return look_up(sessions_, digest);
}

void SessionStore::close(const std::string& session) {
  const std::string digest = sha256_hex(session);
  const std::lock_guard lock(mutex_);
  sessions_.erase(digest);
}

}  // namespace trainyard::access
