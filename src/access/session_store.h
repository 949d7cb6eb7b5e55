#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace trainyard::access {

struct SessionSettings {
  Duration session_lifetime = std::chrono::hours(12);  ///< From the sign-in; using a session does not prolong it.
  Duration link_lifetime = std::chrono::minutes(15);
  std::size_t sessions_max = 64;  ///< One more ends the oldest.
  std::size_t links_max = 16;     ///< One more ends the oldest.
};

/// What browsers hold instead of a token: sessions, and links that open one. Kept in memory only, so a restart of the server ends them all.
/// A session and a link stand for the stored token with a fingerprint (TokenAuthorizer::fingerprint_of): who that is, and whether it still
/// is anybody, is looked up with each request, so that revoking the token ends its sessions at once. Both are 256 random bits in hex and
/// kept as SHA-256. Thread-safe; lifetimes are those of the monotonic clock.
///
///   make_link ---> link ---redeem (once, before it is over)---> fingerprint
///   open ---> session ---find (until it is over)---> fingerprint;  close or a newer session beyond the limit ends it
class SessionStore {
 public:
  SessionStore(SessionSettings settings, const Clock& clock) : settings_(settings), clock_(clock) {}

  /// The text of a new link, which cannot be had again.
  std::string make_link(const std::string& fingerprint);
  /// The fingerprint that the link stands for; the link is used up. Errors: UNAUTHENTICATED "auth.link" for one that was used, is over or
  /// was never made.
  Result<std::string> redeem(const std::string& link);

  /// The text of a new session, which cannot be had again.
  std::string open(const std::string& fingerprint);
  /// The fingerprint of a session that is not over.
  std::optional<std::string> find(const std::string& session) const;
  /// Ends a session; an unknown one is no error.
  void close(const std::string& session);

  const SessionSettings& settings() const { return settings_; }

 private:
  struct Entry {
    std::string fingerprint;
    MonotonicPoint ends;
  };
  using Entries = std::map<std::string, Entry>;  ///< By SHA-256 of the text.

  std::string add(Entries& entries, std::size_t max, const std::string& fingerprint, Duration lifetime);
  std::optional<std::string> look_up(const Entries& entries, const std::string& digest) const;

  const SessionSettings settings_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  Entries sessions_;  // guarded by mutex_
  Entries links_;     // guarded by mutex_
};

}  // namespace trainyard::access
