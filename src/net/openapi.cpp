#include "net/openapi.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace trainyard::net {
namespace {

/// What a problem answer looks like, field by field.
struct Fault {
  std::string pointer;
  std::string detail;

  static constexpr std::string_view kSchemaName = "ProblemFault";
  void describe(FieldVisitor& fields) {
    fields.field("pointer", pointer, "Where in the request: a JSON pointer, or FILE:LINE:COLUMN of a YAML text.");
    fields.field("detail", detail, "What is wrong there.");
  }
};

struct Problem {
  std::string type;
  std::string title;
  std::int64_t status = 0;
  std::string detail;
  std::string code;
  std::string category;
  bool retryable = false;
  std::optional<std::string> request_id;
  std::optional<std::vector<Fault>> errors;
  std::optional<std::vector<std::string>> context;

  static constexpr std::string_view kSchemaName = "Problem";
  void describe(FieldVisitor& fields) {
    fields.field("type", type, "A URI that names the kind of problem.");
    fields.field("title", title, "The status in words.");
    fields.field("status", status, {.min = 400, .max = 599}, "The status of the answer.");
    fields.field("detail", detail, "What failed, where, why, and what to do next.");
    fields.field("code", code, "The id of the error, e.g. spec.unknown_key: stable, for programs.");
    fields.field("category", category, "The canonical gRPC code, e.g. NOT_FOUND.");
    fields.field("retryable", retryable, "Whether the same request may succeed later.");
    fields.field("request_id", request_id, "Names this request in the logs of the server.");
    fields.field("errors", errors, "The faults in the request, with their places.");
    fields.field("context", context, "What the server was doing, from the inside out.");
  }
};

std::string_view doc_of_header(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kDocs[] = {
      {"Location", "Where the new resource is."},
      {"ETag", "The version of the resource, for If-Match and If-None-Match."},
      {"Retry-After", "Seconds to wait before the next try."},
      {"WWW-Authenticate", "How to prove who calls."},
      {"Allow", "The methods that this path takes."},
      {"Content-Range", "Which bytes these are."},
      {"Accept-Ranges", "That parts can be asked for."},
  };
  for (const auto& [known, doc] : kDocs) {
    if (known == name) return doc;
  }
  return "A field of this answer.";
}

Document headers_of(const std::vector<std::string>& names) {
  Document headers = Document::object();
  for (const std::string& name : names) {
    Document schema = Document::object({{"type", "string"}});
    if (name == "Retry-After") schema = Document::object({{"type", "integer"}, {"minimum", 0}});
    headers.set(name, Document::object({{"description", doc_of_header(name)}, {"schema", std::move(schema)}}));
  }
  return headers;
}

Document schema_of_parameter(const ParameterDoc& parameter) {
  Document schema = Document::object();
  switch (parameter.type) {
    case ParameterDoc::Type::kText:
      schema.set("type", "string");
      if (parameter.in == ParameterDoc::In::kPath) schema.set("minLength", 1);
      break;
    case ParameterDoc::Type::kInteger:
      schema.set("type", "integer");
      if (parameter.range.min > -9e15) schema.set("minimum", static_cast<std::int64_t>(parameter.range.min));
      if (parameter.range.max < 9e15) schema.set("maximum", static_cast<std::int64_t>(parameter.range.max));
      break;
    case ParameterDoc::Type::kFlag:
      schema.set("type", "string");
      schema.set("enum", Document::array({Document("0"), Document("1"), Document("true"), Document("false")}));
      break;
  }
  if (!parameter.allowed.empty()) {
    Document list = Document::array();
    for (const std::string& text : parameter.allowed) list.push(text);
    schema.set("enum", std::move(list));
  }
  if (parameter.fallback) schema.set("default", *parameter.fallback);
  return schema;
}

Document parameter_document(const ParameterDoc& parameter) {
  static constexpr std::string_view kPlaces[] = {"path", "query", "header"};
  Document out = Document::object({{"name", parameter.name},
                                   {"in", kPlaces[static_cast<std::size_t>(parameter.in)]},
                                   {"description", parameter.doc},
                                   {"required", parameter.required}});
  Document schema = schema_of_parameter(parameter);
  if (parameter.repeated) {
    Document list = Document::object({{"type", "array"}});
    list.set("items", std::move(schema));
    schema = std::move(list);
  }
  out.set("schema", std::move(schema));
  return out;
}

Document body_document(const BodyDoc& body, SchemaBook& book) {
  const Document schema = body.schema != nullptr ? body.schema(book, SchemaStyle::kRequest) : Document::object({{"type", "string"}});
  Document content = Document::object();
  for (const std::string& type : body.media_types) content.set(type, Document::object({{"schema", schema}}));
  return Document::object({{"description", body.doc}, {"required", body.required}, {"content", std::move(content)}});
}

std::set<int> problems_of(const Route& route) {
  std::set<int> statuses(route.doc.problems.begin(), route.doc.problems.end());
  const auto has = [&route](ParameterDoc::In in) {
    return std::any_of(route.doc.parameters.begin(), route.doc.parameters.end(), [in](const ParameterDoc& p) { return p.in == in; });
  };
  statuses.insert({400, 403});  // A malformed request, a foreign origin.
  if (route.permission != Permission::kOpen) statuses.insert(401);
  if (has(ParameterDoc::In::kPath)) statuses.insert(404);
  if (route.method != "GET") statuses.insert(413);
  if (route.doc.body) statuses.insert(415);
  if (route.doc.rate != RateClass::kReserved) statuses.insert(429);
  statuses.insert(503);
  return statuses;
}

/// Answers by status; those of one status with several media types are one.
Document responses_document(const Route& route, SchemaBook& book) {
  std::map<int, Document> by_status;
  for (const AnswerDoc& answer : route.doc.answers) {
    Document& out = by_status[answer.status];
    if (out.is_null()) out.set("description", answer.doc);
    if (!answer.headers.empty()) out.set("headers", headers_of(answer.headers));
    if (answer.media_type.empty()) continue;
    Document media = Document::object();
    media.set("schema", answer.schema != nullptr ? answer.schema(book, SchemaStyle::kResponse) : Document::object({{"type", "string"}}));
    Document content = out["content"];
    content.set(answer.media_type, std::move(media));
    out.set("content", std::move(content));
  }
  Document responses = Document::object();
  for (const int status : problems_of(route)) {
    if (by_status.contains(status)) continue;
    by_status[status] = Document::object({{"$ref", "#/components/responses/Problem" + std::to_string(status)}});
  }
  for (auto& [status, answer] : by_status) responses.append_member(std::to_string(status), std::move(answer));
  return responses;
}

Document operation_document(const Route& route, SchemaBook& book) {
  Document out = Document::object(
      {{"operationId", route.doc.operation}, {"tags", Document::array({Document(route.doc.tag)})}, {"summary", route.doc.summary}});
  if (!route.doc.parameters.empty()) {
    Document parameters = Document::array();
    for (const ParameterDoc& parameter : route.doc.parameters) parameters.push(parameter_document(parameter));
    out.set("parameters", std::move(parameters));
  }
  if (route.doc.body) {
    out.set("requestBody", body_document(*route.doc.body, book));
    out.set("x-body-max", static_cast<std::int64_t>(route.body_max));
  }
  out.set("responses", responses_document(route, book));
  Document security = Document::array();
  if (route.permission != Permission::kOpen) security.push(Document::object({{"bearer", Document::array()}}));
  out.set("security", std::move(security));
  out.set("x-permission", name_of(route.permission));
  if (route.doc.namespaced) out.set("x-namespaced", true);
  return out;
}

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// One definition for every status that some route refuses with.
Document problem_responses(const std::set<int>& statuses) {
  Document responses = Document::object();
  for (const int status : statuses) {
    const Document schema = Document::object({{"$ref", "#/components/schemas/Problem"}});
    const Document content = Document::object({{"application/problem+json", Document::object({{"schema", schema}})}});
    Document out = Document::object({{"description", reason_phrase(status)}});
    if (status == 401) out.set("headers", headers_of({"WWW-Authenticate"}));
    if (status == 429 || status == 503) out.set("headers", headers_of({"Retry-After"}));
    out.set("content", content);
    responses.append_member("Problem" + std::to_string(status), std::move(out));
  }
  return responses;
}

}  // namespace

Document openapi_document(const Router& router, const ApiInfo& info) {
  SchemaBook book;
  std::map<std::string, std::map<std::string, const Route*>> by_path;
  std::set<std::string> tags;
  std::set<int> statuses;
  for (const Route& route : router.routes()) {
    if (!route.doc.describes()) continue;
    by_path[route.pattern][lower_case(route.method)] = &route;
    tags.insert(route.doc.tag);
    statuses.merge(problems_of(route));
  }
  Document paths = Document::object();
  for (const auto& [pattern, methods] : by_path) {
    Document operations = Document::object();
    for (const auto& [method, route] : methods) operations.append_member(method, operation_document(*route, book));
    std::string path = pattern;
    std::erase(path, '*');
    paths.append_member(std::move(path), std::move(operations));
  }
  book.schema<Problem>(SchemaStyle::kResponse);
  Document tag_list = Document::array();
  for (const std::string& tag : tags) tag_list.push(Document::object({{"name", tag}}));
  Document all =
      Document::object({{"openapi", "3.1.0"},
                        {"info", Document::object({{"title", info.title}, {"version", info.version}, {"description", info.description}})},
                        {"tags", std::move(tag_list)},
                        {"paths", std::move(paths)}});
  book.settle(all);
  const Document bearer = Document::object({{"type", "http"}, {"scheme", "bearer"}});
  all.set("components", Document::object({{"securitySchemes", Document::object({{"bearer", bearer}})},
                                          {"responses", problem_responses(statuses)},
                                          {"schemas", book.definitions()}}));
  return all;
}

}  // namespace trainyard::net
