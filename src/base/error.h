#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// What kind of failure this is: the sixteen canonical gRPC codes without OK, so that HTTP and gRPC map them once, in `api/`.
enum class Category {
  kCancelled,
  kUnknown,
  kInvalidArgument,
  kDeadlineExceeded,
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kResourceExhausted,
  kFailedPrecondition,
  kAborted,
  kOutOfRange,
  kUnimplemented,
  kInternal,
  kUnavailable,
  kDataLoss,
  kUnauthenticated,
};

/// The canonical upper-case name, e.g. "NOT_FOUND".
std::string_view name_of(Category category);

/// A failure as a value. `id` is a dotted catalogue entry ("spec.unknown_key"); `message` starts with fixed text and ends with values,
/// says what failed, where and why, and what to do next. `context` is filled from the inside out by the callers that pass it on.
struct Error {
  Category category = Category::kUnknown;
  std::string id;
  std::string message;
  /// Where in a document the fault lies: a JSON pointer ("/tasks") or "file:line:column". Empty when it does not apply.
  std::string where;
  std::vector<std::string> context;

  /// Returns this error with one more line of context: what the caller was doing.
  Error with_context(std::string what_the_caller_did) &&;

  /// One line: "where: id: message (while a; while b)".
  std::string describe() const;
};

inline Error invalid_argument(std::string id, std::string message, std::string where = {}) {
  return {Category::kInvalidArgument, std::move(id), std::move(message), std::move(where), {}};
}
inline Error not_found(std::string id, std::string message) { return {Category::kNotFound, std::move(id), std::move(message), {}, {}}; }
inline Error unavailable(std::string id, std::string message) {
  return {Category::kUnavailable, std::move(id), std::move(message), {}, {}};
}
inline Error data_loss(std::string id, std::string message) { return {Category::kDataLoss, std::move(id), std::move(message), {}, {}}; }
inline Error failed_precondition(std::string id, std::string message) {
  return {Category::kFailedPrecondition, std::move(id), std::move(message), {}, {}};
}
inline Error internal_error(std::string id, std::string message) {
  return {Category::kInternal, std::move(id), std::move(message), {}, {}};
}

/// An error from `errno` after a system call: "open /a/b: No such file or directory". ENOENT is NOT_FOUND, EEXIST ALREADY_EXISTS,
/// EACCES and EPERM PERMISSION_DENIED, ENOSPC and EDQUOT RESOURCE_EXHAUSTED (id "io.disk_full"), the rest UNAVAILABLE.
Error system_error(int error_number, std::string_view call, std::string_view path);

}  // namespace trainyard
