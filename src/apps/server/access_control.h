#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "access/access_service.h"
#include "access/loopback_authorizer.h"
#include "access/session_authorizer.h"
#include "base/executor.h"
#include "store/database.h"

namespace trainyard::apps {

/// The namespaces that attempts work in: what their tokens count for. Thread-safe.
class AttemptNamespaces {
 public:
  void set(const AttemptKey& attempt, const std::string& name_space);
  /// Every attempt of the job is over.
  void forget(JobId job);
  std::optional<std::string> find(const AttemptKey& attempt) const;

 private:
  mutable std::mutex mutex_;
  std::map<JobId, std::string> of_jobs_;  // guarded by mutex_
};

/// Who may do what at this server, put together: tokens, sessions of browsers, users and their grants, the audit. Everybody is the
/// administrator with `open`, unless they show a token: then they are who it says, so that the fence of an attempt holds there too.
class AccessControl final : public net::Authorizer {
 public:
  struct Settings {
    std::string admin_token;
    std::string installation_key;
    bool open = false;               ///< --auth none.
    std::vector<std::string> hosts;  ///< The addresses that the server listens on.
    bool read_only = false;          ///< Nothing may be written: not when a token was used either.
  };
  struct Deps {
    store::Database& database;
    const Clock& clock;
    Executor& strand;
    Executor& writes;
  };

  /// Errors: INVALID_ARGUMENT "access.open_address" when it is open on an address that others can reach; those of the database.
  static Result<std::unique_ptr<AccessControl>> make(Settings settings, Deps deps);

  access::TokenAuthorizer& tokens() { return tokens_; }
  access::SessionAuthorizer& sessions() { return callers_; }
  access::AccessService& service() { return service_; }
  /// Text of a link that signs the administrator in once.
  std::string make_login_link() { return sessions_.make_link(tokens_.fingerprint_of(settings_.admin_token).value_or("")); }
  /// Whose streams end when a credential does, and whose refusals are written down. Before the server starts; the routers outlive this
  /// object's use of them, which `stop` ends.
  void watch(net::Router& router);
  /// The admin tokens of all processes of the installation, by SHA-256.
  void set_admin_tokens(const std::set<std::string>& digests) { tokens_.set_tokens(digests, {"admin", "admin"}); }
  /// Takes over what another process has changed since. Blocks: on `writes`.
  Result<void> follow();
  /// Looks for what is over, every few seconds, until `stop`.
  void start_sweeping();
  void stop() { *alive_ = false; }

  // net::Authorizer
  Result<net::Principal> authenticate(const net::Request& request) override;
  bool is_current(const net::Principal& principal) const override;

 private:
  AccessControl(Settings settings, Deps deps);
  void end_streams(const std::function<bool(const net::Principal&)>& ends) const;

  const Settings settings_;
  const Deps deps_;
  access::TokenAuthorizer tokens_;
  access::SessionStore sessions_;
  access::SessionAuthorizer callers_;
  access::UserRepository users_;
  access::AuditTrail audit_;
  access::DenialAudit denials_;
  access::AccessService service_;
  std::unique_ptr<access::LoopbackAuthorizer> anyone_;  ///< Null unless open.
  std::vector<net::Router*> routers_;                   ///< Whose streams are ended.
  /// Posted tasks look before they act.
  std::shared_ptr<std::atomic<bool>> alive_ = std::make_shared<std::atomic<bool>>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::apps
