#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "access/user_repository.h"

namespace trainyard::access {

/// Somebody whose requests are refused from now on, wholly or as far as they show one credential.
struct Revocation {
  std::string principal;
  std::string credential;  ///< Empty: all of them.
  bool concerns(const net::Principal& who) const { return who.name == principal && (credential.empty() || who.credential == credential); }
};

/// What UserRepository knows about who is who, in memory: for every request. Thread-safe, does not block. Times are those of the wall
/// clock, since a credential's end is a date.
class IdentityTable {
 public:
  /// Replaces everything.
  void load(IdentitySnapshot snapshot);
  void put(User user);
  void put(StoredToken token);
  void put(JoinToken token);
  void put(AgentCredential credential);
  /// Forgets a user with all tokens; an unknown one is no error.
  void remove_user(const std::string& name);
  /// Forgets a token or credential of any kind; an unknown one is no error.
  void remove(const std::string& id);

  /// Who shows the token with this SHA-256; nobody when it is unknown or over, or its user is disabled.
  std::optional<net::Principal> find(const std::string& sha256, TimePoint now) const;
  /// Whether the token or credential with this id is still good.
  bool is_current(const std::string& id, TimePoint now) const;
  /// When a personal token ends; nothing when it does not or is unknown.
  std::optional<TimePoint> expiry_of(const std::string& id) const;
  /// Forgets what is over and says whose that was.
  std::vector<Revocation> sweep(TimePoint now);
  /// Whether the use of a personal token is worth writing down: at most once a minute.
  bool note_use(const std::string& id, TimePoint now);

 private:
  std::optional<net::Principal> principal_of_id(const std::string& id, TimePoint now) const;
  void forget(const std::string& id);

  mutable std::shared_mutex mutex_;
  std::map<std::string, User> users_;             // guarded by mutex_, and so is all that follows
  std::map<std::string, std::string> by_sha256_;  // to the id
  std::map<std::string, StoredToken> tokens_;     // by id
  std::map<std::string, JoinToken> join_tokens_;
  std::map<std::string, AgentCredential> agents_;
  std::mutex use_mutex_;
  std::map<std::string, TimePoint> noted_;  // guarded by use_mutex_; by id
};

}  // namespace trainyard::access
