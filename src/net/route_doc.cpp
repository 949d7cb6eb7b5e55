#include "net/route_doc.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace trainyard::net {
namespace {

constexpr std::string_view kFlagTexts[] = {"0", "1", "true", "false"};

std::optional<std::int64_t> integer_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Error query_error(std::string id, const std::string& name, std::string message) {
  return invalid_argument("query." + std::move(id), std::move(message), "/" + name);
}

std::string bounds_text(Range range) {
  const auto whole = [](double bound) { return static_cast<std::int64_t>(bound); };
  if (range.min == std::numeric_limits<double>::lowest()) return "a whole number";
  if (range.max == std::numeric_limits<double>::max()) return fmt::format("a whole number from {}", whole(range.min));
  return fmt::format("a whole number from {} to {}", whole(range.min), whole(range.max));
}

Result<void> check_value(const ParameterDoc& parameter, const std::string& value) {
  switch (parameter.type) {
    case ParameterDoc::Type::kText: {
      if (parameter.allowed.empty()) return {};
      if (std::find(parameter.allowed.begin(), parameter.allowed.end(), value) != parameter.allowed.end()) return {};
      const std::optional<std::string> near = nearest(value, parameter.allowed);
      return query_error("choice", parameter.name,
                         fmt::format("the query parameter {} must be one of {}{}: \"{}\"", parameter.name,
                                     fmt::join(parameter.allowed, ", "), near ? fmt::format("; did you mean \"{}\"?", *near) : "", value));
    }
    case ParameterDoc::Type::kFlag:
      if (std::find(std::begin(kFlagTexts), std::end(kFlagTexts), value) != std::end(kFlagTexts)) return {};
      return query_error("choice", parameter.name,
                         fmt::format("the query parameter {} must be 0, 1, true or false: \"{}\"", parameter.name, value));
    case ParameterDoc::Type::kInteger: {
      const std::optional<std::int64_t> number = integer_of(value);
      if (!number) {
        return query_error("number", parameter.name,
                           fmt::format("the query parameter {} must be {}: \"{}\"", parameter.name, bounds_text(parameter.range), value));
      }
      const auto given = static_cast<double>(*number);
      if (given >= parameter.range.min && given <= parameter.range.max) return {};
      return query_error("range", parameter.name,
                         fmt::format("the query parameter {} must be {}: {}", parameter.name, bounds_text(parameter.range), value));
    }
  }
  return {};
}

/// Without its parameters, in lower case, under its registered name.
std::string media_type_in(std::string_view field) {
  std::string type(field.substr(0, field.find(';')));
  type.erase(type.find_last_not_of(" \t") + 1);
  std::transform(type.begin(), type.end(), type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (type == "application/x-yaml" || type == "text/yaml" || type == "text/x-yaml") return "application/yaml";
  if (type.ends_with("+json") || type == "text/json") return "application/json";
  return type;
}

Error unknown_parameter(const std::string& name, const RouteDoc& doc) {
  std::vector<std::string> known;
  for (const ParameterDoc& parameter : doc.parameters) {
    if (parameter.in == ParameterDoc::In::kQuery) known.push_back(parameter.name);
  }
  const std::optional<std::string> near = nearest(name, known);
  const std::string advice = near            ? fmt::format("did you mean \"{}\"?", *near)
                             : known.empty() ? std::string("this path takes none")
                                             : fmt::format("known ones: {}", fmt::join(known, ", "));
  return query_error("unknown", name, fmt::format("unknown query parameter; {} It was: \"{}\"", near ? advice : advice + ".", name));
}

}  // namespace

Document write_any_object(SchemaBook&, SchemaStyle) { return Document::object({{"type", "object"}}); }

ParameterDoc path_text(std::string name, std::string doc) {
  return {.in = ParameterDoc::In::kPath, .name = std::move(name), .doc = std::move(doc), .required = true};
}
ParameterDoc path_integer(std::string name, Range range, std::string doc) {
  return {.in = ParameterDoc::In::kPath,
          .name = std::move(name),
          .doc = std::move(doc),
          .type = ParameterDoc::Type::kInteger,
          .range = range,
          .required = true};
}
ParameterDoc query_text(std::string name, std::string doc) { return {.name = std::move(name), .doc = std::move(doc)}; }
ParameterDoc query_integer(std::string name, Range range, std::optional<std::int64_t> fallback, std::string doc) {
  ParameterDoc parameter{.name = std::move(name), .doc = std::move(doc), .type = ParameterDoc::Type::kInteger, .range = range};
  if (fallback) parameter.fallback = Document(*fallback);
  return parameter;
}
ParameterDoc query_flag(std::string name, std::string doc) {
  return {.name = std::move(name), .doc = std::move(doc), .type = ParameterDoc::Type::kFlag};
}
ParameterDoc query_choice(std::string name, std::vector<std::string> allowed, std::string doc) {
  return {.name = std::move(name), .doc = std::move(doc), .allowed = std::move(allowed)};
}
ParameterDoc header_text(std::string name, std::string doc) {
  return {.in = ParameterDoc::In::kHeader, .name = std::move(name), .doc = std::move(doc)};
}

AnswerDoc text_answer(int status, std::string media_type, std::string doc) {
  return {status, std::move(doc), nullptr, std::move(media_type), {}};
}
AnswerDoc event_stream_answer(std::string doc) { return {200, std::move(doc), nullptr, "text/event-stream", {}}; }
AnswerDoc empty_answer(int status, std::string doc, std::vector<std::string> headers) {
  return {status, std::move(doc), nullptr, "", std::move(headers)};
}

std::int64_t query_number(const Request& request, std::string_view name, std::int64_t fallback) {
  const std::optional<std::string> text = request.query_value(name);
  return text ? integer_of(*text).value_or(fallback) : fallback;
}

bool query_is_set(const Request& request, std::string_view name) {
  const std::string text = request.query_value(name).value_or("0");
  return text == "1" || text == "true";
}

Result<void> check_query(const Request& request, const RouteDoc& doc) {
  for (auto entry = request.query.begin(); entry != request.query.end(); ++entry) {
    const std::string& name = entry->first;
    const auto known = std::find_if(doc.parameters.begin(), doc.parameters.end(), [&name](const ParameterDoc& parameter) {
      return parameter.in == ParameterDoc::In::kQuery && parameter.name == name;
    });
    if (known == doc.parameters.end()) return unknown_parameter(name, doc);
    if (!known->repeated && request.query.count(name) > 1) {
      return query_error("repeated", name, "a query parameter may be given once only; give it one value: " + name);
    }
    TRY(check_value(*known, entry->second));
  }
  for (const ParameterDoc& parameter : doc.parameters) {
    if (parameter.in != ParameterDoc::In::kQuery || !parameter.required || request.query.contains(parameter.name)) continue;
    return query_error("missing", parameter.name, fmt::format("the query parameter {} must be given: {}", parameter.name, parameter.doc));
  }
  return {};
}

Result<void> check_media_type(const Request& request, const RouteDoc& doc) {
  constexpr std::string_view kAnyText[] = {"", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"};
  if (!doc.body || request.body.empty()) return {};
  const std::string type = media_type_in(request.headers.get("Content-Type").value_or(""));
  const std::vector<std::string>& taken = doc.body->media_types;
  if (std::find(taken.begin(), taken.end(), type) != taken.end()) return {};
  if (std::find(std::begin(kAnyText), std::end(kAnyText), type) != std::end(kAnyText)) return {};
  return invalid_argument("http.media_type", fmt::format("this path takes a body of {}; the Content-Type of this one is: {}",
                                                         fmt::join(taken, " or "), type));
}

}  // namespace trainyard::net
