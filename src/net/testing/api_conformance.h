#pragma once
#include <fmt/core.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "net/openapi.h"

namespace trainyard::net::testing {

/// Checks values against the part of JSON Schema that SchemaBook writes. Patterns and formats are not looked at.
class SchemaCheck {
 public:
  /// `definitions`: "#/components/schemas".
  explicit SchemaCheck(Document definitions) : definitions_(std::move(definitions)) {}

  /// What is wrong with `value`, empty when nothing is.
  std::string fault(const Document& schema, const Document& value, const std::string& where = "") const {
    if (const Document* const reference = schema.find("$ref")) {
      const std::string name = reference->text().substr(reference->text().rfind('/') + 1);
      if (definitions_.find(name) == nullptr) return where + ": no definition of " + name;
      return fault(definitions_[name], value, where);
    }
    if (const Document* const choices = schema.find("anyOf")) {
      std::string last;
      for (const Document& choice : choices->items()) {
        last = fault(choice, value, where);
        if (last.empty()) return {};
      }
      return last;
    }
    if (const Document* const type = schema.find("type"); type != nullptr && !has_type(*type, value)) {
      return fmt::format("{}: is not of type {}: {}", where, to_json(*type), to_json(value).substr(0, 100));
    }
    if (const Document* const list = schema.find("enum"); list != nullptr && !holds(*list, value)) {
      return fmt::format("{}: {} is not one of {}", where, to_json(value), to_json(*list));
    }
    if (value.is_number() && schema.find("minimum") != nullptr && value.as_double().value() < schema["minimum"].as_double().value()) {
      return where + ": below the minimum";
    }
    if (value.is_number() && schema.find("maximum") != nullptr && value.as_double().value() > schema["maximum"].as_double().value()) {
      return where + ": above the maximum";
    }
    return value.is_array() ? fault_of_items(schema, value, where) : fault_of_members(schema, value, where);
  }

 private:
  static bool has_type(const Document& type, const Document& value) {
    if (type.is_array()) {
      for (const Document& one : type.items()) {
        if (has_type(one, value)) return true;
      }
      return false;
    }
    const std::string& name = type.text();
    if (name == "null") return value.is_null();
    if (name == "boolean") return value.kind() == Document::Kind::kBool;
    if (name == "string") return value.is_string();
    if (name == "array") return value.is_array();
    if (name == "object") return value.is_object();
    if (name == "number") return value.is_number();
    return name == "integer" && value.is_number() && std::floor(value.as_double().value()) == value.as_double().value();
  }
  static bool holds(const Document& list, const Document& value) {
    for (const Document& one : list.items()) {
      if (one == value) return true;
    }
    return false;
  }
  std::string fault_of_items(const Document& schema, const Document& value, const std::string& where) const {
    const Document* const items = schema.find("items");
    for (std::size_t i = 0; items != nullptr && i < value.items().size(); ++i) {
      if (std::string found = fault(*items, value.items()[i], fmt::format("{}/{}", where, i)); !found.empty()) return found;
    }
    return {};
  }
  std::string fault_of_members(const Document& schema, const Document& value, const std::string& where) const {
    for (const Document& name : schema["required"].items()) {
      if (value.is_object() && value.find(name.text()) == nullptr) return fmt::format("{}: {} is missing", where, name.text());
    }
    for (const auto& [key, member] : value.members()) {
      const Document* described = schema["properties"].find(key);
      const Document* const others = schema.find("additionalProperties");
      if (described == nullptr && others != nullptr && others->kind() == Document::Kind::kBool) return where + "/" + key + ": is not known";
      if (described == nullptr && others != nullptr) described = others;
      if (described == nullptr) continue;
      if (std::string found = fault(*described, member, where + "/" + key); !found.empty()) return found;
    }
    return {};
  }

  Document definitions_;
};

/// Holds what handlers answer against what their routes say they answer.
class ApiConformance {
 public:
  explicit ApiConformance(const Router& router)
      : router_(router), document_(openapi_document(router, {"test", "1", "test"})), schemas_(document_["components"]["schemas"]) {}

  /// What contradicts the description of the route, empty when nothing does or the path has no described route. Bodies of streams are not
  /// looked at.
  std::string fault(const Request& request, const Response& response) const {
    const Route* const route = route_of(request);
    if (route == nullptr || !route->doc.describes()) return {};
    std::string method = request.method == "HEAD" ? "get" : request.method;
    for (char& c : method) c = static_cast<char>(c | 0x20);
    const std::string name = fmt::format("{} {} -> {}", request.method, route->pattern, response.status);
    std::string path = route->pattern;
    std::erase(path, '*');
    const Document& responses = document_["paths"][path][method]["responses"];
    const Document* answer = responses.find(std::to_string(response.status));
    if (answer == nullptr) return name + ": the status is not described: " + response.body.substr(0, 300);
    if (const Document* const reference = answer->find("$ref")) {
      const std::string& text = reference->text();
      answer = document_["components"]["responses"].find(text.substr(text.rfind('/') + 1));
      if (answer == nullptr) return name + ": its answer has no definition";
    }
    return fault_of_body(name, (*answer)["content"], response);
  }

 private:
  std::string fault_of_body(const std::string& name, const Document& content, const Response& response) const {
    const std::string type(response.headers.get("Content-Type").value_or(""));
    const std::string plain = type.substr(0, type.find(';'));
    if (content.members().empty()) return response.body.empty() ? "" : name + ": has a body and describes none";
    const Document* const media = content.find(plain);
    if (media == nullptr) return fmt::format("{}: the media type is not described: {}", name, type);
    if (plain != "application/json" && plain != "application/problem+json") return {};
    const Result<Document> body = parse_json(response.body);
    if (!body.ok()) return name + ": is no JSON";
    const std::string found = schemas_.fault((*media)["schema"], *body);
    return found.empty() ? "" : name + found;
  }

  const Route* route_of(const Request& request) const {
    const Route* best = nullptr;
    for (const Route& route : router_.routes()) {
      const bool method = route.method == request.method || (request.method == "HEAD" && route.method == "GET");
      if (!method || !matches(route.pattern, request.path)) continue;
      if (best == nullptr || route.pattern.find('{') > best->pattern.find('{')) best = &route;
    }
    return best;
  }
  static bool matches(std::string_view pattern, std::string_view path) {
    while (!pattern.empty() && !path.empty()) {
      const std::string_view one = pattern.substr(0, pattern.find('/', 1));
      const std::string_view other = path.substr(0, path.find('/', 1));
      if (one.ends_with("*}")) return true;
      if (!one.starts_with("/{") && one != other) return false;
      pattern.remove_prefix(one.size());
      path.remove_prefix(other.size());
    }
    return pattern.empty() && path.empty();
  }

  const Router& router_;
  Document document_;
  SchemaCheck schemas_;
};

}  // namespace trainyard::net::testing
