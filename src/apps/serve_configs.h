#pragma once
#include <string>
#include <vector>

#include "base/describe.h"

namespace trainyard::apps {

/// The configuration of a job of kind "serve": one version of one model behind one port.
struct ServeConfig {
  std::string model_name;
  std::int64_t model_version = 1;
  std::string model_uri;  ///< "ty://bucket/key", or the path of a file of this host.
  std::string host = "127.0.0.1";
  std::int64_t port = 0;
  std::vector<std::string> allowed_hosts;
  std::string tls_cert;  ///< PEM file; with it the endpoint speaks TLS 1.3 only.
  std::string tls_key;   ///< PEM file.
  bool insecure_public = false;
  std::string token;
  std::int64_t instances = 1;
  std::int64_t max_batch = 32;
  std::int64_t queue_max = 1024;
  Duration time_limit{30'000'000};
  Duration drain{10'000'000};

  void describe(FieldVisitor& fields);
};

/// The configuration of a job of kind "predict": test images of a pack against a running model server.
struct PredictConfig {
  std::string url;
  std::string model_name;
  std::string token;
  std::int64_t limit = 1000;
  std::int64_t batch_size = 1;
  std::int64_t connections = 1;
  std::string encoding = "binary";
  Duration time_limit{30'000'000};

  void describe(FieldVisitor& fields);
};

}  // namespace trainyard::apps
