#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::client {

/// Where a server is and how to prove who calls.
struct ServerAddress {
  std::string url;           ///< "http://host:port" or "https://host:port"
  std::string token_file;    ///< Empty: no token is sent.
  std::string ca_file = {};  ///< Whom to trust with https, as PEM; empty: whom the machine trusts.
};

/// What the user said; empty fields fall back to the environment, then to the data directory's server.json.
struct AddressHints {
  std::string url;
  std::string token_file;
  std::string ca_file = {};
};

/// Reads an environment variable; a function, so that tests own them.
using Variables = std::function<std::optional<std::string>(std::string_view name)>;
/// The variables of this process.
Variables process_variables();

/// Finds the server: hints > TRAINYARD_URL or TRAINYARD_API_URL, TRAINYARD_TOKEN_FILE, TRAINYARD_CA_FILE >
/// $XDG_DATA_HOME/trainyard/server.json, by default below ~/.local/share. The files that server.json names go with its own URL only: a
/// token is never sent to another server. Errors: UNAVAILABLE "client.no_server" with what to do, DATA_LOSS "client.server_file".
Result<ServerAddress> find_server(const AddressHints& hints, const Variables& variables = process_variables());

/// The data directory of a server that was told no other: $XDG_DATA_HOME/trainyard, by default below ~/.local/share.
std::string user_data_directory(const Variables& variables = process_variables());

}  // namespace trainyard::client
