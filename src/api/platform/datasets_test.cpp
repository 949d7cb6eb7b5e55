#include "api/platform/datasets.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "net/testing/api_conformance.h"
#include "net/testing/fake_responder.h"
#include "store/testing/fake_object_store.h"

namespace trainyard::api {
namespace {

class InlineExecutor final : public Executor {
 public:
  void post(Task task) override { task(); }
  void post_at(MonotonicPoint, Task task) override { task(); }
};

class DatasetRoutesTest : public ::testing::Test {
 protected:
  DatasetRoutesTest() : DatasetRoutesTest(net::Principal{"job:17/2", "runner"}) {}
  explicit DatasetRoutesTest(net::Principal principal) : authorizer(std::move(principal)) {
    EXPECT_TRUE(store::migrate(files.database(), "catalog", data::catalog_migrations()).ok());
    add_dataset_routes(router, {executor, catalog, objects});
    store::SpanSource bytes(as_bytes("records"));
    pack = objects.put_if_absent({"packs/a.pack"}, bytes).value();
  }

  Document body(const std::string& layer, const std::string& key) const {
    Document document = parse_json(R"({"job_id":"17","attempt":2,"schema":[{"name":"label","type":"uint8"}],"rows":7,
                                       "content_hash":"0123456789abcdef0123456789abcdef"})")
                            .value();
    document.set("layer", layer);
    document.set("idempotency_key", key);
    document.set("files", Document::array({Document::object(
                              {{"uri", "ty://packs/a.pack"}, {"size", 7}, {"checksum", pack.checksum}, {"role", "pack:train"}})}));
    return document;
  }
  net::Response call(const net::Request& request) {
    const net::Response response = net::testing::call(router, request);
    EXPECT_EQ(net::testing::ApiConformance(router).fault(request, response), "");
    return response;
  }
  net::Response post(const Document& document) {
    return call(net::testing::make_request("POST", "/api/v1/datasets/fashion/versions", to_json(document)));
  }
  net::Response get(const std::string& target) { return call(net::testing::make_request("GET", target)); }
  static std::string code_of(const net::Response& response) { return parse_json(response.body)->string_or("code", "").value(); }

  adapters::sqlite::testing::TemporaryDatabase files;
  trainyard::testing::FakeClock clock;
  data::CatalogRepository catalog{files.database(), clock};
  store::testing::FakeObjectStore objects;
  InlineExecutor executor;
  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
  store::ObjectInfo pack;
};

TEST_F(DatasetRoutesTest, publication_answers_201_and_its_repetition_200_with_the_same_version) {
  const net::Response first = post(body("raw", "17:data"));
  EXPECT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(first.body, R"({"name":"fashion","layer":"raw","version":1,"ref":"fashion@1/raw"})");
  EXPECT_EQ(first.headers.get("location"), "/api/v1/datasets/fashion/versions/1?layer=raw");
  const net::Response second = post(body("raw", "17:data"));
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.body, first.body);
}

TEST_F(DatasetRoutesTest, job_of_another_attempt_is_fenced) {
  Document document = body("raw", "17:data");
  document.set("attempt", 1);
  EXPECT_EQ(post(document).status, 403);
  document.set("attempt", 2);
  document.set("job_id", "18");
  EXPECT_EQ(code_of(post(document)), "catalog.fence");
}

TEST_F(DatasetRoutesTest, file_that_is_not_stored_is_refused) {
  ASSERT_TRUE(objects.remove({"packs/a.pack"}).ok());
  const net::Response response = post(body("raw", "17:data"));
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(code_of(response), "catalog.file_missing");
  EXPECT_NE(response.body.find("/files/0"), std::string::npos);
  EXPECT_EQ(get("/api/v1/datasets").body, R"({"datasets":[]})");
}

TEST_F(DatasetRoutesTest, file_with_another_checksum_is_refused) {
  ASSERT_TRUE(objects.remove({"packs/a.pack"}).ok());
  store::SpanSource bytes(as_bytes("RECORDS"));
  ASSERT_TRUE(objects.put_if_absent({"packs/a.pack"}, bytes).ok());
  EXPECT_EQ(code_of(post(body("raw", "17:data"))), "catalog.file_missing");
}

TEST_F(DatasetRoutesTest, malformed_body_is_refused_with_its_place) {
  EXPECT_EQ(code_of(net::testing::call(router, net::testing::make_request("POST", "/api/v1/datasets/fashion/versions", "{"))),
            "json.malformed");
  Document document = body("raw", "17:data");
  document.set("content_hash", "x");
  const net::Response response = post(document);
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("/content_hash"), std::string::npos);
}

TEST_F(DatasetRoutesTest, version_is_shown_with_files_and_lineage) {
  ASSERT_EQ(post(body("raw", "17:data")).status, 201);
  Document curated = body("curated", "17:curated");
  curated.set("parents", Document::array({Document::object({{"name", "fashion"}, {"layer", "raw"}, {"version", 1}})}));
  ASSERT_EQ(post(curated).status, 201);

  const Document shown = parse_json(get("/api/v1/datasets/fashion/versions/latest").body).value();
  EXPECT_EQ(*shown.string_at("ref"), "fashion@1/curated");
  EXPECT_EQ(shown["files"].items().size(), 1u);
  EXPECT_EQ(to_json(shown["lineage"]["parents"]),
            R"([{"name":"fashion","layer":"raw","version":1,"ref":"fashion@1/raw","job_id":"17","attempt":2}])");
  const Document raw = parse_json(get("/api/v1/datasets/fashion/versions/1?layer=raw").body).value();
  EXPECT_EQ(*raw["lineage"]["children"].items().at(0).string_at("ref"), "fashion@1/curated");
}

TEST_F(DatasetRoutesTest, lists_show_datasets_and_versions) {
  ASSERT_EQ(post(body("raw", "1")).status, 201);
  ASSERT_EQ(post(body("raw", "2")).status, 201);
  const Document all = parse_json(get("/api/v1/datasets").body).value();
  ASSERT_EQ(all["datasets"].items().size(), 1u);
  EXPECT_EQ(*all["datasets"].items()[0]["layers"].items().at(0).string_at("ref"), "fashion@2/raw");
  const Document one = parse_json(get("/api/v1/datasets/fashion").body).value();
  ASSERT_EQ(one["versions"].items().size(), 2u);
  EXPECT_EQ(*one["versions"].items()[0].int_at("version"), 2);
  EXPECT_EQ(one["versions"].items()[0].find("files"), nullptr);
}

TEST_F(DatasetRoutesTest, unknown_names_answer_404_and_faulty_ones_400) {
  EXPECT_EQ(get("/api/v1/datasets/nothing").status, 404);
  EXPECT_EQ(get("/api/v1/datasets/nothing/versions/1").status, 404);
  EXPECT_EQ(get("/api/v1/datasets/fashion/versions/zero").status, 400);
  EXPECT_EQ(get("/api/v1/datasets/fashion/versions/1?layer=gold").status, 400);
}

class DatasetRoutesAsViewerTest : public DatasetRoutesTest {
 protected:
  DatasetRoutesAsViewerTest() : DatasetRoutesTest(net::Principal{"someone", "viewer"}) {}
};

TEST_F(DatasetRoutesAsViewerTest, viewer_reads_and_does_not_publish) {
  EXPECT_EQ(get("/api/v1/datasets").status, 200);
  EXPECT_EQ(post(body("raw", "17:data")).status, 403);
}

class DatasetRoutesAsAdminTest : public DatasetRoutesTest {
 protected:
  DatasetRoutesAsAdminTest() : DatasetRoutesTest(net::Principal{"admin", "admin"}) {}
};

TEST_F(DatasetRoutesAsAdminTest, person_publishes_without_a_job) {
  Document document = body("raw", "by hand");
  document.set("job_id", "");
  document.set("attempt", 0);
  EXPECT_EQ(post(document).status, 201);
}

}  // namespace
}  // namespace trainyard::api
