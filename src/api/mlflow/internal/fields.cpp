#include "api/mlflow/internal/fields.h"

#include <fmt/format.h>
#include <strings.h>

#include <limits>

#include "track/validation.h"

namespace trainyard::api::mlflow::internal {
namespace {

using track::missing_parameter;

std::string snake_case(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      out.push_back('_');
      out.push_back(static_cast<char>(c + 32));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

/// The tree with snake_case names and without nulls.
Result<Document> normalised(const Document& document) {
  if (document.is_array()) {
    Document list = Document::array();
    for (const Document& item : document.items()) {
      ASSIGN_OR_RETURN(Document inner, normalised(item));
      list.push(std::move(inner));
    }
    return list;
  }
  if (!document.is_object()) return document;
  Document object = Document::object();
  for (const auto& [key, value] : document.members()) {
    if (value.is_null()) continue;
    const std::string name = snake_case(key);
    if (object.find(name) != nullptr) {
      return invalid_argument("mlflow.field_twice", fmt::format("Message has the field twice, in both spellings: {}", name));
    }
    ASSIGN_OR_RETURN(Document inner, normalised(value));
    object.set(name, std::move(inner));
  }
  return object;
}

Document query_document(const net::Request& request) {
  Document arguments = Document::object();
  for (auto it = request.query.begin(); it != request.query.end();) {
    const auto end = request.query.upper_bound(it->first);
    Document values = Document::array();
    const std::string& key = it->first;
    for (auto value = it; value != end; ++value) values.push(value->second);
    arguments.set(key, values.items().size() == 1 ? values.items().front() : values);
    it = end;
  }
  return arguments;
}

bool is_json_type(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const std::size_t end = type.find_last_not_of(' ');
  return ::strcasecmp(std::string(type.substr(0, end + 1)).c_str(), "application/json") == 0;
}

Result<Document> body_document(const net::Request& request) {
  const bool checked = request.method == "POST" || request.method == "PUT";
  if (checked && !is_json_type(request.headers.get("Content-Type").value_or(""))) {
    return invalid_argument("mlflow.content_type", "Bad Request. Content-Type must be one of ['application/json'].");
  }
  if (request.body.empty()) return Document::object();
  Result<Document> body = parse_json(request.body);
  if (body.ok() && body->is_string()) body = parse_json(body->as_string().value_or(""));
  if (!body.ok()) {
    return invalid_argument("mlflow.body", fmt::format("Malformed request body, it is not JSON: {}", body.error().message));
  }
  if (body->is_null()) return Document::object();
  if (!body->is_object()) return invalid_argument("mlflow.body", "Malformed request body, it is not a JSON object");
  return body;
}

/// The name that a client in Python would give the type.
std::string_view python_type(const Document& value) {
  switch (value.kind()) {
    case Document::Kind::kNull:
      return "NoneType";
    case Document::Kind::kBool:
      return "bool";
    case Document::Kind::kInt:
    case Document::Kind::kUnsigned:
      return "int";
    case Document::Kind::kDouble:
      return "float";
    case Document::Kind::kString:
      return "str";
    case Document::Kind::kArray:
      return "list";
    case Document::Kind::kObject:
      return "dict";
  }
  return "dict";
}

std::optional<double> special_number(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

}  // namespace

Result<Document> arguments_of(const net::Request& request) {
  if (request.method == "GET" || request.method == "HEAD") return normalised(query_document(request));
  ASSIGN_OR_RETURN(const Document body, body_document(request));
  return normalised(body);
}

std::string Fields::name_of(std::string_view key) const { return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key); }

const Document* Fields::find(std::string_view key) const { return message_.find(key); }

Error Fields::wrong_type(std::string_view key, const Document& value) const {
  return invalid_argument("mlflow.type",
                          fmt::format("Invalid value {} for parameter '{}' supplied:  Hint: Value was of type '{}'. See the API "
                                      "docs for more information about request parameters.",
                                      to_json(value), name_of(key), python_type(value)));
}

Result<std::string> Fields::text(std::string_view key) const {
  const Document* value = find(key);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return wrong_type(key, *value);
  return value->as_string();
}

Result<std::string> Fields::required_text(std::string_view key) const {
  ASSIGN_OR_RETURN(std::string value, text(key));
  if (value.empty()) return missing_parameter(name_of(key));
  return value;
}

Result<std::optional<std::int64_t>> Fields::integer(std::string_view key) const {
  const Document* value = find(key);
  if (value == nullptr) return std::optional<std::int64_t>();
  const Result<std::int64_t> number = value->as_int();
  if (!number.ok()) return wrong_type(key, *value);
  return std::optional(*number);
}

Result<std::int64_t> Fields::required_integer(std::string_view key) const {
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> value, integer(key));
  if (!value) return missing_parameter(name_of(key));
  return *value;
}

Result<double> Fields::required_number(std::string_view key) const {
  const Document* value = find(key);
  if (value == nullptr) return missing_parameter(name_of(key));
  if (value->is_string()) {
    const std::optional<double> special = special_number(value->as_string().value_or(""));
    if (special) return *special;
  }
  if (!value->is_number()) return wrong_type(key, *value);
  return value->as_double();
}

Result<bool> Fields::flag(std::string_view key) const {
  const Document* value = find(key);
  if (value == nullptr) return false;
  if (value->kind() == Document::Kind::kBool) return value->as_bool();
  const std::string text = value->as_string().value_or("");
  if (::strcasecmp(text.c_str(), "true") == 0) return true;
  if (::strcasecmp(text.c_str(), "false") == 0) return false;
  return wrong_type(key, *value);
}

Result<std::vector<std::string>> Fields::texts(std::string_view key) const {
  std::vector<std::string> values;
  const Document* value = find(key);
  if (value == nullptr) return values;
  if (value->is_string()) return std::vector<std::string>{value->as_string().value_or("")};
  if (!value->is_array()) return wrong_type(key, *value);
  for (const Document& item : value->items()) {
    if (!item.is_string()) return wrong_type(key, *value);
    values.push_back(item.as_string().value_or(""));
  }
  return values;
}

Result<std::vector<Fields>> Fields::messages(std::string_view key) const {
  std::vector<Fields> items;
  const Document* value = find(key);
  if (value == nullptr) return items;
  if (!value->is_array()) return wrong_type(key, *value);
  for (std::size_t i = 0; i < value->items().size(); ++i) {
    if (!value->items()[i].is_object()) return wrong_type(key, *value);
    items.emplace_back(value->items()[i], fmt::format("{}[{}]", name_of(key), i));
  }
  return items;
}

Result<std::vector<track::KeyValue>> Fields::key_values(std::string_view key) const {
  ASSIGN_OR_RETURN(const std::vector<Fields> items, messages(key));
  std::vector<track::KeyValue> pairs;
  for (const Fields& item : items) {
    track::KeyValue pair;
    ASSIGN_OR_RETURN(pair.key, item.required_text("key"));
    ASSIGN_OR_RETURN(pair.value, item.text("value"));
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Result<track::ViewType> Fields::view_type(std::string_view key) const {
  const Document* value = find(key);
  if (value == nullptr) return track::ViewType::kActiveOnly;
  const std::string name = value->is_string() ? value->as_string().value_or("") : std::to_string(value->as_int().value_or(0));
  if (name == "ACTIVE_ONLY" || name == "1") return track::ViewType::kActiveOnly;
  if (name == "DELETED_ONLY" || name == "2") return track::ViewType::kDeletedOnly;
  if (name == "ALL" || name == "3") return track::ViewType::kAll;
  return wrong_type(key, *value);
}

Result<RunId> Fields::run_id() const {
  ASSIGN_OR_RETURN(std::string id, text("run_id"));
  if (id.empty()) {
    ASSIGN_OR_RETURN(id, text("run_uuid"));
  }
  if (id.empty()) return missing_parameter(name_of("run_id"));
  return RunId{std::move(id)};
}

}  // namespace trainyard::api::mlflow::internal
