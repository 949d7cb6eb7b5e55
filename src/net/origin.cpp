#include "net/origin.h"

#include <arpa/inet.h>

#include <algorithm>

namespace trainyard::net {
namespace {

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// "http://127.0.0.1:8470" -> "127.0.0.1:8470"; empty for "null" and anything else that is no web origin.
std::string_view authority_of(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.substr(0, scheme.size()) == scheme) return origin.substr(scheme.size());
  }
  return {};
}

bool is_navigation(std::string_view method, const Headers& headers) {
  return (method == "GET" || method == "HEAD") && headers.get("Sec-Fetch-Mode") == "navigate" &&
         headers.get("Sec-Fetch-Dest") == "document";
}

}  // namespace

std::string host_name_of(std::string_view host_field) {
  std::string_view name = host_field;
  if (!name.empty() && name.front() == '[') {
    name = name.substr(1, name.find(']') == std::string_view::npos ? std::string_view::npos : name.find(']') - 1);
    return lower_case(name);
  }
  name = name.substr(0, name.find(':'));
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  return lower_case(name);
}

bool is_ip_literal(std::string_view host_name) {
  const std::string text(host_name);
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 || ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_loopback_name(std::string_view host_name) {
  if (host_name == "localhost" || host_name == "::1") return true;
  return host_name.substr(0, 4) == "127." && is_ip_literal(host_name);
}

bool host_is_allowed(std::string_view host_field, const CallerRules& rules) {
  const std::string name = host_name_of(host_field);
  return is_loopback_name(name) || contains(rules.hosts, name) || (rules.any_ip_literal && is_ip_literal(name));
}

bool is_same_origin(const Headers& headers) {
  if (const auto site = headers.get("Sec-Fetch-Site"); site && *site != "same-origin" && *site != "none") return false;
  const auto origin = headers.get("Origin");
  if (!origin) return true;
  const std::string_view authority = authority_of(*origin);
  return !authority.empty() && lower_case(authority) == lower_case(headers.get("Host").value_or(""));
}

bool origin_is_allowed(std::string_view method, const Headers& headers, const CallerRules& rules) {
  if (is_same_origin(headers)) return true;
  if (const auto origin = headers.get("Origin")) return contains(rules.origins, *origin);
  return is_navigation(method, headers);
}

}  // namespace trainyard::net
