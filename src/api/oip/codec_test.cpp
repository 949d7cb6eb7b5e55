#include "api/oip/codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace trainyard::api::oip {
namespace {

serve::Signature one_input(DataType type, Shape shape) {
  return {"fake", {{"x", type, std::move(shape)}}, {{"y", DataType::kFp32, {-1, 2}}, {"z", DataType::kInt64, {-1}}}};
}

const serve::Signature kFloats = one_input(DataType::kFp32, {-1, 2});

std::string body_of(std::string_view datatype, std::string_view shape, std::string_view data) {
  return fmt::format(R"({{"inputs":[{{"name":"x","datatype":"{}","shape":{},"data":{}}}]}})", datatype, shape, data);
}

template <typename T>
std::vector<T> elements(const Tensor& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

template <typename T>
std::vector<T> decoded(std::string_view datatype, std::string_view shape, std::string_view data) {
  const auto request = decode_infer_request(body_of(datatype, shape, data), std::nullopt, kFloats);
  EXPECT_TRUE(request.ok()) << request.error().describe();
  return request.ok() ? elements<T>(request->inputs.at(0).tensor) : std::vector<T>{};
}

std::string refusal(std::string_view body, std::optional<std::string_view> header_length = std::nullopt) {
  const auto request = decode_infer_request(body, header_length, kFloats);
  return request.ok() ? "accepted" : request.error().message;
}

std::string data_refusal(std::string_view datatype, std::string_view shape, std::string_view data) {
  return refusal(body_of(datatype, shape, data));
}

TEST(InferRequest, every_json_datatype_is_read) {
  EXPECT_EQ(decoded<std::uint8_t>("BOOL", "[2]", "[true,false]"), (std::vector<std::uint8_t>{1, 0}));
  EXPECT_EQ(decoded<std::uint8_t>("UINT8", "[2]", "[0,255]"), (std::vector<std::uint8_t>{0, 255}));
  EXPECT_EQ(decoded<std::uint16_t>("UINT16", "[1]", "[65535]"), (std::vector<std::uint16_t>{65535}));
  EXPECT_EQ(decoded<std::uint32_t>("UINT32", "[1]", "[4294967295]"), (std::vector<std::uint32_t>{4294967295U}));
  EXPECT_EQ(decoded<std::uint64_t>("UINT64", "[1]", "[18446744073709551615]"), (std::vector<std::uint64_t>{18446744073709551615ULL}));
  EXPECT_EQ(decoded<std::int8_t>("INT8", "[1]", "[-128]"), (std::vector<std::int8_t>{-128}));
  EXPECT_EQ(decoded<std::int16_t>("INT16", "[1]", "[-32768]"), (std::vector<std::int16_t>{-32768}));
  EXPECT_EQ(decoded<std::int32_t>("INT32", "[1]", "[-7]"), (std::vector<std::int32_t>{-7}));
  EXPECT_EQ(decoded<std::int64_t>("INT64", "[1]", "[9007199254740993]"), (std::vector<std::int64_t>{9007199254740993LL}));
  EXPECT_EQ(decoded<std::uint16_t>("FP16", "[2]", "[1,-2.0]"), (std::vector<std::uint16_t>{0x3c00, 0xc000}));
  EXPECT_EQ(decoded<float>("FP32", "[3]", "[1, 0.1,-2.5e3]"), (std::vector<float>{1, 0.1F, -2500}));
  EXPECT_EQ(decoded<double>("FP64", "[1]", "[0.1]"), (std::vector<double>{0.1}));
}

TEST(InferRequest, texts_are_read_with_their_escapes) {
  const auto request = decode_infer_request(body_of("BYTES", "[3]", R"(["a\"b","","\u00e9]"])"), std::nullopt, kFloats);
  ASSERT_TRUE(request.ok()) << request.error().describe();
  EXPECT_EQ(bytes_elements(request->inputs.at(0).tensor.bytes).value(), (std::vector<std::string_view>{"a\"b", "", "\xc3\xa9]"}));
}

TEST(InferRequest, numbers_that_are_not_finite_are_read_bare_and_quoted) {
  const std::vector<float> values = decoded<float>("FP32", "[6]", R"([NaN,"NaN",Infinity,"Infinity",-Infinity,"-Infinity"])");
  ASSERT_EQ(values.size(), 6u);
  EXPECT_TRUE(std::isnan(values[0]) && std::isnan(values[1]));
  EXPECT_TRUE(std::isinf(values[2]) && values[2] > 0 && values[3] == values[2]);
  EXPECT_TRUE(std::isinf(values[4]) && values[4] < 0 && values[5] == values[4]);
}

TEST(InferRequest, tiny_numbers_become_zero_and_huge_ones_are_refused) {
  EXPECT_EQ(decoded<float>("FP32", "[1]", "[1e-60]"), (std::vector<float>{0}));
  EXPECT_EQ(data_refusal("FP32", "[1]", "[1e60]"), "Value 1e60 is no FP32: tensor x");
}

TEST(InferRequest, flat_and_nested_data_are_the_same) {
  const std::vector<float> flat{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(decoded<float>("FP32", "[1,2,3]", "[1,2,3,4,5,6]"), flat);
  EXPECT_EQ(decoded<float>("FP32", "[1,2,3]", "[ [ [1,2,3] , [4,5,6] ] ]"), flat);
}

TEST(InferRequest, dimensions_of_length_zero_are_legal) {
  EXPECT_TRUE(decoded<float>("FP32", "[0,2]", "[]").empty());
  EXPECT_TRUE(decoded<float>("FP32", "[2,0]", "[[],[]]").empty());
}

TEST(InferRequest, data_that_does_not_fit_its_shape_is_refused) {
  EXPECT_EQ(data_refusal("FP32", "[1,2]", "[1]"), "Shape [1,2] needs 2 elements, the data has 1: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[2,3]", "[[1,2],[3,4],[5,6]]"), "Data is nested as [3,2], its shape is [2,3]: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[3]", "[[1,2],[3]]"), "Data is ragged: nested arrays differ in length: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[3]", "[[1,2],3]"), "Data is ragged: elements at different depths: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[-1]", "[1]"), "Shape has a negative dimension: [-1]: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[1099511627777]", "[1]"), "Shape has more than 2^40 elements: [1099511627777]: tensor x");
}

TEST(InferRequest, values_of_another_type_are_refused) {
  EXPECT_EQ(data_refusal("UINT8", "[1]", "[256]"), "Value 256 is no UINT8: tensor x");
  EXPECT_EQ(data_refusal("UINT8", "[1]", "[-1]"), "Value -1 is no UINT8: tensor x");
  EXPECT_EQ(data_refusal("INT32", "[1]", "[1.5]"), "Value 1.5 is no INT32: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[1]", "[true]"), "Value true is no FP32: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[1]", R"(["1"])"), "Value \"1\" is no FP32: tensor x");
  EXPECT_EQ(data_refusal("INT32", "[1]", "[01]"), "Value 01 is no INT32: tensor x");
  EXPECT_EQ(data_refusal("BYTES", "[1]", "[1]"), "Value 1 is no BYTES: tensor x");
  EXPECT_EQ(data_refusal("BF16", "[1]", "[1]"), "BF16 values can only be sent as binary data: tensor x");
  EXPECT_EQ(data_refusal("FP31", "[1]", "[1]"), "Tensor has an unknown datatype 'FP31': x");
}

TEST(InferRequest, malformed_bodies_are_refused) {
  EXPECT_EQ(refusal("{}"), "Body has no array 'inputs'");
  EXPECT_EQ(refusal("[]"), "Body must be a JSON object");
  EXPECT_NE(refusal("").find("not well-formed JSON"), std::string::npos);
  EXPECT_NE(refusal(R"({"inputs":[{"name":"x","data":[1,2)").find("not well-formed JSON"), std::string::npos);
  EXPECT_EQ(refusal(R"({"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]})"), "Tensor has no string 'name'");
  EXPECT_EQ(refusal(R"({"inputs":[{"name":"x","datatype":"FP32","data":[1]}]})"), "Tensor has no array 'shape': x");
  EXPECT_EQ(refusal(R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]})"),
            "Tensor needs either 'data' or the parameter 'binary_data_size': x");
  EXPECT_EQ(data_refusal("FP32", "[1]", "1"), "Data must be an array: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[1]", "[1}"), "Data is not a well-formed JSON array: tensor x");
  EXPECT_EQ(data_refusal("FP32", "[2]", "[1,,2]"), "Value  is no FP32: tensor x");
  EXPECT_NE(data_refusal("FP32", "[1]", "[1] [2]").find("not well-formed JSON"), std::string::npos);
}

TEST(InferRequest, member_named_with_an_escape_is_still_tensor_data) {
  const auto request =
      decode_infer_request(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"d\u0061ta":[7]}]})", std::nullopt, kFloats);
  ASSERT_TRUE(request.ok()) << request.error().describe();
  EXPECT_EQ(elements<float>(request->inputs.at(0).tensor), (std::vector<float>{7}));
}

TEST(InferRequest, members_around_the_data_are_read) {
  const auto request =
      decode_infer_request(R"({"data":1,"id":"r1","unknown":{"inputs":[]},"parameters":{"timeout":2500,"other":"x"},)"
                           R"("inputs":[{"data":[1,2],"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"p":true}}],)"
                           R"("outputs":[{"name":"z","parameters":{"binary_data":true}},{"name":"y","parameters":{"classification":1}}]})",
                           std::nullopt, kFloats);
  ASSERT_TRUE(request.ok()) << request.error().describe();
  EXPECT_EQ(request->id, "r1");
  EXPECT_EQ(request->time_limit, Duration(2500));
  ASSERT_EQ(request->outputs.size(), 2u);
  EXPECT_EQ(request->outputs[0].name, "z");
  EXPECT_TRUE(request->outputs[0].binary);
  EXPECT_EQ(request->outputs[1].classes, 1u);
}

TEST(InferRequest, outputs_that_are_not_named_are_all_of_them) {
  for (const std::string_view outputs : {"", R"(,"outputs":[])", R"(,"outputs":null)"}) {
    const std::string body = fmt::format(R"({{"inputs":[{{"name":"x","datatype":"FP32","shape":[1],"data":[1]}}]{}}})", outputs);
    const auto request = decode_infer_request(body, std::nullopt, kFloats);
    ASSERT_TRUE(request.ok()) << request.error().describe();
    EXPECT_EQ(request->outputs.size(), 2u);
    EXPECT_FALSE(request->outputs[0].binary);
  }
}

TEST(InferRequest, bad_outputs_and_parameters_are_refused) {
  const auto with = [](std::string_view rest) {
    return refusal(fmt::format(R"({{"inputs":[{{"name":"x","datatype":"FP32","shape":[1],"data":[1]}}],{}}})", rest));
  };
  EXPECT_EQ(with(R"("outputs":[{"name":"q"}])"), "The model has no output of this name: q");
  EXPECT_EQ(with(R"("outputs":[{"name":"y"},{"name":"y"}])"), "Output is asked for twice: y");
  EXPECT_EQ(with(R"("parameters":{"a":[1]})"), "Parameter must be a string, a number or a bool: a");
  EXPECT_EQ(with(R"("parameters":{"timeout":-1})"), "Parameter must be a whole number of at least 0: timeout");
  EXPECT_EQ(with(R"("parameters":{"binary_data_output":1})"), "Parameter must be true or false: binary_data_output");
  EXPECT_EQ(with(R"("id":7)"), "'id' must be a string");
  EXPECT_EQ(with(R"("outputs":[{"name":"y","parameters":{"shared_memory_region":"r"}}])"), "Shared memory is not supported: output y");
}

TEST(BinaryRequest, binary_and_json_inputs_are_mixed_in_input_order) {
  const std::string json = R"({"inputs":[{"name":"a","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}},)"
                           R"({"name":"b","datatype":"INT8","shape":[1],"data":[5]},)"
                           R"({"name":"c","datatype":"BF16","shape":[1],"parameters":{"binary_data_size":2}},)"
                           R"({"name":"d","datatype":"FP32","shape":[0],"parameters":{"binary_data_size":0}}]})";
  const std::vector<float> floats{1.5F, -2};
  std::string body = json;
  body.append(static_cast<const char*>(static_cast<const void*>(floats.data())), 8).append("\x80\x3f");
  const auto request = decode_infer_request(body, std::to_string(json.size()), kFloats);
  ASSERT_TRUE(request.ok()) << request.error().describe();
  EXPECT_EQ(elements<float>(request->inputs.at(0).tensor), floats);
  EXPECT_EQ(elements<std::int8_t>(request->inputs.at(1).tensor), (std::vector<std::int8_t>{5}));
  EXPECT_EQ(elements<std::uint16_t>(request->inputs.at(2).tensor), (std::vector<std::uint16_t>{0x3f80}));
  EXPECT_TRUE(request->inputs.at(3).tensor.bytes.empty());
}

TEST(BinaryRequest, sizes_that_do_not_add_up_are_refused) {
  const std::string json = R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]})";
  const std::string length = std::to_string(json.size());
  EXPECT_EQ(refusal(json + "abcd", length), "accepted");
  EXPECT_EQ(refusal(json + "abc", length), "Binary data ends too early: 4 bytes announced, 3 left: tensor x");
  EXPECT_EQ(refusal(json + "abcde", length), "Body has 1 bytes of binary data that belong to no tensor");
  EXPECT_NE(refusal(json, "9999").find("Inference-Header-Content-Length must be at most"), std::string::npos);
  EXPECT_NE(refusal(json, "-1").find("Inference-Header-Content-Length"), std::string::npos);
  EXPECT_NE(refusal(json, "1x").find("Inference-Header-Content-Length"), std::string::npos);
  const std::string wrong = R"({"inputs":[{"name":"x","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":4}}]})";
  EXPECT_EQ(refusal(wrong + "abcd", std::to_string(wrong.size())), "FP32 tensor of shape [2] needs 8 bytes, its data has 4: tensor x");
}

TEST(BinaryRequest, raw_body_is_the_only_input) {
  const std::string body(16, '\0');
  const auto request = decode_infer_request(body, "0", kFloats);
  ASSERT_TRUE(request.ok()) << request.error().describe();
  EXPECT_EQ(request->inputs.at(0).tensor.shape, (Shape{2, 2}));
  EXPECT_TRUE(request->outputs.at(0).binary);
  EXPECT_NE(refusal("abc", "0"), "accepted");
  const auto text = decode_infer_request("hello", "0", one_input(DataType::kBytes, {-1}));
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(bytes_elements(text->inputs.at(0).tensor.bytes).value(), (std::vector<std::string_view>{"hello"}));
}

std::vector<Tensor> two_outputs() {
  const std::vector<float> scores{0.25F, 1};
  const std::vector<std::int64_t> ids{9007199254740993LL};
  return {make_tensor<float>(DataType::kFp32, {1, 2}, scores), make_tensor<std::int64_t>(DataType::kInt64, {1}, ids)};
}

TEST(InferResponse, json_answer_has_outputs_in_requested_order) {
  const auto response = encode_infer_response({"m", "3", "r1"}, kFloats, two_outputs(), {{"z"}, {"y"}});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(
      response->body,
      R"({"model_name":"m","model_version":"3","id":"r1","outputs":[{"name":"z","datatype":"INT64","shape":[1],"data":[9007199254740993]},)"
      R"({"name":"y","datatype":"FP32","shape":[1,2],"data":[0.25,1]}]})");
  EXPECT_EQ(response->headers.get("content-type"), "application/json");
  EXPECT_FALSE(response->headers.get(kHeaderLengthName).has_value());
}

TEST(InferResponse, binary_and_json_outputs_are_mixed) {
  const auto response = encode_infer_response({"m", "1", ""}, kFloats, two_outputs(), {{"y", true}, {"z", false}});
  ASSERT_TRUE(response.ok());
  const std::size_t length = std::stoul(std::string(response->headers.get(kHeaderLengthName).value()));
  EXPECT_EQ(response->body.size(), length + 8);
  EXPECT_EQ(response->headers.get("content-type"), "application/octet-stream");
  const auto tensors = decode_infer_response(*response);
  ASSERT_TRUE(tensors.ok()) << tensors.error().describe();
  EXPECT_EQ(tensors->at(0).tensor, two_outputs()[0]);
  EXPECT_EQ(tensors->at(1).tensor, two_outputs()[1]);
}

TEST(InferResponse, numbers_that_are_not_finite_are_quoted) {
  const std::vector<float> values{NAN, INFINITY, -INFINITY, 1e20F};
  const serve::Signature signature{"fake", {}, {{"y", DataType::kFp32, {4}}}};
  const auto response = encode_infer_response({"m", "1", ""}, signature, {make_tensor<float>(DataType::kFp32, {4}, values)}, {{"y"}});
  ASSERT_TRUE(response.ok());
  EXPECT_NE(response->body.find(R"(["NaN","Infinity","-Infinity",1e+20])"), std::string::npos);
}

TEST(InferResponse, text_that_is_not_utf8_must_be_asked_for_in_binary) {
  Tensor text{DataType::kBytes, {1}, {}};
  append_bytes_element("\xff", text.bytes);
  const serve::Signature signature{"fake", {}, {{"y", DataType::kBytes, {1}}}};
  EXPECT_EQ(encode_infer_response({"m", "1", ""}, signature, {text}, {{"y"}}).error().id, "oip.binary_only");
  EXPECT_TRUE(encode_infer_response({"m", "1", ""}, signature, {text}, {{"y", true}}).ok());
}

TEST(InferResponse, classification_gives_the_best_values_with_their_index) {
  const auto response = encode_infer_response({"m", "1", ""}, kFloats, two_outputs(), {{"y", false, 5}, {"z"}});
  ASSERT_TRUE(response.ok());
  EXPECT_NE(response->body.find(R"("datatype":"BYTES","shape":[1,2],"data":["1.000000:1","0.250000:0"])"), std::string::npos);
}

TEST(ErrorResponse, text_is_the_only_member_and_overload_says_when_to_retry) {
  const net::Response full = error_response({Category::kResourceExhausted, "serve.queue_full", "full", {}, {}});
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.body, R"({"error":"full"})");
  EXPECT_TRUE(full.headers.get("Retry-After").has_value());
  EXPECT_EQ(error_response(not_found("x", "y")).status, 404);
  EXPECT_EQ(error_response({Category::kDeadlineExceeded, "x", "y", {}, {}}).status, 504);
  EXPECT_EQ(error_response({Category::kUnimplemented, "x", "y", {}, {}}).status, 501);
}

TEST(Client, request_is_read_back_by_the_server) {
  const std::vector<float> values{1, 2};
  const std::vector<serve::NamedTensor> inputs{{"x", make_tensor<float>(DataType::kFp32, {1, 2}, values)}};
  for (const bool binary : {true, false}) {
    const auto encoded = encode_infer_request(inputs, binary);
    ASSERT_TRUE(encoded.ok());
    const auto request = decode_infer_request(encoded->body, encoded->headers.get(kHeaderLengthName), kFloats);
    ASSERT_TRUE(request.ok()) << request.error().describe();
    EXPECT_EQ(request->inputs.at(0).tensor, inputs[0].tensor);
    EXPECT_EQ(request->outputs.at(0).binary, binary);
  }
}

TEST(Client, server_error_comes_back_with_its_text) {
  const auto tensors = decode_infer_response(error_response(not_found("x", "Model is not served here: m")));
  EXPECT_EQ(tensors.error().message, "Model server answered with status 404: Model is not served here: m");
  EXPECT_EQ(decode_infer_response(net::Response{200, {}, "{"}).error().id, "oip.response");
}

}  // namespace
}  // namespace trainyard::api::oip
