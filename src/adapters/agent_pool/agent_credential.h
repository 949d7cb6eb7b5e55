#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/time.h"
#include "domain/ids.h"
#include "net/http_client.h"

namespace trainyard::adapters::agent_pool {

/// Connects to the server; each client is for one call at a time.
using MakeClient = std::function<Result<std::unique_ptr<net::HttpClient>>()>;

/// What an agent shows to the server.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  /// The token that is good now. Any thread; may block for a renewal. Errors: UNAUTHENTICATED "agent.credential_expired".
  virtual Result<std::string> token() = 0;
};

/// A token that never changes; an empty one is not sent.
class FixedCredential final : public CredentialSource {
 public:
  explicit FixedCredential(std::string token) : token_(std::move(token)) {}
  Result<std::string> token() override { return token_; }

 private:
  std::string token_;
};

/// The credential that an agent got for a join token, as it is kept in `credential.json` (docs/formats/warden.md). Times are of this
/// machine's clock, so that a server whose clock differs changes nothing.
struct StoredCredential {
  std::string node;
  std::string join_token;  ///< The public part of the join token it was got with: "ty_join_ID".
  std::string secret;
  std::string pool;  ///< What the join token said of the node; empty: nothing.
  std::map<std::string, std::string> labels;
  TimePoint received_at;
  Duration life{0};

  TimePoint renew_at() const { return received_at + life * 2 / 3; }
  TimePoint expires_at() const { return received_at + life; }
};
std::string to_text(const StoredCredential& credential);
/// Errors: DATA_LOSS "credential.corrupt".
Result<StoredCredential> stored_credential_from(std::string_view text);

/// "ty_join_ID" of "ty_join_ID_SECRET"; none for any other token.
std::optional<std::string> public_part_of_join_token(std::string_view token);

/// What an agent does first. Pure.
enum class CredentialStep {
  kUseToken,   ///< The file holds no join token: it is used as it is.
  kUseStored,  ///< The stored credential is good, and the join token, if any, is the one it was got with.
  kJoin,
};
CredentialStep first_step(const std::optional<StoredCredential>& stored, std::string_view token, const std::string& node, TimePoint now);

/// A credential that was got for a join token and is renewed at two thirds of its life. Thread-safe.
class AgentCredential final : public CredentialSource {
 public:
  struct Settings {
    std::string data_dir;  ///< Holds credential.json, mode 0600.
    std::string node;
    std::string token;           ///< As the token file says; may be empty when a credential is stored.
    Duration retry{60'000'000};  ///< Between attempts at a renewal.
  };
  struct Deps {
    MakeClient connect;
    const Clock& clock;
    LogSink& log;
  };

  /// Joins unless a stored credential is good. Blocks. Errors: UNAVAILABLE (try again), UNAUTHENTICATED "agent.join_refused" with what to
  /// do, ALREADY_EXISTS and PERMISSION_DENIED of the server, INVALID_ARGUMENT "agent.no_token", those of files.
  static Result<std::unique_ptr<CredentialSource>> open(Settings settings, Deps deps);

  Result<std::string> token() override;
  /// As it is now. Any thread.
  StoredCredential stored() const;

 private:
  AgentCredential(Settings settings, Deps deps, StoredCredential credential);
  void renew(const StoredCredential& current);

  Settings settings_;
  Deps deps_;
  mutable std::mutex mutex_;
  StoredCredential credential_;  // guarded by mutex_, like all below
  TimePoint next_try_;
  bool renewing_ = false;
};

}  // namespace trainyard::adapters::agent_pool
