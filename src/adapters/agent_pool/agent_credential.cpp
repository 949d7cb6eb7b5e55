#include "adapters/agent_pool/agent_credential.h"

#include <fmt/format.h>

#include <algorithm>

#include "adapters/agent_pool/http_link.h"
#include "base/document.h"
#include "base/failpoint.h"
#include "base/file.h"

namespace trainyard::adapters::agent_pool {
namespace {

constexpr std::size_t kFileMax = std::size_t{1} << 20;
constexpr auto kPatience = std::chrono::seconds(15);
constexpr std::string_view kNewToken = "ask an administrator for a new join token and start the agent again with it in --token-file";

std::string path_of(const std::string& data_dir) { return data_dir + "/credential.json"; }

Result<StoredCredential> read_stored(const Document& document) {
  StoredCredential credential;
  ASSIGN_OR_RETURN(credential.node, document.string_at("node"));
  ASSIGN_OR_RETURN(credential.join_token, document.string_at("join_token"));
  ASSIGN_OR_RETURN(credential.secret, document.string_at("secret"));
  ASSIGN_OR_RETURN(credential.pool, document.string_or("pool", ""));
  for (const auto& [name, value] : document["labels"].members()) {
    ASSIGN_OR_RETURN(credential.labels[name], value.as_string());
  }
  ASSIGN_OR_RETURN(const std::int64_t received, document.int_at("received_at_us"));
  ASSIGN_OR_RETURN(const std::int64_t life, document.int_at("life_us"));
  credential.received_at = time_from_micros(received);
  credential.life = Duration(life);
  return credential;
}

/// Calls one of the routes that answer with a credential. Errors: those of the server and of the connection.
Result<Document> call(const MakeClient& connect, std::string target, const std::string& token, const Document& body) {
  ASSIGN_OR_RETURN(const std::unique_ptr<net::HttpClient> http, connect());
  net::ClientRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.headers.set("Authorization", "Bearer " + token);
  request.headers.set("Content-Type", "application/json");
  request.body = to_json(body);
  request.timeout = kPatience;
  ASSIGN_OR_RETURN(const net::Response response, http->send(request));
  if (response.status / 100 != 2) return error_of(response);
  return parse_json(response.body);
}

/// The secret and how long it is good, from an answer; the rest is as it was before.
Result<StoredCredential> credential_in(const Document& answer, StoredCredential before, TimePoint now) {
  ASSIGN_OR_RETURN(before.secret, answer.string_at(answer.find("secret") != nullptr ? "secret" : "credential"));
  ASSIGN_OR_RETURN(const std::string expires_text, answer.string_at("expires_at"));
  ASSIGN_OR_RETURN(const TimePoint expires, parse_rfc3339(expires_text));
  TimePoint issued = now;
  if (const std::string& issued_text = answer["issued_at"].text(); !issued_text.empty()) {
    ASSIGN_OR_RETURN(issued, parse_rfc3339(issued_text));
  }
  before.received_at = now;
  before.life = std::max(expires - issued, Duration(0));
  return before;
}

Result<StoredCredential> join(const AgentCredential::Settings& settings, const AgentCredential::Deps& deps) {
  const Result<Document> answer = call(deps.connect, "/api/v1/agents/join", settings.token, Document::object({{"node", settings.node}}));
  if (!answer.ok() && answer.error().category == Category::kUnauthenticated) {
    return Error{Category::kUnauthenticated,
                 "agent.join_refused",
                 fmt::format("the server does not take this join token, which is good once and for a short time; {}: {}", kNewToken,
                             answer.error().message),
                 {},
                 {}};
  }
  if (!answer.ok()) return answer.error();
  StoredCredential fresh;
  fresh.node = settings.node;
  fresh.join_token = public_part_of_join_token(settings.token).value_or("");
  fresh.pool = (*answer)["pool"].text();
  for (const auto& [name, value] : (*answer)["labels"].members()) fresh.labels[name] = value.text();
  ASSIGN_OR_RETURN(fresh, credential_in(*answer, std::move(fresh), deps.clock.now()));
  FAILPOINT("credential.before_save");
  TRY(write_file_durably(path_of(settings.data_dir), to_text(fresh)));
  FAILPOINT("credential.after_save");
  deps.log.write({LogLevel::kInfo, "agent.joined", {{"node", settings.node}}});
  return fresh;
}

}  // namespace

std::string to_text(const StoredCredential& credential) {
  Document labels = Document::object();
  for (const auto& [name, value] : credential.labels) labels.set(name, value);
  return to_json(Document::object({{"node", credential.node},
                                   {"join_token", credential.join_token},
                                   {"secret", credential.secret},
                                   {"pool", credential.pool},
                                   {"labels", std::move(labels)},
                                   {"received_at_us", micros(credential.received_at)},
                                   {"life_us", credential.life.count()}})) +
         "\n";
}

Result<StoredCredential> stored_credential_from(std::string_view text) {
  const Result<Document> document = parse_json(text);
  Result<StoredCredential> credential = document.ok() ? read_stored(*document) : Result<StoredCredential>(document.error());
  if (credential.ok()) return credential;
  return data_loss("credential.corrupt",
                   fmt::format("the stored credential of this agent is damaged; {}: {}", kNewToken, credential.error().message));
}

std::optional<std::string> public_part_of_join_token(std::string_view token) {
  constexpr std::string_view kPrefix = "ty_join_";
  if (!token.starts_with(kPrefix)) return std::nullopt;
  return std::string(token.substr(0, token.find('_', kPrefix.size())));
}

CredentialStep first_step(const std::optional<StoredCredential>& stored, std::string_view token, const std::string& node, TimePoint now) {
  const std::optional<std::string> join_token = public_part_of_join_token(token);
  if (!token.empty() && !join_token) return CredentialStep::kUseToken;
  if (!stored || stored->node != node || now >= stored->expires_at()) return CredentialStep::kJoin;
  // Another join token than the one it was got with: somebody wants this agent to join anew.
  if (join_token && *join_token != stored->join_token) return CredentialStep::kJoin;
  return CredentialStep::kUseStored;
}

AgentCredential::AgentCredential(Settings settings, Deps deps, StoredCredential credential)
    : settings_(std::move(settings)), deps_(std::move(deps)), credential_(std::move(credential)) {}

Result<std::unique_ptr<CredentialSource>> AgentCredential::open(Settings settings, Deps deps) {
  std::optional<StoredCredential> stored;
  if (const Result<std::string> text = read_file(path_of(settings.data_dir), kFileMax); text.ok()) {
    Result<StoredCredential> read = stored_credential_from(*text);
    if (!read.ok() && settings.token.empty()) return read.error();
    if (read.ok()) stored = std::move(read).value();
  }
  switch (first_step(stored, settings.token, settings.node, deps.clock.now())) {
    case CredentialStep::kUseToken:
      return std::unique_ptr<CredentialSource>(std::make_unique<FixedCredential>(settings.token));
    case CredentialStep::kUseStored:
      break;
    case CredentialStep::kJoin:
      if (settings.token.empty()) {
        return invalid_argument("agent.no_token", fmt::format("this agent has no credential that is good; {}", kNewToken));
      }
      ASSIGN_OR_RETURN(stored, join(settings, deps));
      break;
  }
  return std::unique_ptr<CredentialSource>(new AgentCredential(std::move(settings), std::move(deps), *stored));
}

StoredCredential AgentCredential::stored() const {
  const std::lock_guard lock(mutex_);
  return credential_;
}

Result<std::string> AgentCredential::token() {
  const TimePoint now = deps_.clock.now();
  std::optional<StoredCredential> due;
  {
    const std::lock_guard lock(mutex_);
    // One thread renews; the others use what is still good.
    if (!renewing_ && now >= credential_.renew_at() && now >= next_try_) {
      renewing_ = true;
      next_try_ = now + settings_.retry;
      due = credential_;
    }
  }
  if (due) renew(*due);
  const std::lock_guard lock(mutex_);
  if (now < credential_.expires_at()) return credential_.secret;
  return Error{Category::kUnauthenticated,
               "agent.credential_expired",
               fmt::format("the credential of this agent ended at {} and could not be renewed in time; {}",
                           to_rfc3339(credential_.expires_at()), kNewToken),
               {},
               {}};
}

void AgentCredential::renew(const StoredCredential& current) {
  const Result<Document> answer = call(deps_.connect, "/api/v1/agents/renew", current.secret, Document::object());
  Result<StoredCredential> next =
      answer.ok() ? credential_in(*answer, current, deps_.clock.now()) : Result<StoredCredential>(answer.error());
  // Kept before it is used: a process after this one must not be left with one that is over.
  if (next.ok()) {
    if (const Result<void> written = write_file_durably(path_of(settings_.data_dir), to_text(*next)); !written.ok()) next = written.error();
  }
  if (!next.ok()) {
    deps_.log.write({LogLevel::kWarning,
                     "agent.renewal_failed",
                     {{"error", next.error().describe()}, {"expires_at", to_rfc3339(current.expires_at())}}});
  }
  const std::lock_guard lock(mutex_);
  renewing_ = false;
  if (next.ok()) credential_ = std::move(next).value();
}

}  // namespace trainyard::adapters::agent_pool
