#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/describe_schema.h"
#include "net/http.h"
#include "net/rate_limit.h"

namespace trainyard::net {

/// Writes the schema of one struct into a book, in the style of its use.
using SchemaSource = Document (*)(SchemaBook& book, SchemaStyle style);

template <Described T>
Document write_schema(SchemaBook& book, SchemaStyle style) {
  return book.schema<T>(style);
}

/// For what another component describes: any object.
Document write_any_object(SchemaBook& book, SchemaStyle style);

/// A parameter of a route. Those of the query are checked before the handler runs.
struct ParameterDoc {
  enum class In { kPath, kQuery, kHeader };
  enum class Type { kText, kInteger, kFlag };  ///< A flag is 0, 1, true or false.
  In in = In::kQuery;
  std::string name;
  std::string doc;
  Type type = Type::kText;
  Range range = {};                       ///< For integers.
  std::vector<std::string> allowed = {};  ///< For texts: the closed list it comes from; empty: any.
  std::optional<Document> fallback = {};  ///< What counts when it is not given, if that can be told.
  bool required = false;
  bool repeated = false;  ///< May be given several times.
};

ParameterDoc path_text(std::string name, std::string doc);
ParameterDoc path_integer(std::string name, Range range, std::string doc);
ParameterDoc query_text(std::string name, std::string doc);
ParameterDoc query_integer(std::string name, Range range, std::optional<std::int64_t> fallback, std::string doc);
ParameterDoc query_flag(std::string name, std::string doc);
ParameterDoc query_choice(std::string name, std::vector<std::string> allowed, std::string doc);
ParameterDoc header_text(std::string name, std::string doc);

/// What a route takes as body.
struct BodyDoc {
  SchemaSource schema = nullptr;  ///< Null: any text of the media types.
  std::vector<std::string> media_types = {"application/json"};
  std::string doc;
  bool required = true;
};

/// One way in which a route answers when all went well; a status may stand here once for each media type.
struct AnswerDoc {
  int status = 200;
  std::string doc;
  SchemaSource schema = nullptr;     ///< Null: text, or no body when there is no media type.
  std::string media_type;            ///< Empty: no body.
  std::vector<std::string> headers;  ///< That it carries besides those of every answer.
};

template <Described T>
AnswerDoc json_answer(int status, std::string doc, std::vector<std::string> headers = {}) {
  return {status, std::move(doc), &write_schema<T>, "application/json", std::move(headers)};
}
AnswerDoc text_answer(int status, std::string media_type, std::string doc);
AnswerDoc event_stream_answer(std::string doc);
AnswerDoc empty_answer(int status, std::string doc, std::vector<std::string> headers = {});

template <Described T>
BodyDoc json_body(std::string doc) {
  return {&write_schema<T>, {"application/json"}, std::move(doc), true};
}

/// What a route says about itself: the API document, the check of its query and the limits it falls under derive from it.
struct RouteDoc {
  std::string operation;  ///< "listJobs": unique, a name in client libraries.
  std::string tag;        ///< The group it is shown in.
  std::string summary;
  std::vector<ParameterDoc> parameters;
  std::optional<BodyDoc> body;
  std::vector<AnswerDoc> answers;
  /// Statuses it refuses with, beyond those that follow from its form (400, 401, 403, 404, 413, 415, 429, 503).
  std::vector<int> problems;
  std::optional<RateClass> rate = {};  ///< Empty: by method.
  /// Its objects belong to namespaces: a role in any one admits, and the handler checks each object by access::require.
  bool namespaced = false;
  /// Part of another protocol: not in the document of the platform, its query is its own affair.
  bool foreign = false;

  bool describes() const { return !operation.empty() && !foreign; }
};

/// A query parameter that the router has checked against its ParameterDoc, or `fallback` when it is absent.
std::int64_t query_number(const Request& request, std::string_view name, std::int64_t fallback);
bool query_is_set(const Request& request, std::string_view name);

/// Holds the query of a request against the parameters. Errors: INVALID_ARGUMENT "query.unknown" with the nearest known name,
/// "query.missing", "query.repeated", "query.number", "query.range", "query.choice"; `where` is "/NAME".
Result<void> check_query(const Request& request, const RouteDoc& doc);
/// Whether the body is sent as something that the route takes. What clients say who do not say anything passes: no type, and what curl and
/// others send for any text. Errors: INVALID_ARGUMENT "http.media_type".
Result<void> check_media_type(const Request& request, const RouteDoc& doc);

}  // namespace trainyard::net
