#include <fmt/core.h>

#include <string>
#include <string_view>
#include <vector>

#include "adapters/openvino/openvino_loader.h"
#include "apps/serve/check_onnx.h"
#include "apps/serve/model_file.h"
#include "apps/serve/predict_job.h"
#include "apps/serve/serve_job.h"
#include "runner/program.h"

namespace {

using namespace trainyard;

constexpr std::string_view kProgram = "trainyard-serve";

constexpr std::string_view kUsage = R"(Model server and batch prediction of Trainyard.

  trainyard-serve [serve|predict]          runs the job that TRAINYARD_SPEC describes; without a word its kind decides
  trainyard-serve check-onnx MODEL INPUTS EXPECTED
                                           runs a model on raw 32-bit floats and prints the largest difference to the expected outputs
  trainyard-serve --version | --help
)";

Result<runner::ExitCode> run_job(runner::JobContext& context, const std::string& word) {
  const std::string& kind = word.empty() ? context.spec.kind : word;
  const std::unique_ptr<serve::ModelLoader> loader = adapters::openvino::make_openvino_loader();
  if (kind == "serve") return apps::run_serve_job(context, *loader, TRAINYARD_VERSION);
  if (kind == "predict") return apps::run_predict_job(context);
  return invalid_argument("spec.kind", "This program runs jobs of kind serve and predict, not: " + kind, "/kind");
}

int check(const std::vector<std::string>& words) {
  if (words.size() != 4) {
    return runner::report_failure(kProgram, invalid_argument("usage", "check-onnx takes MODEL INPUTS EXPECTED; see --help"), nullptr);
  }
  const std::unique_ptr<serve::ModelLoader> loader = adapters::openvino::make_openvino_loader();
  const Result<Document> figures = apps::check_onnx(*loader, {words[1], words[2], words[3]});
  if (!figures.ok()) return runner::report_failure(kProgram, apps::model_failure(figures.error()), nullptr);
  fmt::print("{}\n", to_json(*figures));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string word = words.empty() ? std::string() : words.front();
  if (word == "--help" || word == "-h") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (word == "--version") {
    fmt::print("{} {}\n", kProgram, TRAINYARD_VERSION);
    return 0;
  }
  if (word == "check-onnx") return check(words);
  return runner::run_program(kProgram, [&word](runner::JobContext& context) { return run_job(context, word); });
}
