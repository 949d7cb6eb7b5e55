#pragma once
#include "net/http.h"

namespace trainyard::api::mlflow::internal {

/// {"error_code", "message"} with the status that clients expect: they branch on the name, and retry 429 and 5xx for minutes.
net::Response error_response(const Error& error);

/// The router's own refusals: an unknown path is ENDPOINT_NOT_FOUND, by which clients detect features that a server does not have.
net::Response refusal(int status, const Error& error, std::string_view request_id);

}  // namespace trainyard::api::mlflow::internal
