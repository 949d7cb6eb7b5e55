#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "net/http.h"
#include "track/types.h"

namespace trainyard::api::mlflow::internal {

/// The arguments of a call as one tree with snake_case names: the JSON body, or the query of a GET, in which a repeated name is a list and
/// everything is text. Protobuf's rules: camelCase is taken too, null is absent, a body that was encoded twice is decoded twice, none is
/// {}. Errors: INVALID_ARGUMENT for malformed bodies, for a Content-Type that is not JSON, and for one field in both spellings.
Result<Document> arguments_of(const net::Request& request);

/// Reads the arguments of one message. `path` stands before names in errors: "metrics[0]". Errors of every method: INVALID_ARGUMENT with
/// the texts that clients match on.
class Fields {
 public:
  explicit Fields(const Document& message, std::string path = {}) : message_(message), path_(std::move(path)) {}

  /// Must be there and not be empty.
  Result<std::string> required_text(std::string_view key) const;
  Result<std::string> text(std::string_view key) const;  ///< Empty when absent.
  Result<std::optional<std::int64_t>> integer(std::string_view key) const;
  Result<std::int64_t> required_integer(std::string_view key) const;
  Result<double> required_number(std::string_view key) const;  ///< Also "NaN", "Infinity", "-Infinity".
  Result<bool> flag(std::string_view key) const;               ///< False when absent.
  Result<std::vector<std::string>> texts(std::string_view key) const;
  /// A list of messages with `key` and `value`.
  Result<std::vector<track::KeyValue>> key_values(std::string_view key) const;
  /// The items of a list of messages, each with its own path.
  Result<std::vector<Fields>> messages(std::string_view key) const;
  /// ACTIVE_ONLY, DELETED_ONLY or ALL, by name or by number.
  Result<track::ViewType> view_type(std::string_view key) const;
  /// run_id, or run_uuid of older clients.
  Result<RunId> run_id() const;

 private:
  std::string name_of(std::string_view key) const;
  const Document* find(std::string_view key) const;
  Error wrong_type(std::string_view key, const Document& value) const;

  const Document& message_;
  std::string path_;
};

}  // namespace trainyard::api::mlflow::internal
