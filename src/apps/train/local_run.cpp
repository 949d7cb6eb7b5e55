#include "apps/train/local_run.h"

#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>

#include "adapters/localfs/local_object_store.h"
#include "base/document.h"
#include "base/file.h"
#include "data/synthetic.h"

namespace trainyard::apps {
namespace {

Document file_entry(const std::string& path, const char* role) {
  Document file;
  file.set("uri", "ty://local/" + std::string(role));
  file.set("path", path);
  file.set("role", role);
  return file;
}

/// The packs that were named, by their order.
Document named_packs(const std::vector<std::string>& words) {
  const char* const roles[] = {"pack:train", "pack:validation", "pack:test"};
  Document files = Document::array();
  for (std::size_t i = 2; i < words.size(); ++i) files.push(file_entry(words[i], roles[i - 2]));
  return files;
}

/// Packs of a made-up dataset below `workdir`. The same ones every time, so that a run that is started again goes on.
Result<Document> made_up_packs(const std::string& workdir) {
  ASSIGN_OR_RETURN(const std::unique_ptr<store::ObjectStore> objects, adapters::localfs::make_local_object_store(workdir + "/objects"));
  const std::string scratch = workdir + "/scratch";
  TRY(make_directories(scratch));
  ASSIGN_OR_RETURN(const data::VersionDraft draft, data::make_synthetic_dataset("synthetic", *objects, scratch));
  TRY(remove_tree(scratch));
  Document files = Document::array();
  for (const data::DatasetFile& file : draft.files) {
    ASSIGN_OR_RETURN(const store::ObjectName name, store::parse_object_uri(file.uri));
    ASSIGN_OR_RETURN(const std::string path, objects->local_path(name));
    files.push(file_entry(path, file.role.c_str()));
  }
  return files;
}

}  // namespace

Result<void> prepare_local_run(const std::vector<std::string>& words) {
  if (words.size() < 2 || words.size() > 5) {
    return invalid_argument("usage", "local takes CONFIG WORKDIR [TRAIN_PACK [VALIDATION_PACK [TEST_PACK]]]; see --help");
  }
  ASSIGN_OR_RETURN(const std::string config_text, read_file(words[0]));
  ASSIGN_OR_RETURN(const Document config, parse_json(config_text));
  const std::string workdir = std::filesystem::absolute(words[1]).string();
  TRY(make_directories(workdir));

  const bool made_up = words.size() == 2;
  if (made_up) fmt::print(stderr, "trainyard-train: no pack was named, so this trains on made-up data: the figures mean nothing\n");
  Document files = named_packs(words);
  if (made_up) {
    ASSIGN_OR_RETURN(files, made_up_packs(workdir));
  }
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
