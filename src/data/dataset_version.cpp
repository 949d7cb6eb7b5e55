#include "data/dataset_version.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace trainyard::data {
namespace {

constexpr double kInt64Max = 9.0e18;

void describe_layer(FieldVisitor& fields, DatasetLayer& layer) {
  std::string text(name_of(layer));
  fields.choice("layer", text, dataset_layer_names(), "Layer of the version.");
  fields.required();
  if (const Result<DatasetLayer> parsed = parse_dataset_layer(text); parsed.ok()) layer = *parsed;
}

bool is_hash_text(std::string_view text) {
  return text.size() == 32 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_checksum(std::string_view text) { return text.substr(0, 5) == "xxh3:" && is_hash_text(text.substr(5)); }

Error bad_draft(std::string message, std::string where) { return invalid_argument("catalog.draft", std::move(message), std::move(where)); }

Result<void> check_draft(const VersionDraft& draft) {
  TRY(check_dataset_name(draft.name));
  if (draft.idempotency_key.empty()) return bad_draft("a version needs an idempotency_key, usually JOB:OUTPUT", "/idempotency_key");
  if (!is_hash_text(draft.content_hash)) return bad_draft("content_hash is 32 lower-case hex digits", "/content_hash");
  if (draft.schema.empty()) return bad_draft("a version needs at least one column in schema", "/schema");
  if (draft.files.empty()) return bad_draft("a version needs at least one file", "/files");
  for (std::size_t i = 0; i < draft.files.size(); ++i) {
    const DatasetFile& file = draft.files[i];
    if (!file.uri.starts_with("ty://"))
      return bad_draft(fmt::format("a file is named ty://bucket/key, not \"{}\"", file.uri), fmt::format("/files/{}/uri", i));
    if (!is_checksum(file.checksum)) {
      return bad_draft(fmt::format("a checksum is xxh3: and 32 hex digits, not \"{}\"", file.checksum),
                       fmt::format("/files/{}/checksum", i));
    }
  }
  for (const ParentVersion& parent : draft.parents) TRY(check_dataset_name(parent.key.name));
  if (!draft.properties.is_null() && !draft.properties.is_object()) return bad_draft("properties is an object", "/properties");
  return {};
}

bool widens(std::string_view from, std::string_view to) { return from == to || (from == "uint8" && to == "int64"); }

}  // namespace

void SchemaField::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the column.");
  fields.required();
  fields.field("type", type, "Type of the column, e.g. uint8 or uint8[1,28,28].");
  fields.required();
}

void DatasetFile::describe(FieldVisitor& fields) {
  fields.field("uri", uri, "Object that holds the bytes, ty://bucket/key.");
  fields.required();
  fields.field("size", size, Range{0, kInt64Max}, "Size in bytes.");
  fields.required();
  fields.field("checksum", checksum, "xxh3: and 32 hex digits over all bytes.");
  fields.required();
  fields.field("role", role, "What the file is for: parquet:SPLIT, pack:SPLIT, dead_letters or drop_list.");
  fields.required();
  fields.field("rows", rows, Range{0, kInt64Max}, "Rows in the file.");
}

void ParentVersion::describe(FieldVisitor& fields) {
  fields.field("name", key.name, "Name of the dataset it was made from.");
  fields.required();
  describe_layer(fields, key.layer);
  fields.field("version", key.version, Range{1, kInt64Max}, "Version it was made from.");
  fields.required();
}

void VersionDraft::describe(FieldVisitor& fields) {
  describe_layer(fields, layer);
  fields.field("idempotency_key", idempotency_key, "The same key again publishes nothing new and answers with the first version.");
  fields.required();
  std::string job_text = job.valid() ? job.text() : std::string();
  fields.field("job_id", job_text, "Job that made the version; empty when none did.");
  std::uint64_t number = 0;
  std::from_chars(job_text.data(), job_text.data() + job_text.size(), number);
  job = JobId(number);
  std::int64_t attempt_number = attempt.value;
  fields.field("attempt", attempt_number, Range{0, std::numeric_limits<std::uint32_t>::max()}, "Attempt of that job.");
  attempt = AttemptNumber(static_cast<std::uint32_t>(attempt_number));
  fields.field("schema", schema, "Columns in order.");
  fields.required();
  fields.field("rows", rows, Range{0, kInt64Max}, "Rows over all splits.");
  fields.required();
  fields.field("content_hash", content_hash, "Order-independent sum of the 128-bit row hashes, 32 hex digits.");
  fields.required();
  fields.field("parents", parents, "Versions it was made from.");
  fields.field("files", files, "Stored objects of the version.");
  fields.required();
  fields.field("properties", properties, "Facts about how the version came to be.");
}

std::vector<DatasetFile> DatasetVersion::files_with_role(std::string_view role) const {
  std::vector<DatasetFile> found;
  std::copy_if(draft.files.begin(), draft.files.end(), std::back_inserter(found),
               [role](const DatasetFile& file) { return file.role == role; });
  return found;
}

Result<VersionDraft> version_draft_from(const Document& body, std::string name) {
  ASSIGN_OR_RETURN(VersionDraft draft, decode<VersionDraft>(body));
  draft.name = std::move(name);
  TRY(check_draft(draft));
  return draft;
}

Document to_document(const VersionDraft& draft) { return encode(draft); }

Document to_document(const DatasetVersion& version) {
  Document document = Document::object({{"name", version.draft.name},
                                        {"version", version.version},
                                        {"ref", version.key().text()},
                                        {"created_at", to_rfc3339(version.created_at)}});
  const Document draft = encode(version.draft);
  for (const auto& [key, value] : draft.members()) document.set(key, value);
  return document;
}

Result<DatasetVersion> dataset_version_from(const Document& document) {
  ASSIGN_OR_RETURN(std::string name, document.string_at("name"));
  DatasetVersion version;
  ASSIGN_OR_RETURN(version.version, document.int_at("version"));
  ASSIGN_OR_RETURN(const std::string created_at, document.string_at("created_at"));
  ASSIGN_OR_RETURN(version.created_at, parse_rfc3339(created_at));
  Document body = Document::object();
  for (const auto& [key, value] : document.members()) {
    if (key != "name" && key != "version" && key != "ref" && key != "created_at") body.set(key, value);
  }
  ASSIGN_OR_RETURN(version.draft, version_draft_from(body, std::move(name)));
  return version;
}

Result<void> check_schema_change(const std::vector<SchemaField>& previous, const std::vector<SchemaField>& next, std::string_view dataset) {
  const auto conflict = [dataset](std::string what) {
    return failed_precondition(
        "catalog.schema_conflict",
        fmt::format("the schema does not fit the versions before it: {}; keep the columns of {} or publish under another name", what,
                    dataset));
  };
  for (std::size_t i = 0; i < previous.size(); ++i) {
    const SchemaField& field = previous[i];
    if (i >= next.size() || next[i].name != field.name) {
      const bool elsewhere = std::any_of(next.begin(), next.end(), [&field](const SchemaField& other) { return other.name == field.name; });
      return conflict(fmt::format("column {} \"{}\" {}", i, field.name, elsewhere ? "moved" : "is gone"));
    }
    if (!widens(field.type, next[i].type)) {
      return conflict(fmt::format("column \"{}\" was {} and is now {}", field.name, field.type, next[i].type));
    }
  }
  return {};
}

}  // namespace trainyard::data
