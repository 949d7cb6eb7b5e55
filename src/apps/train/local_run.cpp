#include "apps/train/local_run.h"

#include <cstdlib>
#include <filesystem>

#include "base/document.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

Document file_entry(const std::string& path, const char* role) {
  Document file;
  file.set("uri", "ty://local/" + std::string(role));
  file.set("path", path);
  file.set("role", role);
  return file;
}

}  // namespace

Result<void> prepare_local_run(const std::vector<std::string>& words) {
  if (words.size() < 3 || words.size() > 5) {
    return invalid_argument("usage", "local takes CONFIG WORKDIR TRAIN_PACK [VALIDATION_PACK [TEST_PACK]]; see --help");
  }
  ASSIGN_OR_RETURN(const std::string config_text, read_file(words[0]));
  ASSIGN_OR_RETURN(const Document config, parse_json(config_text));
  const std::string workdir = std::filesystem::absolute(words[1]).string();
  TRY(make_directories(workdir));

  const char* const roles[] = {"pack:train", "pack:validation", "pack:test"};
  Document files = Document::array();
  for (std::size_t i = 2; i < words.size(); ++i) files.push(file_entry(words[i], roles[i - 2]));
  Document dataset;
  dataset.set("name", "local");
  dataset.set("files", std::move(files));
  Document inputs;
  inputs.set("data", std::move(dataset));
  Document spec;
  spec.set("job_id", "1");
  spec.set("kind", "train");
  spec.set("config", config);
  spec.set("object_root", workdir + "/objects");
  spec.set("inputs", std::move(inputs));
  TRY(write_file_atomically(workdir + "/spec.json", to_pretty_json(spec)));

  ::setenv("TRAINYARD_SPEC", (workdir + "/spec.json").c_str(), 0);
  ::setenv("TRAINYARD_WORKDIR", workdir.c_str(), 0);
  ::setenv("TRAINYARD_CHECKPOINT_URI", ("file://" + workdir + "/checkpoints").c_str(), 0);
  return {};
}

}  // namespace trainyard::apps
