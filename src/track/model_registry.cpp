#include "track/model_registry.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>

#include "track/internal/model_rows.h"
#include "track/internal/transaction.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

using internal::check_model_name;
using internal::check_registry_tag;
using internal::load_model;
using internal::load_version;
using internal::read_value;
using internal::write_value;
using store::Connection;
using store::Row;

Error model_taken(const std::string& name) {
  return {Category::kAlreadyExists, "registry.model_exists", fmt::format("Registered Model (name={}) already exists.", name), {}, {}};
}

bool is_latest(std::string_view alias) { return ::strcasecmp(std::string(alias).c_str(), "latest") == 0; }

/// "v1", "V23": would read like a version.
bool looks_like_a_version(std::string_view alias) {
  return alias.size() > 1 && (alias.front() == 'v' || alias.front() == 'V') &&
         alias.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

}  // namespace

Result<void> check_alias(const std::string& alias) {
  if (alias.empty()) return missing_parameter("alias");
  TRY(check_length(alias, kAliasMax, "alias"));
  const bool known = std::all_of(alias.begin(), alias.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!known) {
    return invalid_argument("registry.alias",
                            fmt::format("Invalid alias name: '{}'. Names may only contain alphanumerics, underscores (_), and "
                                        "dashes (-).",
                                        alias));
  }
  if (is_latest(alias)) return invalid_argument("registry.alias", "'latest' alias name (case insensitive) is reserved.");
  if (looks_like_a_version(alias)) return invalid_argument("registry.alias", fmt::format("Version alias name '{}' is reserved.", alias));
  return {};
}

Result<RegisteredModel> ModelRegistry::create_model(const std::string& name, const std::string& description,
                                                    const std::vector<KeyValue>& tags) {
  TRY(check_model_name(name));
  for (const KeyValue& tag : tags) TRY(check_registry_tag(tag));
  Result<RegisteredModel> created = write_value<RegisteredModel>(database_, [&](Connection& sql) -> Result<RegisteredModel> {
    TRY(internal::insert_model(sql, name, description, now_ms()));
    for (const KeyValue& tag : tags) TRY(internal::write_model_tag(sql, name, tag));
    return load_model(sql, name);
  });
  if (!created.ok() && created.error().category == Category::kAlreadyExists) return model_taken(name);
  return created;
}

Result<RegisteredModel> ModelRegistry::get_model(const std::string& name) {
  TRY(check_model_name(name));
  return read_value<RegisteredModel>(database_, [&](Connection& sql) { return load_model(sql, name); });
}

Result<RegisteredModel> ModelRegistry::change_model(const std::string& name, const std::function<Result<void>(Connection&)>& change) {
  TRY(check_model_name(name));
  return write_value<RegisteredModel>(database_, [&](Connection& sql) -> Result<RegisteredModel> {
    TRY(load_model(sql, name));
    TRY(change(sql));
    TRY(sql.execute("UPDATE registered_model SET updated_ms = ? WHERE name = ?", {now_ms(), name}));
    return load_model(sql, name);
  });
}

Result<RegisteredModel> ModelRegistry::describe_model(const std::string& name, const std::string& description) {
  return change_model(name, [&](Connection& sql) -> Result<void> {
    TRY(sql.execute("UPDATE registered_model SET description = ? WHERE name = ?", {description, name}));
    return {};
  });
}

Result<RegisteredModel> ModelRegistry::rename_model(const std::string& name, const std::string& new_name) {
  TRY(check_model_name(name));
  TRY(check_model_name(new_name));
  Result<RegisteredModel> renamed = write_value<RegisteredModel>(database_, [&](Connection& sql) -> Result<RegisteredModel> {
    TRY(load_model(sql, name));
    TRY(sql.execute("UPDATE registered_model SET name = ?, updated_ms = ? WHERE name = ?", {new_name, now_ms(), name}));
    return load_model(sql, new_name);
  });
  if (!renamed.ok() && renamed.error().category == Category::kAlreadyExists) return model_taken(new_name);
  return renamed;
}

Result<void> ModelRegistry::delete_model(const std::string& name) {
  TRY(check_model_name(name));
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(load_model(sql, name));
    TRY(sql.execute("DELETE FROM registered_model WHERE name = ?", {name}));
    return {};
  });
}

Result<void> ModelRegistry::set_model_tag(const std::string& name, const KeyValue& tag) {
  TRY(check_registry_tag(tag));
  TRY(change_model(name, [&](Connection& sql) { return internal::write_model_tag(sql, name, tag); }));
  return {};
}

Result<void> ModelRegistry::delete_model_tag(const std::string& name, const std::string& key) {
  const auto removed = change_model(name, [&](Connection& sql) -> Result<void> {
    TRY(sql.execute("DELETE FROM registered_model_tag WHERE model = ? AND key = ?", {name, key}));
    return {};
  });
  return removed.ok() ? Result<void>() : removed.error();
}

Result<void> ModelRegistry::set_alias(const ModelVersionName& name, const std::string& alias) {
  TRY(check_alias(alias));
  const auto changed = change_model(name.model, [&](Connection& sql) -> Result<void> {
    TRY(load_version(sql, name));
    TRY(sql.execute(
        "INSERT INTO model_alias(model, alias, version) VALUES(?, ?, ?) ON CONFLICT(model, alias) DO UPDATE SET version = excluded.version",
        {name.model, alias, name.version}));
    return {};
  });
  return changed.ok() ? Result<void>() : changed.error();
}

Result<void> ModelRegistry::delete_alias(const std::string& model, const std::string& alias) {
  const auto changed = change_model(model, [&](Connection& sql) -> Result<void> {
    TRY(sql.execute("DELETE FROM model_alias WHERE model = ? AND alias = ?", {model, alias}));
    return {};
  });
  return changed.ok() ? Result<void>() : changed.error();
}

Result<ModelVersion> ModelRegistry::version_of_alias(const std::string& model, const std::string& alias) {
  TRY(check_model_name(model));
  return read_value<ModelVersion>(database_, [&](Connection& sql) -> Result<ModelVersion> {
    TRY(load_model(sql, model));
    const Error unknown = invalid_argument("registry.unknown_alias", fmt::format("Registered model alias {} not found.", alias));
    if (is_latest(alias)) {
      ASSIGN_OR_RETURN(std::vector<ModelVersion> all, internal::load_versions(sql, "model = ?", {model}));
      return all.empty() ? Result<ModelVersion>(unknown) : std::move(all.back());
    }
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     sql.query("SELECT version FROM model_alias WHERE model = ? AND alias = ?", {model, alias}));
    if (rows.empty()) return unknown;
    return load_version(sql, {model, rows.front().integer(0)});
  });
}

}  // namespace trainyard::track
