#include "agent/trust.h"

#include <filesystem>

namespace trainyard::agent {

std::map<std::string, std::string> trust_variables(const std::string& ca_file) {
  if (ca_file.empty()) return {};
  const std::string path = std::filesystem::absolute(ca_file).lexically_normal().string();
  return {{"TRAINYARD_CA_FILE", path}, {"MLFLOW_TRACKING_SERVER_CERT_PATH", path}};
}

}  // namespace trainyard::agent
