#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "net/http.h"
#include "serve/servable.h"

namespace trainyard::api::oip {

/// Says how many bytes of a body are JSON; the tensors with binary content follow it.
inline constexpr std::string_view kHeaderLengthName = "Inference-Header-Content-Length";

/// An output the caller wants.
struct RequestedOutput {
  std::string name;
  bool binary = false;
  std::size_t classes = 0;  ///< Not 0: the top values as texts instead of the tensor.
};

/// A decoded inference request of the Open Inference Protocol v2, REST with binary tensor data.
struct InferRequest {
  std::string id;                      ///< Echoed; empty means absent.
  std::optional<Duration> time_limit;  ///< From the parameter `timeout`.
  std::vector<serve::NamedTensor> inputs;
  std::vector<RequestedOutput> outputs;  ///< In the order of the answer; never empty.
};

/// Decodes a request for a model with this signature. `header_length` is the text of Inference-Header-Content-Length, if it was sent; "0"
/// makes the whole body the content of the only input. Inputs are checked against their own shape, not yet against the signature; outputs
/// that are not asked for by name are all outputs of the signature.
/// Errors: INVALID_ARGUMENT "oip.request", "oip.data", "tensor.*"; UNIMPLEMENTED "oip.shared_memory".
Result<InferRequest> decode_infer_request(std::string_view body, std::optional<std::string_view> header_length,
                                          const serve::Signature& signature);

/// What an answer is made of besides its tensors.
struct AnswerHead {
  std::string model;
  std::string version;
  std::string id;
};

/// Encodes the outputs of a model, given in signature order, as `requested` asks. With no binary output the answer is plain JSON.
/// Errors: INVALID_ARGUMENT "oip.binary_only" or "oip.classification".
Result<net::Response> encode_infer_response(const AnswerHead& head, const serve::Signature& signature, const std::vector<Tensor>& outputs,
                                            const std::vector<RequestedOutput>& requested);

/// {"error": text}, the only form clients of this protocol understand. 429 and 503 carry Retry-After.
net::Response error_response(const Error& error);
net::Response error_response(int status, const Error& error);

/// The client's side: a request whose inputs and outputs are binary, or plain JSON.
struct EncodedRequest {
  net::Headers headers;
  std::string body;
};
/// Errors: INVALID_ARGUMENT "oip.binary_only".
Result<EncodedRequest> encode_infer_request(const std::vector<serve::NamedTensor>& inputs, bool binary);
/// Errors: INTERNAL "oip.server_error" with the status and the text of the server, INVALID_ARGUMENT "oip.response".
Result<std::vector<serve::NamedTensor>> decode_infer_response(const net::Response& response);

}  // namespace trainyard::api::oip
