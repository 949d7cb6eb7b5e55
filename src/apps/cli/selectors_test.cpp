#include "apps/cli/selectors.h"

#include <gtest/gtest.h>

#include "apps/cli/testing/fake_platform.h"
#include "client/server_address.h"

namespace trainyard::apps {
namespace {

using Kind = JobSelector::Kind;

TEST(JobSelector, forms_are_understood) {
  EXPECT_EQ(*parse_job_selector("last"), (std::vector<JobSelector>{{Kind::kLast, {}, 0, 0, 0}}));
  EXPECT_EQ(*parse_job_selector("7"), (std::vector<JobSelector>{{Kind::kRange, {}, 0, 7, 7}}));
  EXPECT_EQ(
      *parse_job_selector("1-5,9,17[3],17[0-2]"),
      (std::vector<JobSelector>{
          {Kind::kRange, {}, 0, 1, 5}, {Kind::kRange, {}, 0, 9, 9}, {Kind::kElements, {}, 17, 3, 3}, {Kind::kElements, {}, 17, 0, 2}}));
  EXPECT_EQ(parse_job_selector("@failed")->front().states, (std::vector<std::string>{"FAILED", "TIMED_OUT"}));
}

TEST(JobSelector, nonsense_is_refused_with_what_is_understood) {
  for (const char* text :
       {"", "x", "1-", "-5", "5-1", "1,,2", "@rnning", "17[", "17[]", "[3]", "1-99999", "1.5", "99999999999999999999999"}) {
    const Result<std::vector<JobSelector>> parsed = parse_job_selector(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().id, "cli.selector") << text;
    EXPECT_NE(parsed.error().message.find("last"), std::string::npos);
  }
}

class ResolveTest : public ::testing::Test {
 protected:
  Result<std::vector<std::string>> resolve(const std::vector<std::string>& words, const std::vector<std::string>& labels = {}) {
    api_ = client::make_api_client({platform_.start(), ""}).value();
    return resolve_jobs(*api_, words, labels);
  }
  testing::FakePlatform platform_;
  std::unique_ptr<client::ApiClient> api_;
};

using Ids = std::vector<std::string>;

TEST_F(ResolveTest, each_job_comes_once_and_in_order) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"3","state":"RUNNING"}]})");
  EXPECT_EQ(*resolve({"5", "1-3", "last"}), (Ids{"5", "1", "2", "3"}));
}

TEST_F(ResolveTest, jobs_in_other_states_are_left_out_whatever_the_server_sends) {
  platform_.answer("GET", "/api/v1/jobs",
                   R"({"jobs":[{"id":"9","state":"QUEUED"},{"id":"8","state":"RUNNING"},{"id":"7","state":"STARTING"}]})");
  EXPECT_EQ(*resolve({"@running"}), (Ids{"8", "7"}));
  EXPECT_EQ(platform_.lines().front(), "GET /api/v1/jobs?fields=id,state&limit=1000&state=STARTING,RUNNING");
}

TEST_F(ResolveTest, labels_must_be_carried) {
  platform_.answer(
      "GET", "/api/v1/jobs",
      R"({"jobs":[{"id":"9","state":"QUEUED","spec":{"labels":{"a":"1"}}},{"id":"8","state":"QUEUED","spec":{"labels":{"a":"2"}}}]})");
  EXPECT_EQ(*resolve({}, {"a=1"}), (Ids{"9"}));
  EXPECT_EQ(platform_.lines().front(), "GET /api/v1/jobs?fields=id,state,spec&label=a=1&limit=1000");
}

TEST_F(ResolveTest, elements_of_an_array_come_by_their_index) {
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"17","state":"RUNNING","array":{"count":9,"created":6}})");
  platform_.answer("GET", "/api/v1/jobs",
                   R"({"jobs":[{"id":"23","array_parent":"17","array_index":5},{"id":"20","array_parent":"17","array_index":2},
                                                     {"id":"18","array_parent":"17","array_index":0}]})");
  EXPECT_EQ(*resolve({"17[0-2]"}), (Ids{"18", "20"}));
}

TEST_F(ResolveTest, elements_that_are_not_made_yet_are_told_and_nothing_is_selected) {
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"17","state":"RUNNING","array":{"count":2000,"created":2}})");
  platform_.answer("GET", "/api/v1/jobs",
                   R"({"jobs":[{"id":"20","array_parent":"17","array_index":2},{"id":"19","array_parent":"17","array_index":1},
                                                     {"id":"18","array_parent":"17","array_index":0}]})");
  const auto why = [this](const std::string& word) {
    const Result<std::vector<std::string>> ids = resolve_jobs(*api_, {word}, {});
    return ids.ok() ? Error{} : ids.error();
  };
  const Error one = resolve({"17[4]"}).error();
  EXPECT_EQ(one.id, "job.element_not_made");
  EXPECT_EQ(one.category, Category::kFailedPrecondition);
  for (const char* part : {"17[4] (3 of 2000 are made)", "nothing was done", "`trainyard job cancel 17`", "`trainyard job hold 17`"})
    EXPECT_NE(one.message.find(part), std::string::npos) << one.message;
  EXPECT_NE(why("17[1-9]").message.find("17[3-9]"), std::string::npos) << why("17[1-9]").message;
  EXPECT_EQ(why("17[0-2]").id, "") << "element 2 was made after the array was looked at";
  EXPECT_EQ(why("17[2000]").id, "job.unknown_element");
  EXPECT_NE(why("17[2000]").message.find("17[0-1999]"), std::string::npos);
}

TEST_F(ResolveTest, elements_of_what_is_no_array_or_has_ended_are_not_found) {
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"17","state":"RUNNING","array":null})");
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"17","state":"CANCELLED","array":{"count":9,"created":2}})");
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[]})");
  EXPECT_EQ(resolve({"17[4]"}).error().id, "job.no_array");
  EXPECT_EQ(resolve_jobs(*api_, {"17[4]"}, {}).error().id, "job.unknown_element");
}

TEST_F(ResolveTest, labels_narrow_the_elements_of_an_array) {
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"17","state":"RUNNING","array":{"count":1,"created":1}})");
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"18","array_parent":"17","array_index":0}]})");
  EXPECT_EQ(resolve({"17[0]"}, {"a=1"}).error().id, "job.none_selected");
}

TEST_F(ResolveTest, last_is_what_was_submitted_and_no_element_that_came_later) {
  platform_.answer("GET", "/api/v1/jobs",
                   R"({"jobs":[{"id":"8","array_parent":"3"},{"id":"6"},{"id":"5","array_parent":"3"},{"id":"3"}]})");
  EXPECT_EQ(*resolve({"last"}), (Ids{"6"}));
}

TEST_F(ResolveTest, last_is_the_array_when_there_are_elements_alone) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"8","array_parent":"3"},{"id":"7","array_parent":"3"}]})");
  EXPECT_EQ(*resolve({"last"}), (Ids{"3"}));
}

TEST_F(ResolveTest, pages_are_read_to_the_end) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"9","state":"QUEUED"}],"next_cursor":"c 1"})");
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"8","state":"QUEUED"}]})");
  EXPECT_EQ(*resolve({"@queued"}), (Ids{"9", "8"}));
  EXPECT_EQ(platform_.lines().back(), "GET /api/v1/jobs?cursor=c 1&fields=id,state&limit=1000&state=QUEUED");
}

TEST_F(ResolveTest, nothing_selected_is_an_error) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[]})");
  EXPECT_EQ(resolve({"@queued"}).error().id, "job.none_selected");
  EXPECT_EQ(resolve_jobs(*api_, {"last"}, {}).error().id, "job.unknown");
  EXPECT_EQ(resolve_job(*api_, "1-3").error().id, "cli.one_job");
}

}  // namespace
}  // namespace trainyard::apps
