#include "api/mlflow/internal/errors.h"

namespace trainyard::api::mlflow::internal {
namespace {

struct ErrorForm {
  int status;
  std::string_view code;
};

ErrorForm form_of(Category category) {
  switch (category) {
    case Category::kInvalidArgument:
    case Category::kOutOfRange:
      return {400, "INVALID_PARAMETER_VALUE"};
    case Category::kFailedPrecondition:
      return {400, "BAD_REQUEST"};
    case Category::kAlreadyExists:
      return {400, "RESOURCE_ALREADY_EXISTS"};
    case Category::kUnauthenticated:
      return {401, "UNAUTHENTICATED"};
    case Category::kPermissionDenied:
      return {403, "PERMISSION_DENIED"};
    case Category::kNotFound:
      return {404, "RESOURCE_DOES_NOT_EXIST"};
    case Category::kAborted:
      return {409, "ABORTED"};
    case Category::kResourceExhausted:
      return {429, "RESOURCE_EXHAUSTED"};
    case Category::kCancelled:
      return {499, "CANCELLED"};
    case Category::kUnimplemented:
      return {501, "NOT_IMPLEMENTED"};
    case Category::kUnavailable:
      return {503, "TEMPORARILY_UNAVAILABLE"};
    case Category::kDeadlineExceeded:
      return {504, "DEADLINE_EXCEEDED"};
    case Category::kDataLoss:
      return {500, "DATA_LOSS"};
    case Category::kUnknown:
    case Category::kInternal:
      return {500, "INTERNAL_ERROR"};
  }
  return {500, "INTERNAL_ERROR"};
}

net::Response write(int status, std::string_view code, std::string_view message) {
  return net::json_response(status, Document::object({{"error_code", code}, {"message", message}}));
}

}  // namespace

net::Response error_response(const Error& error) {
  const ErrorForm form = form_of(error.category);
  // The inside of a fault is nothing for clients; it stands in the server's log.
  const bool internal = error.category == Category::kInternal || error.category == Category::kUnknown;
  return write(form.status, form.code, internal ? "The server failed; its log says more: " + error.id : error.message);
}

net::Response refusal(int status, const Error& error, std::string_view) {
  if (status == 404)
    return write(404, "ENDPOINT_NOT_FOUND", "Trainyard does not serve this call of MLflow; docs/how-to/mlflow.md lists what it serves");
  net::Response response = error_response(error);
  response.status = status;
  if (status == 401) response.headers.add("WWW-Authenticate", "Bearer realm=\"trainyard\"");
  return response;
}

}  // namespace trainyard::api::mlflow::internal
