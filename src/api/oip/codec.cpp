#include "api/oip/codec.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/oip/classification.h"
#include "api/oip/internal/tensor_json.h"
#include "api/oip/internal/tensor_list.h"
#include "base/file.h"

namespace trainyard::api::oip {
namespace {

Error request_error(std::string message) { return invalid_argument("oip.request", std::move(message)); }

bool is_bool(const Document& value) { return value.kind() == Document::Kind::kBool; }

Result<bool> flag_or(const Document& parameters, std::string_view key, bool fallback) {
  const Document* value = parameters.find(key);
  if (value == nullptr) return fallback;
  if (!is_bool(*value)) return request_error(fmt::format("Parameter must be true or false: {}", key));
  return value->as_bool();
}

Result<std::int64_t> count_or(const Document& parameters, std::string_view key, std::int64_t fallback) {
  const Document* value = parameters.find(key);
  if (value == nullptr) return fallback;
  if (value->kind() != Document::Kind::kInt || value->as_int().value_or(-1) < 0) {
    return request_error(fmt::format("Parameter must be a whole number of at least 0: {}", key));
  }
  return value->as_int();
}

Result<void> check_parameters(const Document& parameters) {
  if (parameters.is_null()) return {};
  if (!parameters.is_object()) return request_error("'parameters' must be a JSON object");
  for (const auto& [key, value] : parameters.members()) {
    if (!value.is_string() && !value.is_number() && !is_bool(value)) {
      return request_error(fmt::format("Parameter must be a string, a number or a bool: {}", key));
    }
  }
  return {};
}

bool has_output(const serve::Signature& signature, std::string_view name) {
  return std::any_of(signature.outputs.begin(), signature.outputs.end(),
                     [name](const serve::TensorSpec& spec) { return spec.name == name; });
}

std::vector<RequestedOutput> all_outputs(const serve::Signature& signature, bool binary) {
  std::vector<RequestedOutput> outputs;
  for (const serve::TensorSpec& spec : signature.outputs) outputs.push_back({spec.name, binary, 0});
  return outputs;
}

Result<RequestedOutput> decode_output(const Document& item, bool binary) {
  if (!item["name"].is_string()) return request_error("Requested output has no string 'name'");
  TRY(check_parameters(item["parameters"]));
  RequestedOutput output{item["name"].as_string().value_or(""), binary, 0};
  if (item["parameters"].find("shared_memory_region") != nullptr) {
    return Error{
        Category::kUnimplemented, "oip.shared_memory", fmt::format("Shared memory is not supported: output {}", output.name), {}, {}};
  }
  ASSIGN_OR_RETURN(output.binary, flag_or(item["parameters"], "binary_data", binary));
  ASSIGN_OR_RETURN(const std::int64_t classes, count_or(item["parameters"], "classification", 0));
  output.classes = static_cast<std::size_t>(classes);
  return output;
}

Result<std::vector<RequestedOutput>> decode_outputs(const Document& items, const serve::Signature& signature, bool binary) {
  if (!items.is_null() && !items.is_array()) return request_error("'outputs' must be an array");
  if (items.items().empty()) return all_outputs(signature, binary);
  std::vector<RequestedOutput> outputs;
  for (const Document& item : items.items()) {
    ASSIGN_OR_RETURN(RequestedOutput output, decode_output(item, binary));
    if (!has_output(signature, output.name)) return request_error(fmt::format("The model has no output of this name: {}", output.name));
    for (const RequestedOutput& earlier : outputs) {
      if (earlier.name == output.name) return request_error(fmt::format("Output is asked for twice: {}", output.name));
    }
    outputs.push_back(std::move(output));
  }
  return outputs;
}

/// The whole body is the content of the only input; a free first dimension is found from its length, other free ones cannot be.
Result<InferRequest> decode_raw_request(std::string_view body, const serve::Signature& signature) {
  if (signature.inputs.size() != 1) return request_error("A raw body needs a model with exactly one input");
  const serve::TensorSpec& spec = signature.inputs.front();
  Tensor tensor{spec.type, spec.shape, {}};
  if (spec.type == DataType::kBytes) {
    std::replace(tensor.shape.begin(), tensor.shape.end(), std::int64_t{-1}, std::int64_t{1});
    append_bytes_element(body, tensor.bytes);
  } else {
    const std::span<const std::byte> content = as_bytes(body);
    tensor.bytes.assign(content.begin(), content.end());
    if (!tensor.shape.empty() && tensor.shape.front() == -1) {
      const Shape rest(tensor.shape.begin() + 1, tensor.shape.end());
      ASSIGN_OR_RETURN(const std::size_t elements, element_count(rest));
      const std::size_t row_bytes = elements * element_size(spec.type);
      tensor.shape.front() = row_bytes == 0 ? 0 : static_cast<std::int64_t>(body.size() / row_bytes);
    }
  }
  TRY(check_tensor(tensor));
  InferRequest request;
  request.inputs.push_back({spec.name, std::move(tensor)});
  request.outputs = all_outputs(signature, true);
  return request;
}

void append_member(std::string_view key, const Document& value, std::string& out) {
  out.append(to_json(Document(key))).append(":").append(to_json(value)).append(",");
}

void append_tensor_head(std::string_view name, const Tensor& tensor, std::string& out) {
  out.append("{");
  append_member("name", name, out);
  append_member("datatype", name_of(tensor.type), out);
  out.append("\"shape\":").append(text_of(tensor.shape)).append(",");
}

/// Appends one tensor to the JSON and, when it is to be binary, its content to `binary`.
Result<void> append_tensor(std::string_view name, const Tensor& tensor, bool as_binary, std::string& json, std::string& binary) {
  append_tensor_head(name, tensor, json);
  if (as_binary) {
    json.append(fmt::format("\"parameters\":{{\"binary_data_size\":{}}}}}", tensor.bytes.size()));
    binary.append(as_text(tensor.bytes));
    return {};
  }
  json.append("\"data\":");
  if (Result<void> written = internal::append_json_data(tensor, json); !written.ok()) {
    Error error = std::move(written).error();
    error.message = fmt::format("{}: {}", error.message, name);
    return error;
  }
  json.append("}");
  return {};
}

void set_body_headers(std::size_t json_size, bool has_binary, net::Headers& headers) {
  headers.set("Content-Type", has_binary ? "application/octet-stream" : "application/json");
  if (has_binary) headers.set(kHeaderLengthName, std::to_string(json_size));
}

}  // namespace

Result<InferRequest> decode_infer_request(std::string_view body, std::optional<std::string_view> header_length,
                                          const serve::Signature& signature) {
  ASSIGN_OR_RETURN(const internal::Body parts, internal::cut_body(body, header_length));
  if (header_length && parts.json.empty()) return decode_raw_request(body, signature);
  ASSIGN_OR_RETURN(internal::TensorMessage message, internal::read_tensor_message(parts, "inputs"));

  InferRequest request;
  request.inputs = std::move(message.tensors);
  const Document& id = message.members["id"];
  if (!id.is_null() && !id.is_string()) return request_error("'id' must be a string");
  request.id = id.as_string().value_or("");
  const Document& parameters = message.members["parameters"];
  TRY(check_parameters(parameters));
  ASSIGN_OR_RETURN(const std::int64_t timeout_us, count_or(parameters, "timeout", 0));
  if (timeout_us > 0) request.time_limit = Duration(timeout_us);
  ASSIGN_OR_RETURN(const bool binary, flag_or(parameters, "binary_data_output", false));
  ASSIGN_OR_RETURN(request.outputs, decode_outputs(message.members["outputs"], signature, binary));
  return request;
}

Result<net::Response> encode_infer_response(const AnswerHead& head, const serve::Signature& signature, const std::vector<Tensor>& outputs,
                                            const std::vector<RequestedOutput>& requested) {
  std::string json = "{";
  append_member("model_name", head.model, json);
  append_member("model_version", head.version, json);
  if (!head.id.empty()) append_member("id", head.id, json);
  json.append("\"outputs\":[");
  std::string binary;
  bool has_binary = false;
  for (std::size_t i = 0; i < requested.size(); ++i) {
    const RequestedOutput& wanted = requested[i];
    const auto spec = std::find_if(signature.outputs.begin(), signature.outputs.end(),
                                   [&wanted](const serve::TensorSpec& candidate) { return candidate.name == wanted.name; });
    CHECK(spec != signature.outputs.end(), "requested outputs were checked when they were decoded");
    const Tensor& output = outputs.at(static_cast<std::size_t>(spec - signature.outputs.begin()));
    if (i != 0) json.append(",");
    if (wanted.classes == 0) {
      TRY(append_tensor(wanted.name, output, wanted.binary, json, binary));
    } else {
      ASSIGN_OR_RETURN(const Tensor top, classify(output, wanted.classes, signature.batchable()));
      TRY(append_tensor(wanted.name, top, wanted.binary, json, binary));
    }
    has_binary = has_binary || wanted.binary;
  }
  json.append("]}");
  net::Response response;
  set_body_headers(json.size(), has_binary, response.headers);
  response.body = std::move(json) + binary;
  return response;
}

net::Response error_response(const Error& error) { return error_response(net::http_status_of(error.category), error); }

net::Response error_response(int status, const Error& error) {
  net::Response response = net::json_response(status, Document::object({{"error", error.message}}));
  if (status == 429 || status == 503) response.headers.add("Retry-After", "1");
  if (status == 401) response.headers.add("WWW-Authenticate", "Bearer");
  return response;
}

Result<EncodedRequest> encode_infer_request(const std::vector<serve::NamedTensor>& inputs, bool binary) {
  EncodedRequest request;
  std::string json = "{";
  if (binary) json.append("\"parameters\":{\"binary_data_output\":true},");
  json.append("\"inputs\":[");
  std::string content;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (i != 0) json.append(",");
    TRY(append_tensor(inputs[i].name, inputs[i].tensor, binary, json, content));
  }
  json.append("]}");
  set_body_headers(json.size(), binary, request.headers);
  request.body = std::move(json) + content;
  return request;
}

Result<std::vector<serve::NamedTensor>> decode_infer_response(const net::Response& response) {
  const std::optional<std::string_view> header_length = response.headers.get(kHeaderLengthName);
  if (response.status != 200) {
    const Result<Document> parsed = parse_json(response.body);
    const std::string text = parsed.ok() ? (*parsed)["error"].as_string().value_or(response.body) : response.body;
    return internal_error("oip.server_error",
                          fmt::format("Model server answered with status {}: {}", response.status, text.substr(0, 500)));
  }
  ASSIGN_OR_RETURN(const internal::Body parts, internal::cut_body(response.body, header_length));
  Result<internal::TensorMessage> message = internal::read_tensor_message(parts, "outputs");
  if (!message.ok()) return invalid_argument("oip.response", "Answer of the model server cannot be read: " + message.error().message);
  return std::move(message->tensors);
}

}  // namespace trainyard::api::oip
