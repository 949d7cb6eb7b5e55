#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>

#include "tests/etl/etl_fixture.h"

namespace trainyard::tests {
namespace {

/// Ingest and curation of a few 2 x 2 images, and how they fail.
class EtlFailureTest : public EtlTest {
 protected:
  static std::string csv(int rows, const std::string& more = {}) {
    std::string text = "label,pixel_0,pixel_1,pixel_2,pixel_3\n";
    for (int i = 0; i < rows; ++i)
      text += std::to_string(i % 10) + "," + std::to_string(i % 256) + "," + std::to_string(i / 256) + ",0,0\n";
    return text + more;
  }
  Document config_of(const std::string& path, Document more = Document::object()) const {
    Document source = Document::object({{"path", path}, {"format", "csv"}, {"split", "train"}});
    for (const auto& [key, value] : more.members()) source.set(key, value);
    return Document::object(
        {{"dataset", "fashion"}, {"image", Document::array({2, 2})}, {"sources", Document::array({std::move(source)})}});
  }
  /// The job failed as bad data with this id, says so, and left nothing.
  void expect_bad_data(const JobExit& exit, const std::string& id, const std::string& words) {
    EXPECT_EQ(exit.code, 65) << exit.errors;
    EXPECT_EQ(exit.error_id(), id);
    EXPECT_NE(exit.errors.find(words), std::string::npos) << exit.errors;
    EXPECT_EQ(std::count(exit.errors.begin(), exit.errors.end(), '\n'), 1) << "one line for people: " << exit.errors;
    EXPECT_EQ(published(), 0u);
    EXPECT_TRUE(left_behind().empty());
  }

  /// Forgets what dead attempts stored, so that the next one stores everything again.
  void remove_unpublished_objects() {
    for (const char* prefix : {"packs/", "datasets/fashion/processed/", "datasets/fashion/curated/"}) {
      const std::vector<store::ObjectInfo> found = objects->list(prefix).value();
      for (const store::ObjectInfo& object : found) ASSERT_TRUE(objects->remove(object.name).ok());
    }
  }

  Document good = config_of(write("good.csv", csv(500)));
};

TEST_F(EtlFailureTest, good_file_is_ingested_and_curated) {
  const JobExit ingest = run("ingest", 1, good);
  ASSERT_EQ(ingest.code, 0) << ingest.errors;
  EXPECT_EQ(*ingest.result.string_at("version"), "fashion@1/raw");
  EXPECT_TRUE(left_behind().empty());
  const JobExit curate = run("curate", 2, Document::object({{"seed", 5}}));
  ASSERT_EQ(curate.code, 0) << curate.errors;
  EXPECT_EQ(*curate.result.int_at("kept"), 500);
}

TEST_F(EtlFailureTest, missing_file_is_bad_data) {
  expect_bad_data(run("ingest", 1, config_of(directory + "/absent.csv")), "data.missing_file", "/absent.csv");
}

TEST_F(EtlFailureTest, truncated_idx_is_bad_data) {
  Document source = Document::object({{"format", "idx_images"},
                                      {"path", write("images", std::string("\0\0\x08\x03\0\0\0\x05\0\0\0\x02\0\0\0\x02"
                                                                           "1234567",
                                                                           23))}});
  source.set("labels", write("labels", std::string("\0\0\x08\x01\0\0\0\x05"
                                                   "\1\2\3\4\5",
                                                   13)));
  Document config = good;
  config.set("sources", Document::array({std::move(source)}));
  expect_bad_data(run("ingest", 1, config), "data.idx", "announces 5 items and only 1 are whole");
}

TEST_F(EtlFailureTest, wrong_checksum_is_bad_data) {
  const Document config = config_of(directory + "/good.csv", Document::object({{"sha256", std::string(64, 'a')}}));
  expect_bad_data(run("ingest", 1, config), "data.checksum", "instead of aaaa");
}

TEST_F(EtlFailureTest, broken_rows_beyond_the_budget_are_bad_data_named_by_line) {
  const Document config = config_of(write("bad.csv", csv(100, "1,2\n1,2,x,4,5\n")));
  const JobExit exit = run("ingest", 1, config);
  expect_bad_data(exit, "data.dead_letter_budget", "bad.csv line 102: column_count");
  EXPECT_NE(exit.errors.find("line 103: not_a_number in pixel_1"), std::string::npos);
}

TEST_F(EtlFailureTest, broken_row_within_the_budget_is_put_aside) {
  const JobExit exit = run("ingest", 1, config_of(write("bad.csv", csv(100, "1,2\n"))));
  ASSERT_EQ(exit.code, 0) << exit.errors;
  EXPECT_EQ(*exit.result.int_at("dead"), 1);
}

TEST_F(EtlFailureTest, unknown_key_is_bad_configuration) {
  Document config = good;
  config.set("dead_leter_budget", 0.5);
  const JobExit exit = run("ingest", 1, config);
  EXPECT_EQ(exit.code, 64);
  EXPECT_EQ(exit.error_id(), "spec.unknown_key");
  EXPECT_NE(exit.errors.find("dead_letter_budget"), std::string::npos) << exit.errors;
}

TEST_F(EtlFailureTest, other_image_size_conflicts_with_the_published_schema) {
  ASSERT_EQ(run("ingest", 1, good).code, 0);
  Document config = config_of(write("wide.csv", "label,pixel_0,pixel_1\n1,2,3\n"));
  config.set("image", Document::array({1, 2}));
  const JobExit exit = run("ingest", 2, config);
  EXPECT_EQ(exit.code, 65) << exit.errors;
  EXPECT_EQ(exit.error_id(), "catalog.schema_conflict");
  EXPECT_EQ(catalog.versions("fashion").value().size(), 1u);
}

TEST_F(EtlFailureTest, full_disk_publishes_nothing_and_the_next_attempt_succeeds) {
  const JobExit full = run("ingest", 1, good, {{"TRAINYARD_FAILPOINTS", "etl.disk_full=disk_full"}});
  EXPECT_EQ(full.code, 70) << full.errors;
  EXPECT_EQ(full.error_id(), "io.disk_full");
  EXPECT_EQ(published(), 0u);
  EXPECT_TRUE(left_behind().empty());

  ASSERT_EQ(run("ingest", 1, good).code, 0);
  const JobExit late = run("curate", 2, Document::object(), {{"TRAINYARD_FAILPOINTS", "etl.disk_full=disk_full@4"}});
  EXPECT_EQ(late.code, 70) << late.errors;
  EXPECT_EQ(catalog.versions("fashion").value().size(), 1u) << "neither processed nor curated";
  EXPECT_EQ(run("curate", 2, Document::object()).code, 0);
}

TEST_F(EtlFailureTest, death_at_any_object_leaves_nothing_visible_and_the_next_attempt_succeeds) {
  ASSERT_EQ(run("ingest", 1, good).code, 0);
  for (const char* failpoint : {"etl.disk_full", "object.after_write_before_rename", "object.after_rename_before_sync"}) {
    for (const char* hit : {"=exit@1", "=exit@3", "=exit@5"}) {
      const JobExit dead = run("curate", 2, Document::object(), {{"TRAINYARD_FAILPOINTS", std::string(failpoint) + hit}});
      EXPECT_EQ(dead.code, 137) << failpoint << hit;
      EXPECT_EQ(catalog.versions("fashion").value().size(), 1u) << failpoint << hit;
      remove_unpublished_objects();
    }
  }
  EXPECT_EQ(run("curate", 2, Document::object(), {{"TRAINYARD_FAILPOINTS", "object.after_write_before_rename=exit@4"}}).code, 137);
  ASSERT_EQ(run("curate", 2, Document::object()).code, 0);
  EXPECT_EQ(catalog.versions("fashion").value().size(), 3u);
  EXPECT_TRUE(left_behind().empty());
  const data::DatasetVersion curated = catalog.get({"fashion", 1, DatasetLayer::kCurated}).value();
  for (const data::DatasetFile& file : curated.draft.files) {
    EXPECT_TRUE(objects->verify(store::parse_object_uri(file.uri).value()).ok()) << file.uri;
  }
}

TEST_F(EtlFailureTest, repeated_job_publishes_no_second_version) {
  ASSERT_EQ(run("ingest", 1, good).code, 0);
  const JobExit again = run("ingest", 1, good);
  EXPECT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(*again.result.string_at("version"), "fashion@1/raw");
  EXPECT_EQ(catalog.versions("fashion").value().size(), 1u);
}

/// The source is a pipe, so that the job is in the middle of its work when the signal comes.
TEST_F(EtlFailureTest, stop_request_ends_the_job_with_75_and_nothing_published) {
  const std::string pipe = directory + "/pipe.csv";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int process = start("ingest", 1, config_of(pipe));
  UniqueFd writer = open_file(pipe, O_WRONLY).value();  // Returns once the job reads.
  ASSERT_EQ(::kill(process, SIGTERM), 0);
  ASSERT_TRUE(write_all(writer.get(), csv(10), pipe).ok());
  writer.reset();
  const JobExit exit = wait(process);
  EXPECT_EQ(exit.code, 75) << exit.errors;
  EXPECT_EQ(published(), 0u);
  EXPECT_TRUE(left_behind().empty());
}

TEST_F(EtlFailureTest, damaged_raw_version_is_bad_data) {
  ASSERT_EQ(run("ingest", 1, good).code, 0);
  const data::DatasetFile file = catalog.get({"fashion", 1, DatasetLayer::kRaw}).value().draft.files.at(0);
  const std::string path = object_path(file);
  std::string bytes = read_file(path).value();
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(write_file_atomically(path, bytes).ok());
  const JobExit exit = run("curate", 2, Document::object());
  EXPECT_EQ(exit.code, 65) << exit.errors;
  EXPECT_EQ(exit.error_id(), "data.damaged_file");
}

}  // namespace
}  // namespace trainyard::tests
