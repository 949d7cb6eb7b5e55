#include "apps/cli/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "base/describe.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kConfigMax = 64 * 1024;
/// A map of URL -> token file; not a setting of its own, since it is no text.
constexpr std::string_view kTokens = "tokens";

const Setting* find_setting(std::string_view key) {
  for (const Setting& setting : settings()) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

/// "~/x" -> "$HOME/x", and a path relative to the file that names it becomes absolute.
std::string resolved_path(const std::string& path, const std::string& file, const client::Variables& variables) {
  if (path.starts_with("~/")) return variables("HOME").value_or("") + path.substr(1);
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(file).parent_path() / path).string();
}

std::string file_of(const std::string& where) {
  const std::size_t column = where.rfind(':');
  const std::size_t line = column == std::string::npos ? column : where.rfind(':', column - 1);
  return where.substr(0, line);
}

Result<void> check_file(const Document& content, ConfigLayer layer, const std::string& path) {
  if (!content.is_object())
    return invalid_argument("config.type", "a configuration file is a map of settings, as `url: http://host:8470`", path + ":1:1");
  std::vector<std::string> known{std::string(kTokens)};
  for (const Setting& setting : settings()) known.push_back(setting.key);
  for (const auto& [key, value] : content.members()) {
    const Setting* setting = find_setting(key);
    if (setting == nullptr && key != kTokens) {
      const std::optional<std::string> match = nearest(key, known);
      return invalid_argument(
          "config.unknown_key",
          fmt::format("there is no such setting{}: \"{}\"", match ? fmt::format("; did you mean \"{}\"?", *match) : "", key),
          value.where());
    }
    if (layer == ConfigLayer::kProject && (setting == nullptr || !setting->in_project)) {
      return invalid_argument(
          "config.not_in_project",
          fmt::format("a project's file must not say which token goes to a server, or whom to trust: move it to your own configuration "
                      "file, see `trainyard config explain`: \"{}\"",
                      key),
          value.where());
    }
    const bool fits = key == kTokens ? value.is_object() : !value.is_object() && !value.is_array() && !value.is_null();
    if (!fits) {
      return invalid_argument("config.type",
                              fmt::format("the setting is {}: \"{}\"", key == kTokens ? "a map of URL: file" : "a single value", key),
                              value.where());
    }
  }
  return {};
}

std::string value_text(const Document& value) { return value.is_string() ? value.text() : to_json(value); }

std::string without_last_slash(std::string url) {
  if (!url.empty() && url.back() == '/') url.pop_back();
  return url;
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> table{
      {"url", "--url", {"TRAINYARD_URL", "TRAINYARD_API_URL"}, "", "Server to talk to; else the one in the data directory", true},
      {"token_file",
       "--token-file",
       {"TRAINYARD_TOKEN_FILE"},
       "",
       "File that holds the access token; else the one beside the server's data",
       false},
      {"ca_file",
       "--ca-file",
       {"TRAINYARD_CA_FILE"},
       "",
       "Certificates (PEM) to trust when the server speaks TLS; else those of this machine",
       false},
      {"output", "--output", {"TRAINYARD_OUTPUT"}, "table", "Format of what is printed", true},
      {"reconnect_for",
       "--reconnect-for",
       {"TRAINYARD_RECONNECT_FOR"},
       "5m",
       "How long a server may be away while a job is followed",
       true},
      {"namespace", "--namespace", {"TRAINYARD_NAMESPACE"}, "", "Namespace of new jobs and of lists", true},
      {"queue", "--queue", {"TRAINYARD_QUEUE"}, "", "Queue of new jobs", true},
  };
  return table;
}

std::string_view name_of(ConfigLayer layer) {
  switch (layer) {
    case ConfigLayer::kFlag:
      return "flag";
    case ConfigLayer::kEnvironment:
      return "environment";
    case ConfigLayer::kProject:
      return "project";
    case ConfigLayer::kUser:
      return "user";
    case ConfigLayer::kSystem:
      return "system";
    case ConfigLayer::kPreset:
      return "default";
  }
  return "default";
}

ConfigPlaces config_places(const std::string& directory, const client::Variables& variables) {
  ConfigPlaces places;
  for (std::filesystem::path at = directory; !at.empty(); at = at.parent_path()) {
    const std::string file = (at / "trainyard.yaml").string();
    if (file_exists(file)) places.project = file;
    if (!places.project.empty() || file_exists((at / ".git").string()) || at == at.parent_path()) break;
  }
  // The XDG specification says that a relative value is to be ignored.
  const std::string config_home = variables("XDG_CONFIG_HOME").value_or("");
  const std::string home = variables("HOME").value_or("");
  if (config_home.starts_with('/')) {
    places.user = config_home + "/trainyard/config.yaml";
  } else if (!home.empty()) {
    places.user = home + "/.config/trainyard/config.yaml";
  }
  places.system = "/etc/trainyard/config.yaml";
  return places;
}

Result<Config> Config::load(const ConfigPlaces& places, const client::Variables& variables) {
  Config config;
  config.variables_ = variables;
  const std::pair<ConfigLayer, std::string> files[] = {
      {ConfigLayer::kProject, places.project}, {ConfigLayer::kUser, places.user}, {ConfigLayer::kSystem, places.system}};
  for (const auto& [layer, path] : files) {
    if (path.empty() || !file_exists(path)) continue;
    ASSIGN_OR_RETURN(const std::string text, read_file(path, kConfigMax));
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) continue;
    ASSIGN_OR_RETURN(Document content, parse_yaml(text, path));
    if (content.is_null()) continue;  // Only comments.
    TRY(check_file(content, layer, path));
    config.files_.push_back({layer, std::move(content)});
  }
  return config;
}

void Config::set_flag(std::string_view key, std::string value) { flags_[std::string(key)] = std::move(value); }

std::vector<ConfigValue> Config::layers(std::string_view key) const {
  const Setting* setting = find_setting(key);
  CHECK(setting != nullptr, "settings() lists every key that is asked for");
  std::vector<ConfigValue> found;
  if (const auto flag = flags_.find(key); flag != flags_.end()) found.push_back({flag->second, ConfigLayer::kFlag, setting->flag});
  for (const std::string& variable : setting->variables) {
    const std::string value = variables_(variable).value_or("");
    if (!value.empty()) found.push_back({value, ConfigLayer::kEnvironment, variable});
  }
  for (const File& file : files_) {
    const Document* value = file.content.find(key);
    if (value == nullptr) continue;
    std::string text = value_text(*value);
    if (key == "token_file" || key == "ca_file") text = resolved_path(text, file_of(value->where()), variables_);
    found.push_back({std::move(text), file.layer, value->where()});
  }
  found.push_back({setting->preset, ConfigLayer::kPreset, ""});
  return found;
}

std::string Config::token_for(const std::string& url) const {
  for (const File& file : files_) {
    for (const auto& [known, path] : file.content[kTokens].members()) {
      if (without_last_slash(known) == without_last_slash(url)) return resolved_path(path.text(), file_of(path.where()), variables_);
    }
  }
  return "";
}

Result<client::ServerAddress> Config::address() const {
  const ConfigValue url = value("url");
  const ConfigValue token = value("token_file");
  const bool foreign = url.layer == ConfigLayer::kProject;
  std::string token_file = token.layer == ConfigLayer::kFlag || !foreign ? token.value : "";
  if (token.layer != ConfigLayer::kFlag) {
    const std::string kept = token_for(url.value);
    if (!kept.empty() && (foreign || token.layer != ConfigLayer::kEnvironment)) token_file = kept;
  }
  const client::Variables without_token = [this](std::string_view name) -> std::optional<std::string> {
    if (name == "TRAINYARD_TOKEN_FILE") return std::nullopt;
    return variables_(name);
  };
  return client::find_server({url.value, token_file, value("ca_file").value}, foreign ? without_token : variables_);
}

}  // namespace trainyard::apps
