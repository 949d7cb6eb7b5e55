#include "access/identity_table.h"

#include "access/hmac.h"

namespace trainyard::access {
namespace {

constexpr Duration kNoteInterval = std::chrono::minutes(1);

bool is_over(const std::optional<TimePoint>& end, TimePoint now) { return end && *end <= now; }

}  // namespace

void IdentityTable::load(IdentitySnapshot snapshot) {
  // Made aside, so that nobody is unknown in between.
  IdentityTable fresh;
  for (User& user : snapshot.users) fresh.put(std::move(user));
  for (StoredToken& token : snapshot.tokens) fresh.put(std::move(token));
  for (JoinToken& token : snapshot.join_tokens) fresh.put(std::move(token));
  for (AgentCredential& credential : snapshot.agents) fresh.put(std::move(credential));
  const std::unique_lock lock(mutex_);
  users_.swap(fresh.users_);
  by_sha256_.swap(fresh.by_sha256_);
  tokens_.swap(fresh.tokens_);
  join_tokens_.swap(fresh.join_tokens_);
  agents_.swap(fresh.agents_);
}

void IdentityTable::put(User user) {
  const std::unique_lock lock(mutex_);
  users_[user.name] = std::move(user);
}

void IdentityTable::put(StoredToken token) {
  const std::unique_lock lock(mutex_);
  by_sha256_[token.sha256] = token.id;
  tokens_[token.id] = std::move(token);
}

void IdentityTable::put(JoinToken token) {
  const std::unique_lock lock(mutex_);
  by_sha256_[token.sha256] = token.id;
  join_tokens_[token.id] = std::move(token);
}

void IdentityTable::put(AgentCredential credential) {
  const std::unique_lock lock(mutex_);
  by_sha256_[credential.sha256] = credential.id;
  agents_[credential.id] = std::move(credential);
}

void IdentityTable::forget(const std::string& id) {
  std::erase_if(by_sha256_, [&id](const auto& entry) { return entry.second == id; });
  tokens_.erase(id);
  join_tokens_.erase(id);
  agents_.erase(id);
}

void IdentityTable::remove(const std::string& id) {
  {
    const std::unique_lock lock(mutex_);
    forget(id);
  }
  const std::lock_guard lock(use_mutex_);
  noted_.erase(id);
}

void IdentityTable::remove_user(const std::string& name) {
  const std::unique_lock lock(mutex_);
  users_.erase(name);
  std::vector<std::string> ids;
  for (const auto& [id, token] : tokens_) {
    if (token.user == name) ids.push_back(id);
  }
  for (const std::string& id : ids) forget(id);
}

std::optional<net::Principal> IdentityTable::principal_of_id(const std::string& id, TimePoint now) const {
  if (const auto token = tokens_.find(id); token != tokens_.end()) {
    const auto user = users_.find(token->second.user);
    if (user == users_.end() || user->second.disabled || is_over(token->second.expires_at, now)) return std::nullopt;
    return principal_of(user->second, token->second);
  }
  if (const auto agent = agents_.find(id); agent != agents_.end()) {
    if (is_over(agent->second.expires_at, now)) return std::nullopt;
    return net::Principal{.name = agent_principal(agent->second.node), .role = "agent", .grants = {}, .credential = id};
  }
  if (const auto join = join_tokens_.find(id); join != join_tokens_.end()) {
    if (is_over(join->second.expires_at, now)) return std::nullopt;
    return net::Principal{.name = join_principal(id), .role = "join", .grants = {}, .credential = id};
  }
  return std::nullopt;
}

std::optional<net::Principal> IdentityTable::find(const std::string& sha256, TimePoint now) const {
  // The table is keyed by the digest, so how long a look-up takes tells nothing about the secret.
  const std::shared_lock lock(mutex_);
  const auto found = by_sha256_.find(sha256);
  if (found == by_sha256_.end() || !equal_in_constant_time(found->first, sha256)) return std::nullopt;
  return principal_of_id(found->second, now);
}

bool IdentityTable::is_current(const std::string& id, TimePoint now) const {
  const std::shared_lock lock(mutex_);
  return principal_of_id(id, now).has_value();
}

std::optional<TimePoint> IdentityTable::expiry_of(const std::string& id) const {
  const std::shared_lock lock(mutex_);
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? std::nullopt : found->second.expires_at;
}

std::vector<Revocation> IdentityTable::sweep(TimePoint now) {
  std::vector<Revocation> over;
  const std::unique_lock lock(mutex_);
  for (const auto& [id, token] : tokens_) {
    if (is_over(token.expires_at, now)) over.push_back({token.user, id});
  }
  for (const auto& [id, agent] : agents_) {
    if (is_over(agent.expires_at, now)) over.push_back({agent_principal(agent.node), id});
  }
  for (const auto& [id, join] : join_tokens_) {
    if (is_over(join.expires_at, now)) over.push_back({join_principal(id), id});
  }
  for (const Revocation& ended : over) forget(ended.credential);
  return over;
}

bool IdentityTable::note_use(const std::string& id, TimePoint now) {
  {
    const std::shared_lock lock(mutex_);
    if (!tokens_.contains(id)) return false;
  }
  const std::lock_guard lock(use_mutex_);
  const auto [noted, first] = noted_.emplace(id, now);
  if (!first && now - noted->second < kNoteInterval) return false;
  noted->second = now;
  return true;
}

}  // namespace trainyard::access
