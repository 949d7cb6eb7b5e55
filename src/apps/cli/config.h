#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "client/server_address.h"

namespace trainyard::apps {

/// One thing that can be configured.
struct Setting {
  std::string key;                     ///< In configuration files: "token_file".
  std::string flag;                    ///< "--token-file"; empty: none.
  std::vector<std::string> variables;  ///< "TRAINYARD_TOKEN_FILE"; the first one that is set counts.
  std::string preset;                  ///< What holds when nothing else is said.
  std::string doc;                     ///< One line.
  bool in_project = true;              ///< Whether the project's file may set it.
};
const std::vector<Setting>& settings();

/// Where a value came from, strongest first.
enum class ConfigLayer { kFlag, kEnvironment, kProject, kUser, kSystem, kPreset };
std::string_view name_of(ConfigLayer layer);

struct ConfigValue {
  std::string value;
  ConfigLayer layer = ConfigLayer::kPreset;
  std::string where;  ///< "--url", "TRAINYARD_URL", "FILE:LINE:COLUMN"; empty for a preset.
};

/// Files that are looked at. Empty: none.
struct ConfigPlaces {
  std::string project;
  std::string user;
  std::string system;
};
/// trainyard.yaml in `directory` or the nearest one above it, $XDG_CONFIG_HOME/trainyard/config.yaml (by default below ~/.config) and
/// /etc/trainyard/config.yaml.
ConfigPlaces config_places(const std::string& directory, const client::Variables& variables);

/// The settings of this user in this place: flag > environment > project > user > system > preset.
///
/// A project's file comes from whoever wrote the project. So it may name a server, but no token file; and to a server that it named goes no
/// token but the one that --token-file gives, or that `tokens` in the user's or system's file keeps for exactly this URL.
class Config {
 public:
  /// Reads the files; absent ones are skipped. Errors: INVALID_ARGUMENT "config.unknown_key", "config.not_in_project", "config.type", those
  /// of parse_yaml, each with file:line:column; those of files.
  static Result<Config> load(const ConfigPlaces& places, const client::Variables& variables);

  void set_flag(std::string_view key, std::string value);

  /// Every layer that says something about `key`, strongest first; the first one wins. `key` must be one of settings() (CHECK).
  std::vector<ConfigValue> layers(std::string_view key) const;
  ConfigValue value(std::string_view key) const { return layers(key).front(); }

  /// The server and the token to use. Errors: those of client::find_server.
  Result<client::ServerAddress> address() const;

 private:
  struct File {
    ConfigLayer layer;
    Document content;
  };

  std::string token_for(const std::string& url) const;

  std::map<std::string, std::string, std::less<>> flags_;
  std::vector<File> files_;  ///< Strongest first.
  client::Variables variables_ = client::process_variables();
};

}  // namespace trainyard::apps
