#include "base/error.h"

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace trainyard {

std::string_view name_of(Category category) {
  switch (category) {
    case Category::kCancelled:
      return "CANCELLED";
    case Category::kUnknown:
      return "UNKNOWN";
    case Category::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Category::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Category::kNotFound:
      return "NOT_FOUND";
    case Category::kAlreadyExists:
      return "ALREADY_EXISTS";
    case Category::kPermissionDenied:
      return "PERMISSION_DENIED";
    case Category::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Category::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case Category::kAborted:
      return "ABORTED";
    case Category::kOutOfRange:
      return "OUT_OF_RANGE";
    case Category::kUnimplemented:
      return "UNIMPLEMENTED";
    case Category::kInternal:
      return "INTERNAL";
    case Category::kUnavailable:
      return "UNAVAILABLE";
    case Category::kDataLoss:
      return "DATA_LOSS";
    case Category::kUnauthenticated:
      return "UNAUTHENTICATED";
  }
  CHECK(false, "a category outside the enumeration");
  return {};
}

Error Error::with_context(std::string what_the_caller_did) && {
  context.push_back(std::move(what_the_caller_did));
  return std::move(*this);
}

std::string Error::describe() const {
  std::string text;
  if (!where.empty()) text += where + ": ";
  text += id + ": " + message;
  for (std::size_t i = 0; i < context.size(); ++i) text += (i == 0 ? " (while " : "; while ") + context[i];
  if (!context.empty()) text += ")";
  return text;
}

Error system_error(int error_number, std::string_view call, std::string_view path) {
  std::string message = std::string(call) + " " + std::string(path) + ": " + std::strerror(error_number);
  switch (error_number) {
    case ENOENT:
      return {Category::kNotFound, "io.missing", std::move(message), {}, {}};
    case EEXIST:
      return {Category::kAlreadyExists, "io.exists", std::move(message), {}, {}};
    case EACCES:
    case EPERM:
      return {Category::kPermissionDenied, "io.permission", std::move(message), {}, {}};
    case ENOSPC:
    case EDQUOT:
      message += "; free some space and start again, nothing was half-written";
      return {Category::kResourceExhausted, "io.disk_full", std::move(message), {}, {}};
    default:
      return {Category::kUnavailable, "io.failed", std::move(message), {}, {}};
  }
}

}  // namespace trainyard
