#pragma once
#include <map>
#include <string>

namespace trainyard::agent {

/// The variables by which the ranks of a node know whom to trust when the server speaks TLS: TRAINYARD_CA_FILE, and
/// MLFLOW_TRACKING_SERVER_CERT_PATH for MLflow clients. None when `ca_file` (PEM, made absolute) is empty.
std::map<std::string, std::string> trust_variables(const std::string& ca_file);

}  // namespace trainyard::agent
