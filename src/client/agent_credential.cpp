#include "client/agent_credential.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"

namespace trainyard::client {
namespace {

constexpr std::size_t kFileMax = 65'536;

/// What the server answers, as far as it is kept: answers may have members that this version does not know.
Result<AgentCredential> credential_from(const Document& answer) {
  Document kept = Document::object();
  for (const char* key : {"node", "secret", "pool", "labels", "issued_at", "expires_at"}) kept.set(key, answer[key]);
  return decode<AgentCredential>(kept);
}

}  // namespace

void AgentCredential::describe(FieldVisitor& fields) {
  fields.field("node", node, "The node that it is bound to.");
  fields.required();
  fields.field("secret", secret, "What the agent shows.");
  fields.required();
  fields.field("pool", pool, "Of the node; empty: the default pool.");
  fields.field("labels", labels, "Of the node.");
  fields.field("issued_at", issued_at, "When it was made.");
  fields.required();
  fields.field("expires_at", expires_at, "When it ends.");
  fields.required();
}

Result<AgentCredential> join_as_agent(ApiClient& api, const std::string& node) {
  ASSIGN_OR_RETURN(const Document answer, api.post("/api/v1/agents/join", Document::object({{"node", node}})));
  return credential_from(answer);
}

Result<AgentCredential> renew_agent(ApiClient& api, const AgentCredential& current) {
  ASSIGN_OR_RETURN(const Document answer, api.post("/api/v1/agents/renew", Document::object()));
  ASSIGN_OR_RETURN(AgentCredential next, credential_from(answer));
  next.pool = current.pool;
  next.labels = current.labels;
  return next;
}

TimePoint renewal_due(const AgentCredential& credential) {
  return credential.issued_at + (credential.expires_at - credential.issued_at) * 2 / 3;
}

Result<void> save_credential(const std::string& path, const AgentCredential& credential) {
  return write_file_durably(path, to_json(encode(credential)) + "\n", 0600);
}

Result<AgentCredential> load_credential(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error(errno, "stat", path);
  if ((info.st_mode & 077) != 0) {
    return Error{Category::kPermissionDenied,
                 "auth.token_file_mode",
                 fmt::format("others may read the credential of this agent: run `chmod 600 {}`, and join anew if it leaked", path),
                 {},
                 {}};
  }
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kFileMax));
  const Result<Document> document = parse_json(text);
  Result<AgentCredential> credential = document.ok() ? decode<AgentCredential>(*document) : Result<AgentCredential>(document.error());
  if (credential.ok()) return credential;
  return data_loss(
      "agent.credential_file",
      fmt::format("the file with the credential of this agent is damaged: remove it and join with a new join token: {}", path));
}

}  // namespace trainyard::client
