#include "client/server_address.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/document.h"
#include "base/file.h"

namespace trainyard::client {
namespace {

constexpr std::size_t kServerFileMax = 64 * 1024;

Result<ServerAddress> read_server_file(const std::string& path) {
  const Result<std::string> text = read_file(path, kServerFileMax);
  if (!text.ok()) {
    return unavailable("client.no_server", fmt::format("no server is known: start one with `trainyard up`, or name one with --url or "
                                                       "TRAINYARD_URL; looked for {}",
                                                       path));
  }
  const Result<Document> document = parse_json(*text);
  const Result<std::string> url = document.ok() ? document->string_at("url") : Result<std::string>(document.error());
  const Result<std::string> token_file = document.ok() ? document->string_or("token_file", "") : Result<std::string>(document.error());
  const Result<std::string> ca_file = document.ok() ? document->string_or("ca_file", "") : Result<std::string>(document.error());
  if (!url.ok() || !token_file.ok() || !ca_file.ok()) {
    return data_loss("client.server_file",
                     fmt::format("the file that names the server is damaged: start the server again, it writes a new one: {}", path));
  }
  return ServerAddress{*url, *token_file, *ca_file};
}

std::string without_last_slash(std::string url) {
  if (!url.empty() && url.back() == '/') url.pop_back();
  return url;
}

}  // namespace

Variables process_variables() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* const value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

std::string user_data_directory(const Variables& variables) {
  // The XDG specification says that a relative value is to be ignored.
  const std::string data_home = variables("XDG_DATA_HOME").value_or("");
  if (!data_home.empty() && data_home.front() == '/') return data_home + "/trainyard";
  return variables("HOME").value_or("") + "/.local/share/trainyard";
}

Result<ServerAddress> find_server(const AddressHints& hints, const Variables& variables) {
  ServerAddress address{hints.url, hints.token_file, hints.ca_file};
  if (address.url.empty()) address.url = variables("TRAINYARD_URL").value_or("");
  if (address.url.empty()) address.url = variables("TRAINYARD_API_URL").value_or("");
  if (address.token_file.empty()) address.token_file = variables("TRAINYARD_TOKEN_FILE").value_or("");
  if (address.ca_file.empty()) address.ca_file = variables("TRAINYARD_CA_FILE").value_or("");
  const bool trust_is_known = !address.url.starts_with("https://") || !address.ca_file.empty();
  if (!address.url.empty() && !address.token_file.empty() && trust_is_known) return address;

  const Result<ServerAddress> local = read_server_file(user_data_directory(variables) + "/server.json");
  if (address.url.empty()) {
    if (!local.ok()) return local;
    address.url = local->url;
  }
  const bool is_local = local.ok() && without_last_slash(local->url) == without_last_slash(address.url);
  if (address.token_file.empty() && is_local) address.token_file = local->token_file;
  if (address.ca_file.empty() && is_local) address.ca_file = local->ca_file;
  return address;
}

}  // namespace trainyard::client
