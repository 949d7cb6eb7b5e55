#include "api/platform/training_request.h"

#include "base/describe.h"

namespace trainyard::api {
namespace {

struct ModelConfig {
  std::string architecture = "cnn";
  std::int64_t num_classes = 10;
  std::int64_t width = 32;

  void describe(FieldVisitor& fields) {
    fields.choice("architecture", architecture, {"mlp", "cnn", "resnet18"}, "The network.");
    fields.field("num_classes", num_classes, {.min = 2, .max = 100'000}, "Size of the output.");
    fields.field("width", width, {.min = 1, .max = 65'536}, "Channels of the first layer.");
  }
};

struct TrainingConfig {
  std::int64_t epochs = 1;
  std::int64_t batch_size = 64;
  double learning_rate = 0.05;
  std::int64_t world_size = 1;

  void describe(FieldVisitor& fields) {
    fields.field("epochs", epochs, {.min = 1, .max = 100'000}, "Passes over the training split.");
    fields.field("batch_size", batch_size, {.min = 1, .max = 1'000'000}, "Samples of one step over all ranks.");
    fields.field("learning_rate", learning_rate, {.min = 1e-12, .max = 1e6}, "Step size of the optimizer.");
    fields.field("world_size", world_size, {.min = 1, .max = 4096}, "Ranks that train together.");
  }
};

struct TrainingRequest {
  static constexpr std::string_view kSchemaName = "TrainingRequest";
  ModelConfig model_config;
  TrainingConfig training_config;
  std::string dataset = "fashion";

  void describe(FieldVisitor& fields) {
    fields.field("model_config", model_config, "What to train.");
    fields.field("training_config", training_config, "How to train it.");
    fields.field("dataset", dataset, "Name of a curated dataset in the catalog.");
  }
};

}  // namespace

bool is_training_request(const Document& body) {
  if (!body.is_object() || body.find("kind") != nullptr || body.find("command") != nullptr) return false;
  return body.find("model_config") != nullptr || body.find("training_config") != nullptr || body.find("dataset") != nullptr;
}

Result<Document> training_job_spec(const Document& body) {
  ASSIGN_OR_RETURN(const TrainingRequest request, decode<TrainingRequest>(body, {.numbers_as_text = false}));

  Document model = Document::object();
  model.set("name", request.model_config.architecture);
  model.set("num_classes", request.model_config.num_classes);
  model.set("width", request.model_config.width);
  Document config = Document::object();
  config.set("model", std::move(model));
  config.set("epochs", request.training_config.epochs);
  config.set("batch_size", request.training_config.batch_size);
  config.set("learning_rate", request.training_config.learning_rate);

  Document resources = Document::object();
  resources.set("cpu", "900m");
  Document inputs = Document::object();
  inputs.set("data", request.dataset);
  Document spec = Document::object();
  spec.set("kind", "train");
  spec.set("name", "train-" + request.model_config.architecture);
  spec.set("tasks", request.training_config.world_size);
  spec.set("resources", std::move(resources));
  spec.set("inputs", std::move(inputs));
  spec.set("config", std::move(config));
  return spec;
}

Document training_request_schema(SchemaBook& book, SchemaStyle style) { return book.schema<TrainingRequest>(style); }

}  // namespace trainyard::api
