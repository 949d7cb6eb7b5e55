#include <fmt/core.h>

#include <string>
#include <string_view>

#include "adapters/arrow_table/arrow_table_io.h"
#include "apps/etl/etl_job.h"
#include "runner/program.h"

namespace {

using namespace trainyard;

constexpr std::string_view kProgram = "trainyard-etl";

constexpr std::string_view kUsage = R"(Ingest and curation of datasets: runs one job of kind ingest or curate.

  trainyard-etl [ingest|curate]        runs the job that TRAINYARD_SPEC describes; the word must agree with its kind
  trainyard-etl --version | --help

Without TRAINYARD_API_URL no server is called: published versions are files in $TRAINYARD_WORKDIR/versions.
)";

Result<runner::ExitCode> run_job(runner::JobContext& context, const std::string& word) {
  if (!word.empty() && word != context.spec.kind) {
    return invalid_argument("spec.kind", fmt::format("The spec is for a job of kind {}, not {}.", context.spec.kind, word), "/kind");
  }
  const std::unique_ptr<data::TableIo> tables = adapters::arrow_table::make_arrow_table_io();
  return apps::run_etl_job(context, *tables);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "--help" || word == "-h") {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (word == "--version") {
    fmt::print("{} {}\n", kProgram, TRAINYARD_VERSION);
    return 0;
  }
  return runner::run_program(kProgram, [&word](runner::JobContext& context) { return run_job(context, word); });
}
