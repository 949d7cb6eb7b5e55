#include "apps/serve_configs.h"

namespace trainyard::apps {

void ServeConfig::describe(FieldVisitor& fields) {
  fields.field("model_name", model_name, "Name under which the model is served.");
  fields.required();
  fields.field("model_version", model_version, {1, 1e15}, "Version under which the model is served.");
  fields.field("model_uri", model_uri, "The ONNX file: ty://bucket/key, or an absolute path on this host.");
  fields.required();
  fields.field("host", host, "Address to listen on.");
  fields.field("port", port, {0, 65535}, "Port to listen on; 0 takes any free one.");
  fields.field("allowed_hosts", allowed_hosts, "Names besides loopback names and host under which clients may call.");
  fields.field("tls_cert", tls_cert, "Certificate as PEM file: TLS 1.3 only.");
  fields.field("tls_key", tls_key, "Private key of the certificate, as PEM file.");
  fields.field("insecure_public", insecure_public, "Whether it may listen without TLS where others can reach it.");
  fields.field("token", token, "Bearer token that requests must carry; empty lets everyone in. Health is always open.");
  fields.field("instances", instances, {1, 64}, "Copies of the model that run at the same time, one thread each.");
  fields.field("max_batch", max_batch, {1, 4096}, "Most rows of one model run.");
  fields.field("queue_max", queue_max, {1, 1e6}, "Most requests that wait or run; one more is refused.");
  fields.field("time_limit", time_limit, "How long a request may wait before it is dropped.");
  fields.field("drain", drain, "How long running requests get when the server is stopped.");
}

void PredictConfig::describe(FieldVisitor& fields) {
  fields.field("url", url, "The model server: http://host:port.");
  fields.required();
  fields.field("model_name", model_name, "Name of the model to ask.");
  fields.required();
  fields.field("token", token, "Bearer token of the endpoint, if it wants one.");
  fields.field("limit", limit, {1, 1e9}, "Most images to send, from the first on.");
  fields.field("batch_size", batch_size, {1, 4096}, "Images in one request.");
  fields.field("connections", connections, {1, 256}, "Connections that send at the same time.");
  fields.choice("encoding", encoding, {"binary", "json"}, "How tensors are written.");
  fields.field("time_limit", time_limit, "How long one request may take.");
}

}  // namespace trainyard::apps
