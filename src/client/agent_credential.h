#pragma once
#include <map>
#include <string>

#include "base/describe.h"
#include "client/api_client.h"

namespace trainyard::client {

/// What a machine shows after it has joined: a bearer token that is bound to its node and ends.
///
///   join token ---join_as_agent---> credential ---renewal_due: renew_agent---> next credential ---> ..
struct AgentCredential {
  std::string node;
  std::string secret;
  std::string pool;  ///< Of the node; empty: the default pool.
  std::map<std::string, std::string> labels;
  TimePoint issued_at;
  TimePoint expires_at;

  void describe(FieldVisitor& fields);
};

/// Makes this machine a node; `api` shows the join token, which is used up. Errors: those of the server, UNAUTHENTICATED "auth.invalid" for
/// a token that is used or over.
Result<AgentCredential> join_as_agent(ApiClient& api, const std::string& node);
/// The credential after `current`, which `api` shows; it keeps pool and labels. Both are good then.
Result<AgentCredential> renew_agent(ApiClient& api, const AgentCredential& current);
/// Two thirds of its time: early enough to try again for hours when the server is away.
TimePoint renewal_due(const AgentCredential& credential);

/// Keeps the credential in a file, durably and with mode 0600. A file that others may read is refused. Errors: NOT_FOUND when there is
/// none, PERMISSION_DENIED "auth.token_file_mode", DATA_LOSS "agent.credential_file".
Result<void> save_credential(const std::string& path, const AgentCredential& credential);
Result<AgentCredential> load_credential(const std::string& path);

}  // namespace trainyard::client
