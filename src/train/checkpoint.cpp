#include "train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/checksum.h"
#include "base/failpoint.h"
#include "base/file.h"

namespace trainyard::train {
namespace {

constexpr std::string_view kFormat = "trainyard-checkpoint";
constexpr std::int64_t kVersion = 1;
constexpr const char* kManifestName = "MANIFEST";
constexpr const char* kStateName = "state.json";
constexpr std::size_t kFileMax = std::size_t{1} << 40;
constexpr std::size_t kManifestMax = std::size_t{1} << 20;

Error corrupt(std::string_view what, std::string_view path) {
  return data_loss("checkpoint.corrupt", fmt::format("a checkpoint does not verify and is not used: {}: {}", what, path));
}

std::string checksum_of(std::string_view bytes) { return "xxh3:" + xxh3_hex(as_bytes(bytes)); }

/// A directory name that is a whole number; attempts and steps are.
std::optional<std::int64_t> number_from(const std::string& name) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (error != std::errc() || end != name.data() + name.size() || value < 0 || name != std::to_string(value)) return std::nullopt;
  return value;
}

/// The numbered entries of a directory, largest first; none when it is not there.
Result<std::vector<std::int64_t>> numbers_in(const std::string& directory) {
  std::vector<std::int64_t> numbers;
  if (!file_exists(directory)) return numbers;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, list_directory(directory));
  for (const std::string& name : names) {
    if (const std::optional<std::int64_t> number = number_from(name)) numbers.push_back(*number);
  }
  std::sort(numbers.rbegin(), numbers.rend());
  return numbers;
}

struct Manifest {
  std::uint32_t attempt = 0;
  std::int64_t step = 0;
  std::vector<CheckpointFile> files;
};

/// Two lines: the JSON object, and the checksum of the first line.
std::string encode_manifest(const CheckpointSettings& settings, const LoopState& state, const std::vector<CheckpointFile>& files) {
  Document document;
  document.set("format", kFormat);
  document.set("version", kVersion);
  document.set("job_id", settings.job.text());
  document.set("attempt", static_cast<std::int64_t>(settings.attempt.value));
  document.set("step", state.step);
  document.set("world_size", static_cast<std::int64_t>(state.world_size));
  Document list = Document::array();
  for (const CheckpointFile& file : files) {
    Document entry;
    entry.set("name", file.name);
    entry.set("size", file.size);
    entry.set("checksum", file.checksum);
    list.push(std::move(entry));
  }
  document.set("files", std::move(list));
  const std::string line = to_json(document);
  return line + "\n" + checksum_of(line) + "\n";
}

Result<Manifest> decode_manifest(const std::string& text, const std::string& path) {
  const std::size_t end = text.find('\n');
  if (end == std::string::npos || text.substr(end + 1) != checksum_of(text.substr(0, end)) + "\n")
    return corrupt("manifest checksum", path);
  ASSIGN_OR_RETURN(const Document document, parse_json(std::string_view(text).substr(0, end)));
  if (document["format"] != Document(kFormat) || document["version"] != Document(kVersion)) return corrupt("unknown manifest format", path);
  Manifest manifest;
  ASSIGN_OR_RETURN(const std::int64_t attempt, document.int_at("attempt"));
  manifest.attempt = static_cast<std::uint32_t>(attempt);
  ASSIGN_OR_RETURN(manifest.step, document.int_at("step"));
  for (const Document& entry : document["files"].items()) {
    CheckpointFile file;
    ASSIGN_OR_RETURN(file.name, entry.string_at("name"));
    ASSIGN_OR_RETURN(const std::int64_t size, entry.int_at("size"));
    file.size = static_cast<std::uint64_t>(size);
    ASSIGN_OR_RETURN(file.checksum, entry.string_at("checksum"));
    if (file.name.find('/') != std::string::npos) return corrupt("a file name with a slash", path);
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

Result<void> verify_file(const std::string& directory, const CheckpointFile& file) {
  const std::string path = directory + "/" + file.name;
  const Result<std::string> bytes = read_file(path, kFileMax);
  if (!bytes.ok()) return corrupt(bytes.error().message, path);
  if (bytes.value().size() != file.size || checksum_of(bytes.value()) != file.checksum) return corrupt("size or checksum", path);
  return {};
}

/// Every error that says "this one is not usable, look at the one before".
bool is_damage(const Error& error) {
  return error.category == Category::kDataLoss || error.category == Category::kNotFound || error.category == Category::kInvalidArgument;
}

}  // namespace

Document LoopState::to_document() const {
  Document document;
  document.set("step", step);
  document.set("evaluated_step", evaluated_step);
  document.set("rung_step", rung_step);
  document.set("seconds", seconds);
  document.set("world_size", static_cast<std::int64_t>(world_size));
  document.set("configuration_hash", configuration_hash);
  document.set("environment", environment);
  return document;
}

Result<LoopState> LoopState::from(const Document& document) {
  LoopState state;
  ASSIGN_OR_RETURN(state.step, document.int_at("step"));
  ASSIGN_OR_RETURN(state.evaluated_step, document.int_at("evaluated_step"));
  ASSIGN_OR_RETURN(state.rung_step, document.int_at("rung_step"));
  ASSIGN_OR_RETURN(state.seconds, document.double_at("seconds"));
  ASSIGN_OR_RETURN(const std::int64_t world_size, document.int_at("world_size"));
  state.world_size = static_cast<std::uint32_t>(world_size);
  ASSIGN_OR_RETURN(state.configuration_hash, document.string_at("configuration_hash"));
  state.environment = document["environment"];
  return state;
}

std::string CheckpointDirectory::directory_of(AttemptNumber attempt, std::int64_t step) const {
  return fmt::format("{}/{}/{}", settings_.root, attempt.value, step);
}

Result<void> CheckpointDirectory::check_fence() const {
  ASSIGN_OR_RETURN(const std::vector<std::int64_t> attempts, numbers_in(settings_.root));
  if (attempts.empty() || attempts.front() <= static_cast<std::int64_t>(settings_.attempt.value)) return {};
  return Error{Category::kAborted,
               "checkpoint.fenced",
               fmt::format("a later attempt of this job has begun, so this one may write no more checkpoints: job {}, attempt {}, later {}",
                           settings_.job.value, settings_.attempt.value, attempts.front()),
               {},
               {}};
}

Result<void> CheckpointDirectory::claim() {
  TRY(make_directories(settings_.root));
  TRY(check_fence());
  TRY(make_directories(fmt::format("{}/{}", settings_.root, settings_.attempt.value)));
  return sync_directory(settings_.root);
}

Result<Checkpoint> CheckpointDirectory::at(AttemptNumber attempt, std::int64_t step) {
  Checkpoint checkpoint{.attempt = attempt, .directory = directory_of(attempt, step), .manifest = {}, .state = {}};
  checkpoint.manifest = checkpoint.directory + "/" + kManifestName;
  ASSIGN_OR_RETURN(const std::string text, read_file(checkpoint.manifest, kManifestMax));
  ASSIGN_OR_RETURN(const Manifest manifest, decode_manifest(text, checkpoint.manifest));
  if (manifest.attempt != attempt.value || manifest.step != step) return corrupt("manifest of another checkpoint", checkpoint.manifest);
  for (const CheckpointFile& file : manifest.files) TRY(verify_file(checkpoint.directory, file));

  ASSIGN_OR_RETURN(const std::string state_text, read_file(checkpoint.directory + "/" + kStateName, kManifestMax));
  ASSIGN_OR_RETURN(const Document state, parse_json(state_text));
  ASSIGN_OR_RETURN(checkpoint.state, LoopState::from(state));
  if (checkpoint.state.step != step) return corrupt("state of another step", checkpoint.manifest);
  return checkpoint;
}

Result<std::optional<Checkpoint>> CheckpointDirectory::newest(std::vector<std::string>* skipped) {
  ASSIGN_OR_RETURN(const std::vector<std::int64_t> attempts, numbers_in(settings_.root));
  for (const std::int64_t attempt : attempts) {
    const AttemptNumber number(static_cast<std::uint32_t>(attempt));
    ASSIGN_OR_RETURN(const std::vector<std::int64_t> steps, numbers_in(fmt::format("{}/{}", settings_.root, attempt)));
    for (const std::int64_t step : steps) {
      if (!file_exists(directory_of(number, step) + "/" + kManifestName)) continue;
      Result<Checkpoint> checkpoint = at(number, step);
      if (checkpoint.ok()) return std::optional<Checkpoint>(std::move(checkpoint).value());
      if (!is_damage(checkpoint.error())) return std::move(checkpoint).error();
      if (skipped != nullptr) skipped->push_back(checkpoint.error().describe());
    }
  }
  return std::optional<Checkpoint>();
}

Result<TensorFile> CheckpointDirectory::read_tensors(const Checkpoint& checkpoint, std::uint32_t rank) {
  const std::string path = fmt::format("{}/rank-{}.safetensors", checkpoint.directory, rank);
  if (!file_exists(path)) return TensorFile{.content = std::make_unique<const std::string>(), .tensors = {}, .metadata = {}};
  ASSIGN_OR_RETURN(std::string bytes, read_file(path, kFileMax));
  return decode_tensor_file(std::move(bytes));
}

Result<CheckpointFile> CheckpointDirectory::write_tensors(std::int64_t step, std::uint32_t rank, std::span<const TensorView> tensors) {
  TRY(check_fence());
  const std::string directory = directory_of(settings_.attempt, step);
  TRY(make_directories(directory));
  CheckpointFile file{.name = fmt::format("rank-{}.safetensors", rank), .size = 0, .checksum = {}};
  const std::string bytes = encode_tensor_file(tensors, {{"format", std::string(kFormat)}, {"step", std::to_string(step)}});
  TRY(write_file_durably(directory + "/" + file.name, bytes));
  file.size = bytes.size();
  file.checksum = checksum_of(bytes);
  return file;
}

Result<std::string> CheckpointDirectory::commit(const LoopState& state, std::vector<CheckpointFile> files) {
  const std::string directory = directory_of(settings_.attempt, state.step);
  const std::string text = to_json(state.to_document()) + "\n";
  TRY(make_directories(directory));
  TRY(write_file_durably(directory + "/" + kStateName, text));
  files.push_back({.name = kStateName, .size = text.size(), .checksum = checksum_of(text)});
  // The manifest is worth nothing if the directories above it are lost with the power.
  TRY(sync_directory(fmt::format("{}/{}", settings_.root, settings_.attempt.value)));
  FAILPOINT("checkpoint.after_write_before_manifest");
  TRY(check_fence());
  std::string manifest = directory + "/" + kManifestName;
  TRY(write_file_durably(manifest, encode_manifest(settings_, state, files)));
  FAILPOINT("checkpoint.after_manifest");
  return manifest;
}

Result<void> CheckpointDirectory::remove_old() {
  const std::size_t keep = std::max<std::size_t>(settings_.keep, 1);
  std::size_t kept = 0;
  ASSIGN_OR_RETURN(const std::vector<std::int64_t> attempts, numbers_in(settings_.root));
  for (const std::int64_t attempt : attempts) {
    const AttemptNumber number(static_cast<std::uint32_t>(attempt));
    const std::string attempt_directory = fmt::format("{}/{}", settings_.root, attempt);
    ASSIGN_OR_RETURN(const std::vector<std::int64_t> steps, numbers_in(attempt_directory));
    for (const std::int64_t step : steps) {
      const std::string directory = directory_of(number, step);
      if (kept < keep) {
        if (file_exists(directory + "/" + kManifestName)) ++kept;
        continue;
      }
      // The manifest goes first, so that a crash in between leaves nothing that looks whole.
      TRY(remove_tree(directory + "/" + kManifestName));
      TRY(remove_tree(directory));
    }
    // Attempt directories stay while they may fence somebody; this one is the newest, so older empty ones fence nobody.
    if (number < settings_.attempt && kept >= keep) {
      ASSIGN_OR_RETURN(const std::vector<std::string> left, list_directory(attempt_directory));
      if (left.empty()) TRY(remove_tree(attempt_directory));
    }
  }
  return {};
}

}  // namespace trainyard::train
